"""What inspection made of each planted copy, and of all copies of a dataset that bear the same mistake."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kinbench import inspection
from kinbench.inspection import Finding
from kinbench.recording import Recording
from planted.plants import PLANTS, Plant

OUTCOMES = ("named", "found", "not assessed", "missed")
"""Named: a new failure has the right cause. Found: a new failure has another. Not assessed: none has, and no check that
speaks of this mistake passes. Missed: none has, and one passes."""


def failing(findings: Iterable[Finding]) -> Counter:
    return Counter((f.check, f.where, f.kind) for f in findings if f.verdict == "FAIL")


@dataclass(frozen=True)
class Told:
    """What became of a copy: the outcome, the causes newly named, in the order in which a reader meets them."""

    outcome: str
    causes: tuple[str, ...] = ()
    first: bool = False
    alone: bool = False

    @staticmethod
    def of(plant: Plant, causes: Iterable[str], otherwise: str) -> Told:
        told = tuple(dict.fromkeys(causes))
        right = [cause in plant.causes for cause in told]
        outcome = "named" if any(right) else "found" if told else otherwise
        return Told(outcome, told, bool(right) and right[0], bool(right) and all(right))


def outcome(plant: Plant, before: list[Finding], after: list[Finding], sensor: str, size: float = 0.0) -> Told:
    """Return what became of one planted copy; ``size`` is the mistake's, where a pass may hold up to it only."""
    known = failing(before)
    new = []
    for f in after:
        if f.verdict == "FAIL":
            key = (f.check, f.where, f.kind)
            known[key] -= 1
            if known[key] < 0:
                new.append(f.kind)
    checks = plant.checks
    if sensor.startswith("Z:"):
        checks = tuple(check for check in checks if check != "axes against the reference")  # which looks at Z alone
    name = sensor.removeprefix("Z:")
    passes = any(
        f.verdict == "PASS" and f.check in checks and (name in f.where or f.where in ("imu", "imu.gyr"))
        and not (f.within is not None and size <= f.within)
        for f in after
    )  # fmt: skip
    return Told.of(plant, new, "missed" if passes else "not assessed")


def pooled_outcome(
    plant: Plant, before: Mapping[str, list[Finding]], after: Mapping[str, list[Finding]], each: Iterable[str]
) -> Told:
    """Return what the pooled verdicts alone say of a dataset all of whose recordings bear the same mistake.

    The causes are those of the pooled verdicts, the one that most places fail by before others. Where none is new, the
    mistake is missed when any copy missed it.
    """
    known = {(one.check, one.cause, where) for one in inspection.pool(before) for where in one.where}
    new = [
        one for one in inspection.pool(after)
        if one.verdict == "FAIL" and not {(one.check, one.cause, where) for where in one.where} <= known
    ]  # fmt: skip
    causes = [one.cause.partition(":")[0] for one in new]
    return Told.of(plant, causes, "missed" if "missed" in set(each) else "not assessed")


def anywhere(pooled: Told, each: Iterable[str]) -> Told:
    """Return what a reader of every finding is told: the mistake is named where the pool, or any copy, names it."""
    outcomes = {pooled.outcome, *each}
    return replace(pooled, outcome=next((name for name in ("named", "found") if name in outcomes), pooled.outcome))


def informed(recording: Recording) -> bool:
    """Whether there is an orientation, or a reference that moves with the body, to compare with."""
    reference = recording.reference
    return "quat" in recording.imu or (reference is not None and bool({"angle", "segment_quat"} & set(reference)))


def fine(recording: Recording) -> bool:
    """Whether segment orientations and gyros resolve a quarter of a sample."""
    reference = recording.reference
    return reference is not None and "segment_quat" in reference and "gyr" in recording.imu


UNDER = "sync under a sample"
"""Lags that joint angles do not resolve: shown, and not counted among all."""


def seed_of(dataset: str, number: int, plant: int) -> np.random.Generator:
    return np.random.default_rng([sum(map(ord, dataset)), number, plant])


def is_short(recording: Recording) -> bool:
    """Whether a recording is looked at together with others of its person: they all bear the very same mistake."""
    short = inspection.Short()
    short.add(recording)
    return bool(short.groups)


def joined(each: Iterable[Recording]) -> dict[str, list[Finding]]:
    """Return the findings on short recordings laid one behind the other."""
    short = inspection.Short()
    for recording in each:
        short.add(recording)
    return inspection.check_joined(short)


Level = Literal["copy", "pooled", "anywhere"]


@dataclass(frozen=True)
class Row:
    """One planted copy, or one dataset of them, as pooled verdicts tell it, or as any of its findings do."""

    dataset: str
    level: Level
    recording: str
    informed: bool
    kind: str
    name: str
    told: Told

    @property
    def outcome(self) -> str:
        return self.told.outcome


def campaign(
    found: Iterable[tuple[str, Recording]], wanted: Callable[[int, int], bool] = lambda recording, plant: True
) -> Iterator[Row]:
    """Yield a row for each planted copy, and for each dataset and plant two of all its copies together."""
    by_dataset: dict[str, list[Recording]] = defaultdict(list)
    for dataset, recording in found:
        by_dataset[dataset].append(recording)
    for dataset, each in by_dataset.items():
        before = {str(recording.key): inspection.check(recording) for recording in each}
        together = joined(each)
        for number, plant in enumerate(PLANTS):
            yield from _planted(dataset, each, before, together, number, plant, wanted)


def _planted(dataset, each, before, together, number: int, plant: Plant, wanted) -> Iterator[Row]:
    after, outcomes, copies, kind, who = {}, [], [], plant.kind, ""
    for index, recording in enumerate(each):
        seed = seed_of(dataset, 0 if is_short(recording) else index, number)
        made = plant.make(recording, seed) if wanted(index, number) else None
        if made is None:
            continue
        key = str(recording.key)
        copy, who = made
        copies.append(copy)
        after[key] = inspection.check(copy)
        told = outcome(plant, before[key], after[key], who, size_of(plant, recording))
        outcomes.append(told.outcome)
        kind = UNDER if under(plant, recording) else plant.kind
        yield Row(dataset, "copy", key, informed(recording), kind, plant.name, told)
    if not after:
        return
    behind = joined(copies)
    known = {**{key: before[key] for key in after}, **together}
    for name, findings in behind.items():
        outcomes.append(outcome(plant, together.get(name, []), findings, who, size_of(plant, each[0])).outcome)
    pooled = pooled_outcome(plant, known, {**after, **behind}, outcomes)
    for level, told in (("pooled", pooled), ("anywhere", anywhere(pooled, outcomes))):
        yield Row(dataset, level, "", any(map(informed, each)), kind, plant.name, told)


def size_of(plant: Plant, recording: Recording) -> float:
    """Return by how many seconds a plant shifts the reference, 0 where it does not."""
    return float(plant.name.split()[0]) * median_step_s(recording) if plant.kind == "sync" else 0.0


def median_step_s(recording: Recording) -> float:
    return float(np.median(np.diff(recording.imu["time"].values)))


def under(plant: Plant, recording: Recording) -> bool:
    return plant.kind == "sync" and plant.name in ("0.25 samples", "0.5 samples") and not fine(recording)
