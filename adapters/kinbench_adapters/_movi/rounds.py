"""Who did which round, and in which files. Looks at names and at the fields of the sensors' structs, at no signal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kinbench.errors import DataError
from kinbench.recording import Key, Recording
from kinbench_adapters._formats.arrays import mat_fields

LAYOUT = (
    "expected imu_Subject_<N>.mat (the suit) and S1_v3d_Subject_<N>.mat, S2_v3d_Subject_<N>.mat (the cameras), "
    "in folders of any name"
)
SUIT_VARIABLE = "IMU"
_SUIT = re.compile(r"imu_subject_(\d+)\.mat", re.IGNORECASE)
_OPTICAL = re.compile(r"(f|s1|s2)_v3d_subject_(\d+)\.mat", re.IGNORECASE)
_SYNCHED = "_Synched"
_SUIT_ROUNDS = ("S1", "S2", "I1", "I2")
_OPTICAL_ROUNDS = ("S1", "S2")
FULL_ROUND = "F"
"""The round with all markers, minimal clothing, and no suit."""


@dataclass(frozen=True)
class Round:
    """One person's round: ``field`` of the suit's file, and the cameras' file of the same performance.

    ``synched`` says that the suit's field is one of those that the dataset calls synchronised. ``person`` is a file
    that tells who the person is.
    """

    raw: Path
    key: Key
    number: int
    suit: Path | None
    field: str | None
    optical: Path | None
    person: Path | None

    @property
    def synched(self) -> bool:
        """Whether the dataset calls the suit's samples synchronised with the cameras'."""
        return self.field is not None and self.field.endswith(_SYNCHED)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files this round is read from."""
        return tuple(dict.fromkeys(path for path in (self.suit, self.optical, self.person) if path is not None))

    def name_of(self, path: Path) -> str:
        """Return a file's name below the raw folder."""
        return path.relative_to(self.raw).as_posix()


@dataclass(frozen=True)
class Unreadable:
    """A suit's file whose rounds cannot even be named."""

    key: Key
    path: Path
    problems: tuple[str, ...]

    def refuse(self) -> Recording:
        """Raise the ``DataError`` that says why."""
        raise DataError(self.problems, where=self.path)


def find_rounds(raw: Path, dataset: str, *, full: bool) -> tuple[list[Round], list[Unreadable]]:
    """Return every round below ``raw``, and the suit files that cannot be read.

    ``full`` asks for round F as well. Raises ``DataError`` where there is nothing, or one file comes twice.
    """
    suits, optical = _files(raw)
    rounds: list[Round] = []
    unreadable = []
    for number in sorted({*suits, *(number for _, number in optical)}):
        subject = f"Subject_{number}"
        fields: dict[str, str] = {}
        if number in suits:
            try:
                fields = _fields_by_round(suits[number])
            except DataError as error:
                unreadable.append(Unreadable(Key(dataset, subject, "suit", "all"), suits[number], error.problems))
        person = next((optical[name, number] for name in ("S1", "S2", FULL_ROUND) if (name, number) in optical), None)
        for name in _names(number, fields, optical, full=full):
            cameras = optical.get((name, number))
            rounds.append(
                Round(
                    raw, Key(dataset, subject, name, "all"), number,
                    suits[number] if name in fields else None, fields.get(name), cameras, cameras or person,
                )
            )  # fmt: skip
    if not rounds and not unreadable:
        raise DataError(f"holds no round of MoVi; {LAYOUT}", where=raw)
    return rounds, unreadable


def _files(raw: Path) -> tuple[dict[int, Path], dict[tuple[str, int], Path]]:
    suits: dict[int, Path] = {}
    optical: dict[tuple[str, int], Path] = {}
    for path in sorted(raw.rglob("*.[mM][aA][tT]")):
        if match := _SUIT.fullmatch(path.name):
            _refuse_twin(raw, suits.setdefault(int(match[1]), path), path)
        elif match := _OPTICAL.fullmatch(path.name):
            _refuse_twin(raw, optical.setdefault((match[1].upper(), int(match[2])), path), path)
    return suits, optical


def _refuse_twin(raw: Path, first: Path, path: Path) -> None:
    if first != path:
        raise DataError(f"holds {path.name} twice, as {first} and {path}; keep one of them", where=raw)


def _fields_by_round(path: Path) -> dict[str, str]:
    """Return {round: field}; the synchronised field of a round goes before the raw one."""
    variables = mat_fields(path)
    if SUIT_VARIABLE not in variables:
        raise DataError(
            f"expected a variable '{SUIT_VARIABLE}', found {', '.join(variables) or 'none'}; is it MoVi's file?",
            where=path,
        )
    present = variables[SUIT_VARIABLE]
    found = {}
    for name in _SUIT_ROUNDS:
        field = next((field for field in (name + _SYNCHED, name) if field in present), None)
        if field is not None:
            found[name] = field
    if not found:
        raise DataError(f"'{SUIT_VARIABLE}' holds none of the rounds {', '.join(_SUIT_ROUNDS)}", where=path)
    return found


def _names(
    number: int, fields: Mapping[str, str], optical: Mapping[tuple[str, int], Path], *, full: bool
) -> Iterator[str]:
    for name in (FULL_ROUND, *_SUIT_ROUNDS):
        if name == FULL_ROUND:
            wanted = full and (name, number) in optical
        else:
            wanted = name in fields or (name in _OPTICAL_ROUNDS and (name, number) in optical)
        if wanted:
            yield name
