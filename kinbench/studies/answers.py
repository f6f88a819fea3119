"""The answer to a study's question: sentences and tables, as text, Markdown, JSON and files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

import pandas as pd

from kinbench.errors import UsageError
from kinbench.files import publish
from kinbench.leaderboards.tables import SIMULATION, WIDTH, draw, escape, number, plain_rows

STUDY_VERSION = 1
MOST_SHOWN = 40
"""Rows of a table that a terminal is given; files hold them all."""
DIGITS = {
    "n": 0,
    "count": 0,
    "persons": 0,
    "parameters": 0,
    "values": 0,
    "df": 0,
    "p": 4,
    "p_adjusted": 4,
    "p_corrected": 4,
}


@dataclass(frozen=True)
class Answer:
    """What results say to one question, on one task and dataset.

    ``kind`` names the question (``few-shot``), ``variant`` what tells two answers to it apart. ``sentences`` say it in
    words, ``tables`` in numbers: those in ``shown`` are for reading, the others (values by person) for going on with.
    ``settings`` are what was asked for (a target, a margin). ``notes`` are what the numbers rest on; ``virtual`` the
    datasets whose sensors nobody wore.
    """

    kind: str
    task: str
    dataset: str
    question: str
    metric: str
    unit: str
    sentences: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    shown: tuple[str, ...]
    variant: str = ""
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    simulation: bool = False
    virtual: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The study, its variant, task and dataset."""
        return " · ".join(part for part in (self.kind, self.variant, self.task, self.dataset) if part)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be said wherever these numbers are shown."""
        told = [SIMULATION] if self.simulation else []
        if self.virtual:
            told.append(
                f"VIRTUAL SENSORS: the signals of {', '.join(self.virtual)} were computed from the motion that also "
                "gives the angles, and nobody wore them."
            )
        return tuple(told)

    def text(self) -> str:
        """Return the answer for a terminal."""
        parts = [f"{self.title}\n{'=' * len(self.title)}", *(self._fill(told) for told in self.warnings)]
        parts.append(self._fill(self.question))
        parts.append("\n".join(self._fill(f"- {sentence}") for sentence in self.sentences))
        for name in self.shown:
            table = self.tables[name]
            if len(table):
                cut = f" (first {MOST_SHOWN} of {len(table)} rows)" if len(table) > MOST_SHOWN else ""
                shown = _readable(table.head(MOST_SHOWN), self.unit)
                parts.append(f"{_words(name)}{cut}\n{draw(shown, 'simple', str)}")
        return "\n\n".join([*parts, *(self._fill(note) for note in self.notes)])

    def markdown(self) -> str:
        """Return the answer as Markdown, its tables whole."""
        parts = [f"# {escape(self.title)}", *map(escape, self.warnings), escape(self.question)]
        parts.append("\n".join(f"- {escape(sentence)}" for sentence in self.sentences))
        for name in self.shown:
            if len(self.tables[name]):
                parts += [f"**{escape(_words(name))}**", draw(_readable(self.tables[name], self.unit), "pipe", escape)]
        return "\n\n".join([*parts, *map(escape, self.notes)]) + "\n"

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON values; missing ones are null."""
        return {
            "study": self.kind, "variant": self.variant, "task": self.task, "dataset": self.dataset,
            "question": self.question, "metric": self.metric, "unit": self.unit, "settings": dict(self.settings),
            "simulation": self.simulation, "virtual": list(self.virtual), "sentences": list(self.sentences),
            "tables": {name: plain_rows(table) for name, table in self.tables.items()}, "notes": list(self.notes),
        }  # fmt: skip

    def _fill(self, text: str) -> str:
        return fill(text, WIDTH, break_on_hyphens=False, subsequent_indent="  " if text.startswith("- ") else "")


@dataclass(frozen=True)
class Study:
    """The answers to one question, one for each task, dataset and variant that has results."""

    name: str
    answers: tuple[Answer, ...]

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def only(self) -> Answer:
        """The one answer, or of several that which is of the very study asked for, not of one in its family.

        Raises ``UsageError`` where there is no such one, naming them all.
        """
        own = [answer for answer in self.answers if answer.kind == self.name]
        if len(own) == 1:
            return own[0]
        if len(self.answers) != 1:
            told = "; ".join(answer.title for answer in self.answers)
            raise UsageError(
                f"'{self.name}' has {len(self.answers)} answers, and one is needed: {told}. Choose by the study's own "
                "name, --protocol, --task, --dataset, --model or --variant."
            )
        return self.answers[0]

    def choose(self, variant: str) -> Study:
        """Return the answers whose title has this text; raises ``UsageError`` where none has, naming them all."""
        found = tuple(answer for answer in self.answers if variant in answer.title)
        if not found:
            told = "; ".join(answer.title for answer in self.answers)
            raise UsageError(f"'{self.name}' has no answer with '{variant}' in its title; it has {told}.")
        return Study(self.name, found)

    def text(self) -> str:
        """Return all answers for a terminal."""
        return "\n\n\n".join(answer.text() for answer in self.answers)

    def markdown(self) -> str:
        """Return all answers as Markdown."""
        return "\n".join(answer.markdown() for answer in self.answers)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def to_json(self) -> dict[str, Any]:
        """Return all answers as plain JSON values."""
        return {
            "study_version": STUDY_VERSION, "study": self.name,
            "answers": [answer.to_json() for answer in self.answers],
        }  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """Write each answer as Markdown and JSON, and each of its tables as CSV; each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        contents: dict[str, str] = {}
        for answer in self.answers:
            stem = re.sub(r"[^A-Za-z0-9.-]+", "-", answer.title).strip("-")
            contents[f"{stem}.md"] = answer.markdown()
            contents[f"{stem}.json"] = json.dumps(answer.to_json(), indent=1, allow_nan=False) + "\n"
            for name, table in answer.tables.items():
                contents[f"{stem}.{name}.csv"] = _csv(table)
        for name, content in contents.items():
            publish(content.encode("utf-8"), folder / name)
        return [folder / name for name in contents]


def plain(value: Any) -> str:
    """Return a condition's value as a person writes it: a whole number without decimals, whatever column it was in."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _readable(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return a frame of texts, without what the sentences say (reasons) and what is nowhere known."""
    kept = [name for name in frame.columns if not str(name).endswith("reason") and frame[name].notna().any()]
    return pd.DataFrame(
        {str(name).replace("_", " "): [_said(str(name), value, unit) for value in frame[name]] for name in kept}
    )


def _said(name: str, value: Any, unit: str) -> str:
    if value is None:
        return number(None, 0)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (float(value).is_integer() and name not in _ERRORS):
        return number(value, 0)
    return number(float(value), DIGITS.get(name, 2 if unit in _COARSE else 3))


_COARSE = {"deg", "%", "ms"}
"""Units in which a hundredth says enough; of a body weight it is as much as models differ by."""
_ERRORS = {"mean", "sd", "low", "high", "error", "difference", "with", "without"}


def _csv(frame: pd.DataFrame) -> str:
    # A spreadsheet takes a text that begins with one of these signs for a formula.
    safe = frame.map(lambda v: f"'{v}" if isinstance(v, str) and v.startswith(("=", "+", "-", "@")) else v)
    return safe.to_csv(index=False, lineterminator="\n")
