"""Whether a recording can feed a task, from the index alone; if not, why not, and which variant would fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kinbench import schema
from kinbench.recording import IndexEntry
from kinbench.schema import OPEN_ACTIVITIES
from kinbench.tasks import Task
from kinbench.windows.orientations import HEADING


def applicable(entry: IndexEntry, task: Task, variants: Sequence[Task] = ()) -> str | None:
    """Return why a recording cannot feed a task, or ``None`` where it can.

    ``variants`` are tasks to try in its place; the reason names those of ``task.variants`` that would fit. Without
    any, it names all of ``task.variants`` where another kind of acceleration or raw axes would mend it.
    """
    reason = _reason(entry, task)
    if reason is None:
        return None
    if variants:
        fitting = [other.name for other in variants if other.name in task.variants and _reason(entry, other) is None]
    else:
        fitting = list(task.variants) if any(_reason(entry, other) is None for other in _relaxed(task)) else []
    return f"{reason}; {' or '.join(repr(name) for name in fitting)} would fit" if fitting else reason


def input_legs(entry: IndexEntry, task: Task) -> tuple[str, ...] | str:
    """Return those of the task's legs that a recording has the inputs of, or why it has none.

    Neither a reference nor an activity is asked for: this is for estimating angles, not for scoring them.
    """
    anything = replace(task, activities=None)
    reason = _input_reason(entry, anything)
    if reason is not None:
        return reason
    turned = _turned(entry, task)
    return tuple(leg for leg in task.legs if turned.issuperset(_needed(task, leg))) or _missing(
        entry, anything, labelled=False
    )


def _relaxed(task: Task) -> list[Task]:
    return [
        replace(task, acc_kind="specific_force"),
        replace(task, acc_kind="gravity_removed"),
        replace(task, acc_kind="specific_force", axes="sensor"),
        replace(task, acc_kind="gravity_removed", axes="sensor"),
    ]


def feasible_legs(entry: IndexEntry, task: Task) -> tuple[str, ...]:
    """Return those of the task's legs whose sensors (with a known rotation where it matters) and DoFs are there."""
    turned = _turned(entry, task)
    return tuple(
        leg
        for leg in task.legs
        if turned.issuperset(_needed(task, leg)) and set(_outputs(entry, task)).issuperset(task.dofs_of(leg))
    )


def _needed(task: Task, leg: str) -> list[str]:
    """Return the segments of a leg that need a sensor."""
    optional = {*replace(task, segments=task.optional).segments_of(leg)}
    return [name for name in task.segments_of(leg) if name not in optional]


def _outputs(entry: IndexEntry, task: Task) -> tuple[str, ...]:
    """Return what of the task's quantity a recording's reference holds."""
    known = {"angle": entry.dofs, "grf": entry.forces, "moment": entry.moments}
    if task.quantity == "acceleration":  # of no use without a heading; the position is seen when the recording is read
        return tuple(schema.BODY_ACCELERATIONS) if HEADING in entry.dofs else ()
    return known[task.quantity]


def _turned(entry: IndexEntry, task: Task) -> set[str]:
    return {s.segment for s in entry.sensors if task.axes == "sensor" or s.rotation_origin != "unknown"}


def _reason(entry: IndexEntry, task: Task) -> str | None:
    reason = _input_reason(entry, task)
    if reason is not None:
        return reason
    if not _outputs(entry, task):
        return _UNLABELLED[task.quantity]
    if task.loads and entry.mass_kg is None:
        return "the person's mass is not known, and loads are by mass"
    return None if feasible_legs(entry, task) else _missing(entry, task)


_UNLABELLED = {
    "angle": "it is unlabelled: it has no reference angle",
    "grf": "it has no force plate that is said to be under one foot ('right' or 'left')",
    "moment": "its reference holds no joint moment",
    "acceleration": f"its reference tells no heading ('{HEADING}'), which the body's acceleration is told from",
}


def _input_reason(entry: IndexEntry, task: Task) -> str | None:
    if entry.compat is not None:
        return f"it reproduces a published error on request (compat '{entry.compat}'), and no task takes such data"
    if task.activities is not None and entry.activity not in (*task.activities, *OPEN_ACTIVITIES):
        return f"its activity is '{entry.activity}' and {task.name} takes {', '.join(task.activities)}"
    if entry.imu_rate_hz is None:
        return "it has no imu stream"
    for signal in dict.fromkeys(channel.removesuffix("_norm") for channel in task.channels):
        needed = "quat" if signal == "euler" else signal
        if needed not in entry.signals:
            return f"it has no '{needed}', which {task.name} needs"
    if any(channel.startswith("acc") for channel in task.channels) and entry.acc_kind != task.acc_kind:
        return f"its acceleration is '{entry.acc_kind}' and {task.name} takes '{task.acc_kind}'"
    return None


def _missing(entry: IndexEntry, task: Task, *, labelled: bool = True) -> str:
    """Say what the leg that comes closest lacks."""
    there = {sensor.segment for sensor in entry.sensors}
    turned = {sensor.segment for sensor in entry.sensors if sensor.rotation_origin != "unknown"}
    lacks: list[list[str]] = []
    for leg in task.legs:
        segments, dofs = _needed(task, leg), task.dofs_of(leg)
        lacks.append(
            [f"no sensor on {name}" for name in segments if name not in there]
            + [f"no reference of {name}" for name in dofs if labelled and name not in _outputs(entry, task)]
            + [
                f"no known rotation of the sensor on {name} to its segment"
                for name in segments
                if task.axes == "segment" and name in there and name not in turned
            ]
        )
    fewest = min(lacks, key=len)
    return f"it has {' and '.join(fewest)}"
