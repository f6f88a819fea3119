"""All of some papers beside our results: as text, Markdown, JSON and files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import pandas as pd

from kinbench.files import publish
from kinbench.leaderboards.tables import DASH, WIDTH, draw, escape, number
from kinbench.literature.claims import Verdict, verdicts
from kinbench.literature.tables import TypesetTable, typeset
from kinbench.publications import Paper
from kinbench.results import Result

PAPERS_VERSION = 1
_HEAD = "Published and measured"
_WORDS = (
    "Reported numbers are the papers' own, on their data; those measured here are of other people, sensors and "
    "references. They stand beside each other, and no test compares them."
)
_CLAIMS = "What became of their claims here"


@dataclass(frozen=True)
class Comparison:
    """The tables and claims of some papers with what was measured here."""

    papers: tuple[Paper, ...]
    tables: tuple[TypesetTable, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def claims(self) -> pd.DataFrame:
        """The verdicts as texts, a row each."""
        return pd.DataFrame(
            [
                {
                    "paper": one.paper, "claim": f"{one.claim} ({one.where})", "contrast": one.contrast or DASH,
                    "here": one.outcome, "difference": _difference(one), "data": one.data or one.reason,
                }
                for one in self.verdicts
            ]
        )  # fmt: skip

    def text(self) -> str:
        """Return all of it for a terminal."""
        parts = [f"{_HEAD}\n{'=' * len(_HEAD)}", fill(_WORDS, WIDTH)]
        for table in self.tables:
            title = f"{table.paper}, {table.table.number}: {table.table.title}"
            parts += [f"{title}\n{'-' * len(title)}", draw(table.frame, "simple", str), fill(table.caption, WIDTH)]
            parts += [f"Not measured here:\n{_listed(table.missing, '  ')}"] if table.missing else []
        parts += [f"{_CLAIMS}\n{'=' * len(_CLAIMS)}", *map(_told, self.verdicts)]
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """Return all of it as Markdown."""
        parts = [f"# {_HEAD}", _WORDS]
        parts += ["\n".join(f"- **{paper.name}**: {escape(paper.citation)}" for paper in self.papers)]
        for table in self.tables:
            parts += [f"## {escape(f'{table.paper}, {table.table.number}: {table.table.title}')}"]
            parts += [draw(table.frame, "pipe", escape), escape(table.caption)]
            parts += [f"Not measured here:\n\n{_listed(table.missing, '    ')}"] if table.missing else []
        return "\n\n".join([*parts, f"## {_CLAIMS}", draw(self.claims, "pipe", escape)]) + "\n"

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        return {
            "papers_version": PAPERS_VERSION,
            "papers": [{"name": paper.name, "citation": paper.citation} for paper in self.papers],
            "tables": [table.to_json() for table in self.tables],
            "claims": [one.to_json() for one in self.verdicts],
        }

    def write(self, folder: Path) -> list[Path]:
        """Write ``papers.md`` and ``papers.json`` into a folder, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "papers.md": self.markdown(),
            "papers.json": json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n",
        }
        for name, content in contents.items():
            publish(content.encode("utf-8"), folder / name)
        return [folder / name for name in contents]


def compare(papers: Sequence[Paper], results: Iterable[Result]) -> Comparison:
    """Return the tables and claims of some papers beside what some results hold; it may be nothing."""
    listed = [*results]
    return Comparison(
        tuple(papers),
        tuple(typeset(paper.name, table, listed) for paper in papers for table in paper.tables),
        tuple(one for paper in papers for claim in paper.claims for one in verdicts(paper.name, claim, listed)),
    )


def _listed(commands: Iterable[str], indent: str) -> str:
    return "\n".join(f"{indent}{command}" for command in commands)


def _told(one: Verdict) -> str:
    head = f"{one.paper}: {one.claim} ({one.where})"
    what = f"{one.contrast}: {one.outcome}" if one.contrast else one.outcome
    detail = f"{_difference(one)} · {one.data}" if one.difference is not None else one.reason
    return "\n".join([
        fill(head, WIDTH), fill(f"{what} · {detail}", WIDTH, initial_indent="  ", subsequent_indent="  ")
    ])  # fmt: skip


def _difference(one: Verdict) -> str:
    if one.difference is None:
        return DASH
    interval = "" if one.low is None else f" [{number(one.low, 3)}, {number(one.high, 3)}]"
    unit = "" if one.unit == "1" else f" {one.unit}"
    return f"{number(one.difference, 3)}{interval}{unit}, {one.persons} person{'' if one.persons == 1 else 's'}"
