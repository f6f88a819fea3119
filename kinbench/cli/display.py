"""What a person sees: progress on stderr (silent when it is no terminal), results on stdout, JSON where asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

Progress = Callable[[int, int, str], None]


def ignore(done: int, total: int, label: str) -> None:
    """Take no notice of progress."""


@contextmanager
def progress(title: str, quiet: bool, *, in_bytes: bool = False) -> Iterator[Progress]:
    """Yield a callback (done, total, label) that draws a bar on stderr while a terminal is there to see it."""
    if quiet or not sys.stderr.isatty():
        yield ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (
        TextColumn("{task.description:<12}"), BarColumn(), count, TimeElapsedColumn(),
        TextColumn("{task.fields[label]}"),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=None, label="")

        def update(done: int, total: int, label: str) -> None:
            bars.update(task, completed=done, total=total or None, label=label)

        yield update


def say(text: str, quiet: bool = False) -> None:
    """Tell the person something that is not the result: to stderr, unless quiet."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print the result."""
    print(text, flush=True)


def show_json(value: Any) -> None:
    """Print the result for a machine: strict JSON, no NaN."""
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False), flush=True)


def columns(rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> str:
    """Return rows as left-aligned text columns under a header line."""
    table = [list(names), *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[index]) for line in table) for index in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
    )


def plain(value: Any) -> str:
    """Return a JSON-plain value as a person would write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
