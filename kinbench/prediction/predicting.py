"""The angles of every recording of a store, as files, with a note wherever they are to be read with care."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from kinbench import __version__, windows
from kinbench.engines import THREADS
from kinbench.errors import DataError, UsageError, suggest
from kinbench.files import new_folder, refuse_folder
from kinbench.prediction.estimation import Angles, estimate
from kinbench.prediction.motions import COORDINATES, motion, table
from kinbench.provenance import Weights
from kinbench.recording import IndexEntry, canonical_person
from kinbench.store import Store
from kinbench.tasks import Task

FORMATS = ("mot", "csv")
MARK = "predictions.json"
"""By this file a folder is known to hold predictions."""
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Estimated:
    """What became of one recording: its file, how much of it has angles, and what to know; or why it has none.

    ``known`` is, per DoF, the share of its time that has an angle; ``rows`` are those of the file; ``at_rest`` counts
    the instants with angles at which the person does not move, where no model is fitted. ``seen`` is whether
    the model knew this ``person``, or this very ``recording``.
    """

    key: str
    person: str
    file: str | None = None
    rows: int = 0
    duration_s: float = 0.0
    known: Mapping[str, float] | None = None
    moving: float | None = None
    at_rest: int = 0
    seen: str | None = None
    notes: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Prediction:
    """What ``predict`` wrote into ``folder``: one entry per recording, and what to know of all of them."""

    folder: Path
    store: Mapping[str, Any]
    weights: Mapping[str, Any]
    recordings: tuple[Estimated, ...]
    notes: tuple[str, ...]

    @property
    def done(self) -> tuple[Estimated, ...]:
        """The recordings that have angles."""
        return tuple(one for one in self.recordings if one.reason is None)

    @property
    def seen(self) -> tuple[str, ...]:
        """The persons, among those with angles, whom the weights were trained on."""
        return tuple(sorted({one.person for one in self.done if one.seen}))

    def text(self) -> str:
        """Return the outcome for a person."""
        lines = [f"left out  {one.key}: {one.reason}" for one in self.recordings if one.reason is not None]
        lines += [f"note      {one.key}: {note}" for one in self.done for note in one.notes]
        lines += [f"note      {note}" for note in self.notes]
        return "\n".join([*lines, f"angles of {len(self.done)} of {len(self.recordings)} recordings in {self.folder}"])

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain JSON values; without ``folder`` it is what ``predictions.json`` holds."""
        return {"folder": str(self.folder), **self._plain()}

    def _plain(self) -> dict[str, Any]:
        return {
            "kinbench": __version__, "store": dict(self.store), "weights": dict(self.weights),
            "persons_trained_on": list(self.seen), "notes": list(self.notes),
            "recordings": [asdict(one) for one in self.recordings],
        }  # fmt: skip


def predict(
    store: Store,
    weights: Weights,
    folder: Path,
    *,
    format: str = "mot",
    keep_still: bool = False,
    force: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> Prediction:
    """Write the angles of every recording of a store into ``folder``, whole or not at all; no reference is needed.

    ``<subject>/<session>/<trial>.mot`` (OpenSim's coordinate names, degrees) or ``.csv``, at the task's rate, in
    seconds from the first imu sample; ``predictions.json`` tells of each recording what to know, above all whether the
    model had seen the person. A model is fitted on people who move: instants at rest have no row in a ``.mot``
    (``keep_still`` keeps them), and ``moving`` 0 in a ``.csv``. Raises ``UsageError`` for a format or folder that
    cannot be, ``DataError`` where no recording has what the task needs, or an answer cannot be believed.
    """
    if format not in FORMATS:
        raise UsageError(f"There is no format '{format}' for angles.{suggest(format, FORMATS)}")
    notes = _notes(weights, format)
    refuse_folder(folder, MARK, force=force)
    entries = store.entries()
    found: list[Estimated] = []
    with new_folder(folder, MARK, force=force) as place, threadpool_limits(limits=THREADS), redirect_stdout(sys.stderr):
        for done, entry in enumerate(entries):
            on_progress(done, len(entries), str(entry.key))
            found.append(_one(store, entry, weights, place, format, keep_still))
        if not any(one.reason is None for one in found):
            raise DataError(_reasons(found, weights.task), where=store.path)
        about = {"name": store.name, "digest": store.digest}
        card = weights.card
        used = {
            "model": card["model"]["selector"], "model_version": card["model"]["version"], "seed": card["seed"],
            "task": weights.task.name, "task_version": weights.task.version, "task_digest": card["task"]["digest"],
            "stores": [part["name"] for part in card["stores"]], "files": dict(card["files"]),
        }  # fmt: skip
        said = Prediction(folder, about, used, tuple(found), (*notes, *_rest(found, format, keep_still)))
        text = json.dumps(said._plain(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (place / MARK).write_text(text + "\n", encoding="utf-8", newline="\n")
    on_progress(len(entries), len(entries), "done")
    return said


def _one(store: Store, entry: IndexEntry, weights: Weights, place: Path, format: str, keep_still: bool) -> Estimated:
    key, task = entry.key, weights.task
    legs = windows.input_legs(entry, task)
    if isinstance(legs, str):
        return Estimated(str(key), entry.person, reason=legs)
    imu, _ = store.read_inputs(key)
    angles = "it has no imu stream" if imu is None else estimate(weights.model, imu, task, legs)
    if isinstance(angles, str):
        return Estimated(str(key), entry.person, reason=angles)
    told = motion(angles, str(key), keep_still=keep_still) if format == "mot" else table(angles, task.quantity)
    if told.whole and not told.rows:
        return Estimated(str(key), entry.person, reason=_AT_REST)
    file = Path(key.subject) / key.session / f"{key.trial}.{format}"
    (place / file).parent.mkdir(parents=True, exist_ok=True)
    (place / file).write_text(told.text, encoding="ascii", newline="\n")
    person = canonical_person(entry.person)
    seen = "recording" if entry.digest in weights.recordings else "person" if person in weights.seen else None
    return Estimated(
        str(key), entry.person, file.as_posix(), told.rows, len(angles.angle) / task.rate_hz,
        {dof: round(float(angles.known[:, column].mean()), 4) for column, dof in enumerate(angles.dofs)},
        round(float(angles.moving.mean()), 4), told.at_rest, seen, _care(entry, task, angles, seen, told.whole, format),
    )  # fmt: skip


def _care(entry: IndexEntry, task: Task, angles: Angles, seen: str | None, whole: int, format: str) -> tuple[str, ...]:
    """Return what to know of one recording's angles; ``whole`` instants have all that a ``.mot`` can hold."""
    notes = []
    if seen is not None:
        notes.append(f"this {seen} was in the training set: do not take these angles for a test of the model")
    if task.activities is not None and entry.activity not in task.activities:
        notes.append(f"its activity is '{entry.activity}', and the model knows {', '.join(task.activities)} only")
    if angles.upsampled:
        notes.append(f"its sensors are slower than the {task.rate_hz:g} Hz that the model takes")
    if angles.padded:
        notes.append(f"{angles.padded} of its stretches are shorter than the model's window of "
                     f"{task.window / task.rate_hz:g} s")  # fmt: skip
    empty = [dof for column, dof in enumerate(angles.dofs) if not angles.known[:, column].any()]
    if empty:
        notes.append(f"no angle of {', '.join(empty)}: a sensor of it holds no valid sample")
    partly = int(angles.known.any(axis=1).sum())
    if format == "mot" and whole < partly:
        notes.append(f"{partly - whole} of {partly} instants have some of its angles only, and are not in the .mot")
    return tuple(notes)


_AT_REST = "nobody moves in it, by the task's rule, and the model knows motion only; --keep-still takes it all the same"


def _rest(found: Sequence[Estimated], format: str, keep_still: bool) -> tuple[str, ...]:
    """Return in one sentence what became of the instants at rest, nothing where there are none."""
    at_rest = sum(one.at_rest for one in found)
    if not at_rest:
        return ()
    if format == "csv":
        became = "have 'moving' 0"
    else:
        became = "are in the .mot all the same" if keep_still else "are not in the .mot (--keep-still keeps them)"
    return (f"{at_rest} instants are of people at rest, where the model was never fitted: they {became}",)


def _notes(weights: Weights, format: str) -> tuple[str, ...]:
    task, notes = weights.task, []
    dofs = [dof for leg in task.legs for dof in task.dofs_of(leg)]
    foreign = [dof for dof in dofs if dof not in COORDINATES]
    if format == "mot" and len(foreign) == len(dofs):
        raise UsageError(f"OpenSim has no coordinate for {', '.join(foreign)}; choose --format csv.")
    if format == "mot" and foreign:
        notes.append(f"OpenSim has no coordinate for {', '.join(foreign)}: --format csv has them")
    if weights.card["simulation"]:
        notes.append("the model was fitted on simulated people: its angles say nothing about real ones")
    if weights.unknown is not None:
        notes.append(
            f"nobody wrote down whom the weights '{weights.unknown}' were trained on, from which these go on: they may "
            "know these people"
        )
    return tuple(notes)


def _reasons(found: Sequence[Estimated], task: Task) -> list[str]:
    counts: dict[str, int] = {}
    for one in found:
        counts[one.reason or ""] = counts.get(one.reason or "", 0) + 1
    return [
        f"no angles for '{task.name}': {reason} ({count} of {len(found)} recordings)"
        for reason, count in counts.items()
    ] or ["it holds no recording"]
