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


def settings(value: Mapping[str, Any]) -> str:
    """Return settings with their defaults as they are written in a selector: ``name[key=value]``."""
    return ", ".join(f"{key}={_word(item)}" for key, item in value.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def plain(value: Any) -> str:
    """Return a JSON-plain value as a person would write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- proposals -------------------------------------------------------------------------------------------------------


def plain_proposal(proposal: Any) -> dict[str, Any]:
    """Return a proposal as JSON-plain values, without its drafts."""
    return {
        "complete": not any(guess.verdict == "open" for guess in proposal.guesses),
        "fields": [
            {"field": guess.field, "value": guess.value, "verdict": guess.verdict, "confidence": guess.confidence,
             "evidence": guess.evidence}
            for guess in proposal.guesses
        ],
        "drafts": [str(draft.key) for draft in proposal.drafts],
        "unread": list(proposal.unread),
        "manifest": proposal.manifest,
    }  # fmt: skip


def proposal_text(proposal: Any) -> str:
    """Return a proposal for people: one line a field, then the open questions, then the sum of it."""
    rows = [
        {"field": printable(guess.field), "value": _short(printable(_value(guess.value))),
         "verdict": guess.verdict, "confidence": f"{guess.confidence:.2f}", "evidence": printable(guess.evidence)}
        for guess in proposal.guesses
    ]  # fmt: skip
    questions = [guess for guess in proposal.guesses if guess.verdict == "open"]
    lines = [columns(rows, ("field", "value", "verdict", "confidence", "evidence"))]
    if questions:
        lines += ["", "open questions, to be answered in the manifest:"]
        lines += [f"  {printable(guess.field)}: {printable(guess.evidence)}" for guess in questions]
    if proposal.unread:
        lines += ["", "files that could not be read:", *(f"  {printable(told)}" for told in proposal.unread)]
    counts = {verdict: sum(guess.verdict == verdict for guess in proposal.guesses) for verdict in _VERDICTS}
    lines += ["", ", ".join(f"{count} {verdict}" for verdict, count in counts.items())]
    return "\n".join(lines)


_VERDICTS = ("known", "guessed", "open")


def printable(text: str) -> str:
    """Return text of unknown origin so that it cannot steer a terminal: control characters are spelt out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _value(value: Any) -> str:
    return "-" if value is None else plain(value)


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
