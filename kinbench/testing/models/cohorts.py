"""Whose windows a model is tried on: made-up ones of any task, or some of a real store's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import NotApplicable
from kinbench.recording import Span
from kinbench.windows import Batches, TaskData, TaskSpec, Unlabelled, concatenate

PAIR = TaskSpec(
    task="conformance/pair", version=1,
    channel_names=tuple(f"{s}/{c}/{a}" for s in ("thigh", "shank") for c in ("acc", "gyr") for a in "xyz"),
    dof_names=("knee_flexion",), segments=("thigh", "shank"), rate_hz=100.0, window=32,
)  # fmt: skip
BODY = TaskSpec(
    task="conformance/body", version=1,
    channel_names=tuple(f"{s}/gyr/{a}" for s in ("pelvis", "thigh_r", "shank_r") for a in "xyz"),
    dof_names=("hip_flexion_r", "knee_flexion_r"), segments=("pelvis", "thigh_r", "shank_r"), rate_hz=50.0, window=25,
)  # fmt: skip
"""An odd window, another rate, several DoFs: what a model may not have in its bones."""

MOST_PERSONS = 6
"""So many people of real stores are enough to try promises on."""
MOST_WINDOWS = 16
"""Of each of them so many windows at a time."""
_MASKED = 0.3


class Cohort(Protocol):
    """Where windows come from: the same ``seed`` gives the same ones, another one others."""

    @property
    def spec(self) -> TaskSpec:
        """What the windows are of."""
        ...

    def windows(self, seed: int, *, people: int = 3, clean: bool = True) -> Batches:
        """Return windows of so many people; not ``clean``: with holes, which are a missing sensor and masked targets.

        Holes are the first sensor missing from the first person's signals (NaN, ``present`` False) and masked targets
        (NaN).
        """
        ...


@dataclass(frozen=True)
class MadeUp:
    """People who never lived: smooth signals, angles that depend on them."""

    spec: TaskSpec
    oriented: bool = False
    """Whether the task has orientations of segments to learn from."""

    def windows(self, seed: int, *, people: int = 3, clean: bool = True) -> Batches:
        """Return synthetic windows."""
        made = windows(self.spec, seed, people=people, clean=clean)
        if not self.oriented:
            return made
        turns = np.random.default_rng(seed).normal(size=(1, len(self.spec.segments), 4))
        turns = turns / np.linalg.norm(turns, axis=2, keepdims=True)
        return replace(made, orientations=np.repeat(turns, len(made.signals), axis=0).astype(np.float32))


@dataclass(frozen=True)
class Recorded:
    """Windows of real people, ``persons`` of one part each."""

    persons: tuple[Batches, ...]

    @property
    def spec(self) -> TaskSpec:
        """What the windows are of."""
        return self.persons[0].spec

    def windows(self, seed: int, *, people: int = 3, clean: bool = True) -> Batches:
        """Return a stretch of windows of some people: other people, or another stretch, for another seed."""
        rng = np.random.default_rng(seed)
        chosen = []
        for number in range(people):
            batches = self.persons[(seed + number) % len(self.persons)]
            begin = int(rng.integers(max(len(batches) - MOST_WINDOWS, 0) + 1))
            kept = np.arange(len(batches))[begin : begin + MOST_WINDOWS]
            chosen.append(replace(_own_rows(batches, kept), person=np.full(kept.size, number, dtype=np.int64)))
        found = concatenate(chosen)
        return found if clean else _with_holes(found, rng)


def recorded(data: Sequence[TaskData]) -> Recorded:
    """Return some people of some stores as one task sees them. Raises ``NotApplicable`` where no window is labelled."""
    persons: list[Batches] = []
    for store in data:
        names = list(dict.fromkeys(entry.person for entry in store.entries))
        for name in names[: MOST_PERSONS - len(persons)]:
            whole = [Span(str(e.key), 0, np.iinfo(np.int64).max) for e in store.entries if e.person == name]
            batches = store.batches(whole)
            if len(batches):
                persons.append(batches)
    if not persons:
        raise NotApplicable("No store in the data folder holds a labelled window of the task; try it without --data.")
    return Recorded(tuple(persons))


# --- made-up windows -------------------------------------------------------------------------------------------------


def windows(spec: TaskSpec, seed: int, *, people: int = 3, clean: bool = True) -> Batches:
    """Return synthetic windows: smooth signals, angles that depend on them; not ``clean``: with holes.

    Holes are one sensor missing from the first person's signals (NaN, ``present`` False) and masked targets (NaN).
    """
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(12).normal(size=(len(spec.channel_names), len(spec.dof_names)))
    samples = 12 * spec.window
    signals = []
    for _ in range(people):
        t = np.arange(samples)[:, None] / spec.rate_hz
        phase = rng.uniform(0, 2 * np.pi, len(spec.channel_names))
        signals.append(2.0 * np.sin(2 * np.pi * rng.uniform(0.8, 1.3, phase.size) * t + phase))
    x = np.concatenate(signals)
    y = 20.0 + 8.0 * x @ mixing
    x += rng.normal(0, 0.1, x.shape)
    begins = np.arange(0, samples - spec.window + 1, spec.window // 2)
    starts = (np.arange(people)[:, None] * samples + begins).reshape(-1)
    person = np.repeat(np.arange(people), begins.size)
    made = Batches(
        x.astype(np.float32), y.astype(np.float32), np.ones(y.shape, dtype=bool), starts.astype(np.int64),
        person.astype(np.int64), np.ones((starts.size, len(spec.segments)), dtype=bool), spec,
    )  # fmt: skip
    return made if clean else _with_holes(made, rng)


def _with_holes(batches: Batches, rng: np.random.Generator) -> Batches:
    """Return the windows without the first sensor of the first person, and with masked targets."""
    spec, first = batches.spec, batches.person == batches.person[0]
    mine = [name.split("/")[0] == spec.segments[0] for name in spec.channel_names]
    signals, present = batches.signals.copy(), batches.present.copy()
    rows = (batches.starts[first][:, None] + np.arange(spec.window)).reshape(-1)
    signals[np.ix_(rows, np.flatnonzero(mine))] = np.nan
    present[first, 0] = False
    labelled = batches.labelled & (rng.random(batches.targets.shape) > _MASKED)
    targets = np.where(labelled, batches.targets, np.float32(np.nan))
    return replace(batches, signals=signals, targets=targets, labelled=labelled, present=present)


# --- parts -----------------------------------------------------------------------------------------------------------


def none_of(batches: Batches) -> Batches:
    """Return no window, of the same task."""
    return of_windows(batches, np.zeros(len(batches), dtype=bool))


def of_persons(batches: Batches, persons: Sequence[int]) -> Batches:
    """Return some people's windows."""
    return of_windows(batches, np.isin(batches.person, persons))


def of_windows(batches: Batches, chosen: NDArray[np.bool_]) -> Batches:
    """Return some windows (n,), over the same flat arrays."""
    return replace(
        batches, starts=batches.starts[chosen], person=batches.person[chosen], present=batches.present[chosen]
    )  # fmt: skip


def _own_rows(batches: Batches, kept: NDArray[np.int64]) -> Batches:
    """Return some windows that follow each other, with the rows that are theirs and no others."""
    starts = batches.starts[kept]
    first, last = int(starts.min()), int(starts.max()) + batches.spec.window
    return replace(
        batches, signals=batches.signals[first:last], targets=batches.targets[first:last],
        labelled=batches.labelled[first:last], starts=starts - first, person=batches.person[kept],
        present=batches.present[kept],
        orientations=None if batches.orientations is None else batches.orientations[first:last],
    )  # fmt: skip


def bytes_of(batches: Batches) -> tuple[bytes, ...]:
    """Return all that a model could change of the windows it is given."""
    return tuple(
        array.tobytes() for array in (batches.signals, batches.targets, batches.labelled, batches.starts)
    )  # fmt: skip


def worn_otherwise(batches: Batches) -> Unlabelled:
    """Return the inputs with channels moved and stretched, as by sensors that are worn elsewhere."""
    return replace(batches, signals=np.float32(1.5) * batches.signals + np.float32(0.5)).unlabelled()
