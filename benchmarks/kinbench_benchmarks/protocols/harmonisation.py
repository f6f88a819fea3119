"""``harmonisation-off``: what each step that makes two laboratories' data comparable is worth, one step at a time.

The folds of ``cross-dataset`` between two datasets, tested as if one step had been left out of the target's conversion.
Nothing is fitted anew. Only steps that can be undone on a task's inputs are here. Others take another conversion, or
another task, and are not imitated: resampling without a filter against aliases, gaps left open, and sensors left in
their own axes (a task in sensor axes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kinbench.errors import NotApplicable
from kinbench.perturbations import Change
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry
from kinbench.schema import GRAVITY
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.transfer import over_pairs, transfer_fold

LATE_S = 0.1
"""How late sensors are whose clock was not aligned: little against the seconds between two devices started by hand, and
as much as a radio link holds back."""
THEIR_AXES = "x-zy"
"""x ahead, y left, z up: the axes of many a camera system and robot, where ours are x ahead, y up, z right."""


@dataclass(frozen=True)
class Step:
    """One step of harmonisation and what its absence does to inputs."""

    name: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class HarmonisationOff:
    """The pairs of ``cross-dataset``, the target tested with every step, and without each."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return, per pair of datasets, one fold for each ``step`` left out, 'none' first.

        A step that changes nothing of the task's inputs is told in the notes. Raises ``NotApplicable`` as
        ``cross-dataset`` does.
        """
        steps, missing = steps_of(task)
        return over_pairs(
            self.card, entries, task,
            lambda source, target: [_without(transfer_fold(source, target, task), step, missing) for step in steps],
            lambda own: [],
        )  # fmt: skip


def steps_of(task: Task) -> tuple[list[Step], tuple[str, ...]]:
    """Return the steps that a task's inputs can feel, and why the others are not among them."""
    vectors = {"acc", "gyr"} & set(task.channels)
    if any(name.removesuffix("_norm") not in vectors for name in task.channels):
        raise NotApplicable(f"the task '{task.name}' has lengths without their vectors, and no step can be undone.")
    steps = [
        Step("none"),
        Step("clocks", (Change.of("late", samples=max(1, round(LATE_S * task.rate_hz))),)),
    ]
    notes = []
    if "acc" in vectors:
        steps += [
            Step("unit of acc", (Change.of("scale", acc=1 / GRAVITY),)),
            Step("sign of acc", (Change.of("scale", acc=-1.0),)),
        ]
    if "gyr" in vectors:
        steps.append(Step("unit of gyr", (Change.of("scale", gyr=math.degrees(1.0)),)))
    if task.axes == "segment":
        steps.append(Step("segment axes", (Change.of("axes", order=THEIR_AXES),)))
    else:
        notes.append("segment axes are no step here: the task is in sensor axes")
    if task.per_leg and task.axes == "segment":
        steps.append(Step("mirrored left legs", (Change.of("unmirrored"),)))
    else:
        notes.append("mirroring is no step here: the task mirrors no leg")
    return steps, tuple(notes)


def _without(fold: Fold, step: Step, notes: tuple[str, ...]) -> Fold:
    return replace(
        fold, name=f"{fold.name}: without {step.name}" if step.changes else f"{fold.name}: with all steps",
        condition={"step": step.name}, test_changes=step.changes, notes=(*fold.notes, *notes),
    )  # fmt: skip


HARMONISATION_OFF = HarmonisationOff(
    ProtocolCard(
        name="harmonisation-off",
        version=1,
        title="without one step of harmonisation",
        description="The pairs of 'cross-dataset', the target tested as if one step had been left out of its "
        f"conversion: clocks (sensors {LATE_S * 1000:g} ms late), units (g, deg s-1), sign of the acceleration, "
        f"segment axes ('{THEIR_AXES}': z up), mirrored left legs. Not here, since they take another conversion or "
        "task: filtering against aliases, bridged gaps, and the turn from sensor to segment axes.",
        sees="nothing",
        scope="datasets",
        ranks=False,
        study=True,
    )
)
