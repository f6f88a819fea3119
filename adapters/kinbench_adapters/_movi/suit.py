"""The suit's signals: which columns are whose, by their headers, and what they say of their units."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.arrays import Tree, read_mat_tree
from kinbench_adapters._movi.rounds import SUIT_VARIABLE
from kinbench_adapters._movi.trees import numbers, struct, texts

FloatArray = NDArray[np.float64]

RATE_HZ = 120.0
"""Of the suit and of the cameras (Ghorbani et al. 2021)."""

WIDTHS = {"X": 3, "V": 3, "Q": 4, "A": 3, "W": 3}
"""Columns of one joint: displacement (m), velocity (m s-1), quaternion, acceleration (g), angular rate (rad s-1)."""

_JOINT = re.compile(r"(?<!\d)\d{2}(?!\d)")
_KIND = re.compile(r"(?<![A-Za-z])(?P<kind>[XVQAW])(?P<between>[^A-Za-z]*)(?P<part>[A-Za-z]?)$")
_DIGIT = re.compile(r"(?<!\d)\d$")
_PARTS = {3: "xyz", 4: "wxyz"}
_FEWEST = 4

ACC_RANGE_G = (0.6, 1.6)
"""A person's median acceleration lies in here, in g, whatever they do; in m s-2 it would be near 9.8."""
GYR_LIMIT_RAD_S = 60.0
"""No suit of this kind ranges to it (2000 deg s-1 are 35 rad s-1); one sample in a hundred above it is not rad s-1."""

_LIMITS = (("A", 200.0, "g"), ("W", 4000.0, "rad s-1"), ("Q", 2.0, "of a unit quaternion"))
"""What no body and no such sensor reaches, in whatever unit the numbers may be."""


@dataclass(frozen=True)
class SuitRound:
    """One round of the suit: ``data`` (n, 336), and the columns of each joint's kinds, in the order x, y, z."""

    data: FloatArray
    joints: tuple[str, ...]
    columns: Mapping[tuple[str, str], tuple[int, ...]]

    def signal(self, joint: str, kind: str) -> FloatArray:
        """Return (n, 3) of ``A`` in g or ``W`` in rad s-1, or (n, 4) of ``Q``, of one joint."""
        return self.data[:, list(self.columns[joint, kind])]


def read_suit(path: Path, field: str) -> SuitRound:
    """Read one round of a suit file; raises ``DataError`` with all that is wrong with it."""
    tree = read_mat_tree(path, keep=(f"{SUIT_VARIABLE}.{field}.*",))
    round_ = struct(struct(tree, SUIT_VARIABLE, path), field, path)
    data = numbers(round_, "data", path, (None, None))
    if len(data) < _FEWEST:
        raise DataError(f"'{SUIT_VARIABLE}.{field}' holds {len(data)} samples: the round is empty", where=path)
    return SuitRound(data, *_columns(round_, data.shape[1], field, path))


def _columns(
    round_: Mapping[str, Tree], width: int, field: str, path: Path
) -> tuple[tuple[str, ...], dict[tuple[str, str], tuple[int, ...]]]:
    headers, names = texts(round_, "dataHeader", path), texts(round_, "jointNames", path)
    codes = texts(round_, "jointNumbers", path)
    place = f"'{SUIT_VARIABLE}.{field}'"
    if len(headers) != width:
        raise DataError(f"{place} has {width} columns and {len(headers)} headers for them", where=path)
    if len(names) != len(codes) or len(set(names)) != len(names) or len(set(codes)) != len(codes):
        raise DataError(
            f"{place}: expected one number for each joint, found {len(codes)} for {len(names)} names, or some twice",
            where=path,
        )
    joint_of = dict(zip(codes, names, strict=True))
    found: dict[tuple[str, str], dict[str, int]] = {}
    problems = []
    for index, header in enumerate(headers):
        parsed = parse_header(header, codes)
        if parsed is None:
            problems.append(f"{place}: column {index + 1} is headed '{header}', expected one like '01-A-x'")
            continue
        code, kind, part = parsed
        parts = found.setdefault((joint_of[code], kind), {})
        part = part or str(len(parts) + 1)
        if part in parts:
            problems.append(f"{place}: column {index + 1} is headed '{header}', as another one is")
        parts[part] = index
    if not problems:
        problems = [f"{place}: {text}" for text in _incomplete(names, found)]
    if problems:
        raise DataError(problems[:10], where=path)
    return tuple(names), {key: _ordered(parts) for key, parts in found.items()}


def parse_header(header: str, codes: Sequence[str]) -> tuple[str, str, str] | None:
    """Return (joint number, kind, part) of a column's header, None where it does not tell exactly one joint and kind.

    Of the headers it is known that they hold the joint's two digits and the kind's capital letter; how they are put
    together is not, so ``01-A-x``, ``01Ax``, ``A01_x`` and ``Hip-01-A-x`` are all read. ``part`` is ``x``, ``y``,
    ``z``, ``w`` (also written ``s``), a digit, or empty.
    """
    joints = {code for code in _JOINT.findall(header) if code in codes}
    match = _KIND.search(header)
    if len(joints) != 1 or match is None:
        return None
    digit = _DIGIT.search(match["between"])
    part = match["part"].lower() or ("" if digit is None else digit[0])
    return joints.pop(), match["kind"], "w" if part == "s" else part


def _incomplete(names: Sequence[str], found: Mapping[tuple[str, str], Mapping[str, int]]) -> list[str]:
    problems = []
    for name in names:
        for kind, width in WIDTHS.items():
            parts = set(found.get((name, kind), ()))
            numbered = ({str(i + start) for i in range(width)} for start in (0, 1))
            if parts != set(_PARTS[width]) and parts not in numbered:
                told = ", ".join(sorted(parts)) or "none"
                problems.append(f"joint '{name}' should have {width} columns of kind {kind}, and has {told}")
    return problems


def _ordered(parts: Mapping[str, int]) -> tuple[int, ...]:
    order = _PARTS[len(parts)] if set(parts) == set(_PARTS[len(parts)]) else sorted(parts)
    return tuple(parts[part] for part in order)


def refuse_units(suit: SuitRound, path: Path) -> None:
    """Raise ``DataError`` where accelerations cannot be in g, angular rates not in rad s-1, or a number is nobody's."""
    tamed, wild = {}, []
    for kind, limit, unit in _LIMITS:
        values = np.concatenate([suit.signal(joint, kind) for joint in suit.joints], axis=1)
        beyond = np.abs(values) > limit
        tamed[kind] = np.where(beyond, np.nan, values)
        if beyond.any():
            wild.append(f"{int(beyond.sum())} numbers of kind {kind} lie beyond {limit:g} {unit}; the file is damaged")
    problems = _unit_problems(tamed["A"], tamed["W"]) or wild
    if problems:
        raise DataError(problems, where=path)


def _unit_problems(acc: FloatArray, gyr: FloatArray) -> list[str]:
    size = np.linalg.norm(acc.reshape(len(acc), -1, 3), axis=-1)
    known = size[np.isfinite(size) & (size > 0)]
    middle = float(np.median(known)) if known.size else float("nan")
    problems = []
    if not ACC_RANGE_G[0] <= middle <= ACC_RANGE_G[1]:
        problems.append(f"expected accelerations in g, of median size near 1, found {middle:.3g}")
    rate = np.abs(gyr[np.isfinite(gyr)])
    if not rate.size or np.percentile(rate, 99) > GYR_LIMIT_RAD_S:
        told = f"99 % below {np.percentile(rate, 99):.3g}" if rate.size else "none"
        problems.append(f"expected angular rates in rad s-1, up to {GYR_LIMIT_RAD_S:g}, found {told}")
    return problems
