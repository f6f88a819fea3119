"""Leaks planted on purpose, one by one, in made-up data: proof that each guard is awake, and what it says.

The numbers L1.1 to L3.3 are those of Kapoor and Narayanan 2023 (Patterns 4: 100804), letters tell apart what they
mean for movement. The leaks are those that published work on joint angles from worn sensors has, or nearly had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import LeakError
from kinbench.protocol import Fold, Role, Seen, Transform, check_answers, check_causal, check_leaks
from kinbench.recording import Key, Placement, Span, TaskEntry, imu_dataset
from kinbench.tasks import Task
from kinbench.windows import Piece, Samples, TaskData, find_copies, samples_of, sketch_of

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

TASK = Task(
    name="planted", version=1, title="A task to plant leaks in", segments=("shank_r",), channels=("acc", "gyr"),
    dofs=("knee_flexion_r",), rate_hz=100.0, window=50, stride=25,
)  # fmt: skip
SAMPLES, EMBARGO = 6000, 100


@dataclass(frozen=True)
class PlantedLeak:
    """One leak: its name, what it is, the guard that must catch it, and what plants it.

    ``culprits`` are words that the refusal must hold, so that a person can find both sides.
    """

    name: str
    leak: str
    guard: str
    plant: Callable[[], None]
    culprits: tuple[str, ...]


@dataclass(frozen=True)
class Caught:
    """What came of planting one leak: the sentence that refused it, None where nothing did."""

    name: str
    leak: str
    guard: str
    sentence: str | None

    @property
    def caught(self) -> bool:
        """Whether the leak was refused, with both culprits named."""
        return self.sentence is not None

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON values."""
        return asdict(self)


def check_guards(on_progress: Progress = lambda done, total, label: None) -> tuple[Caught, ...]:
    """Plant every leak and return what each guard said; one that passes, or is refused for another reason, has none."""
    rows = []
    for done, planted in enumerate(PLANTED):
        on_progress(done, len(PLANTED), planted.leak)
        rows.append(Caught(planted.name, planted.leak, planted.guard, _sentence(planted)))
    on_progress(len(PLANTED), len(PLANTED), "")
    return tuple(rows)


def _sentence(planted: PlantedLeak) -> str | None:
    try:
        planted.plant()
    except LeakError as leak:
        told = str(leak)
        return told if all(word in told for word in planted.culprits) else None
    return None


# --- made-up people --------------------------------------------------------------------------------------------------


def _entry(key: str, person: str | None = None) -> TaskEntry:
    named = Key.parse(key)
    return TaskEntry(
        named, person or named.person, "walking", "0" * 64, TASK.rate_hz, TASK.window, EMBARGO, ((0, SAMPLES),)
    )


ENTRIES = tuple(_entry(f"lab/S{number}/1/walk") for number in (1, 2, 3, 4))


def _span(number: int, start: int = 0, stop: int = SAMPLES) -> Span:
    return Span(f"lab/S{number}/1/walk", start, stop)


def _fold(**roles: tuple[Span, ...]) -> Fold:
    """Return a clean fold that tests the end of S1 and fits on the others, but for ``roles``."""
    plain: dict[Role, tuple[Span, ...]] = {
        "fit": (_span(3), _span(4)), "validation": (_span(2),), "test": (_span(1, 4800),)
    }  # fmt: skip
    return Fold("S1", ("lab/S1",), ("lab",), "lab", {**plain, **roles})  # type: ignore[dict-item]


def _own(**roles: tuple[Span, ...]) -> Fold:
    """Return a fold within one person's recording, of nothing but a test and ``roles``."""
    return replace(_fold(**{"fit": (), "validation": (), **roles}), individual=True)


def walk(person: int, trial: int = 0, samples: int = SAMPLES, rate_hz: float = TASK.rate_hz) -> FloatArray:
    """Return a made-up leg's angular rate, (n, 3): strides that are never twice the same, of the person's own shape."""
    own, mine = np.random.default_rng(person), np.random.default_rng([person, trial])
    strides = int(samples / rate_hz) + 9
    starts = np.cumsum(np.concatenate([[0.0], mine.normal(1.1, 0.03, strides)]))
    phase = np.interp(np.arange(samples) / rate_hz, starts, np.arange(strides + 1.0))
    height = np.interp(phase, np.arange(strides + 1), mine.normal(1, 0.08, strides + 1))
    waves = np.stack([np.sin(2 * np.pi * (k + 1) * phase + own.uniform(0, 6)) / (1 + k) for k in range(4)], axis=1)
    return np.asarray(height[:, None] * waves @ own.normal(0, 1, (4, 3)))


def _recordings(changed: Mapping[int, FloatArray]) -> dict[str, FloatArray]:
    """Return (n, 6) readings of everybody, acceleration and angular rate, but for those that are ``changed``."""
    made = {}
    for number in (1, 2, 3, 4):
        gyr = walk(number)
        acc = np.gradient(gyr, axis=0) * 20 + np.random.default_rng(number).normal(0, 0.1, gyr.shape)
        made[f"lab/S{number}/1/walk"] = changed.get(number, np.concatenate([acc, gyr], axis=1))
    return made


def _native(changed: Mapping[int, FloatArray]) -> Callable[[str], Samples]:
    values = _recordings(changed)
    return lambda key: samples_of(np.arange(SAMPLES) / TASK.rate_hz, values[key][:, None].astype(np.float32))


def _data(changed: Mapping[int, FloatArray], angle: FloatArray | None = None, task: Task = TASK) -> TaskData:
    """Return the made-up laboratory as a task sees it; ``angle`` (n,) is everybody's, where it is given."""
    values = list(_recordings(changed).values())
    angles = [np.cumsum(v[:, 5] - v[:, 5].mean()) if angle is None else angle for v in values]
    targets = np.concatenate(angles).astype(np.float32)[:, None]
    return TaskData(
        task=task, store_name="lab", entries=ENTRIES, excluded=(),
        pieces=tuple(Piece(number, 0, number * SAMPLES, SAMPLES, ((0, SAMPLES),)) for number in range(4)),
        signals=np.concatenate(values).astype(np.float32), targets=targets,
        labelled=np.ones(targets.shape, dtype=np.bool_), native=(), native_time_s=np.empty(0),
        native_hashes=np.empty(0, dtype=np.uint64),
    )  # fmt: skip


# --- the leaks -------------------------------------------------------------------------------------------------------


def _windows(start: int, stop: int) -> tuple[Span, ...]:
    """Return half-overlapping windows, a span each."""
    return tuple(_span(1, first, first + 50) for first in range(start, stop - 49, 25))


def _check(fold: Fold, entries: tuple[TaskEntry, ...] = ENTRIES, **more: Any) -> None:
    check_leaks(fold, entries, **{"signals": None, **more})


def _random_validation() -> None:
    every = _windows(0, 3000)
    _check(_own(fit=tuple(w for n, w in enumerate(every) if n % 7), validation=every[::7]))


def _in_two_datasets() -> None:
    entries = (*ENTRIES, _entry("movi/Subject_5/S1/all"), _entry("amass/BMLmovi-Subject_5_F/1/walk"))
    fold = _fold(fit=(Span("amass/BMLmovi-Subject_5_F/1/walk", 0, SAMPLES),), test=(Span(
        "movi/Subject_5/S1/all", 0, SAMPLES),))  # fmt: skip
    _check(replace(fold, test_persons=("movi/Subject_5",)), entries)


def _pre_trained(name: str, person: str = "lab/S1") -> None:
    entries = (replace(ENTRIES[0], person=person), *ENTRIES[1:])
    _check(replace(_fold(), test_persons=(person,)), entries, trained_on=(name,))


def _seen_by_weights(name: str) -> None:
    _check(_fold(), seen=(Seen("the weights 'w'", (name,)),))


def _seen_under_another_name() -> None:
    values = _recordings({})
    numbers = {key: _sketch(values[key]) for key in values}
    known = dict.fromkeys(numbers["lab/S1/1/walk"], "borrowed/Q7/1/walk")
    _check(_fold(), seen=(Seen("the search 's'", ("borrowed/Q7",), samples=known),), sketch=numbers.__getitem__)


def _sketch(values: FloatArray) -> tuple[int, ...]:
    """Return what (n, 6) readings of one sensor are known by, under any name."""
    signals = {
        "acc": (values[:, None, :3], {"units": "m s-2", "frame": "sensor", "kind": "specific_force"}),
        "gyr": (values[:, None, 3:], {"units": "rad s-1", "frame": "sensor"}),
    }
    time_s = np.arange(len(values)) / TASK.rate_hz
    return sketch_of(imu_dataset(time_s, [Placement("shank", "shank_r", "right")], signals))


def _as_another(change: Callable[[FloatArray], FloatArray]) -> None:
    disguised = np.concatenate([change(np.gradient(walk(1), axis=0) * 20), change(walk(1))], axis=1)
    _check(_fold(), copies=find_copies([_data({4: disguised})]))


def _resampled(values: FloatArray) -> FloatArray:
    slow = np.arange(0, SAMPLES, 1.6)
    return np.stack([np.interp(np.arange(SAMPLES), slow, column[slow.astype(int)]) for column in values.T], axis=1)


def _renamed_target() -> None:
    readings = _recordings({})["lab/S1/1/walk"]
    angle = 30 + 25 * np.sin(np.cumsum(readings[:, 5]) / 40)
    readings[:, 0] = np.deg2rad(angle)
    check_answers(_data(dict.fromkeys((1, 2, 3, 4), readings), angle), "S1")


def _target_in_parts() -> None:
    readings = _recordings({})["lab/S1/1/walk"]
    angle = 30 + 25 * np.sin(np.cumsum(readings[:, 5]) / 40)
    readings[:, 1] = readings[:, 4] + np.deg2rad(angle) / 2
    check_answers(_data(dict.fromkeys((1, 2, 3, 4), readings), angle), "S1")


def _events_as_inputs() -> None:
    check_answers(_data({}, task=replace(TASK, channels=("gyr", "heel_strike"))), "S1")


def _sees_ahead() -> None:
    x = np.stack([walk(1, trial, 50) for trial in range(6)]).astype(np.float32)
    check_causal(lambda given: given - given.mean(axis=1, keepdims=True), x, "S1")


_BORDERS, _PEOPLE = "check_leaks, borders", "check_leaks, persons"

PLANTED: tuple[PlantedLeak, ...] = (
    PlantedLeak("L1.1", "scored on what it was fitted on", _BORDERS,
                lambda: _check(_own(fit=(_span(1, 0, 5000),))), ("overlap by 200", "fit lab/S1", "test lab/S1")),
    PlantedLeak("L1.2a", "a normaliser fitted on test samples", "check_leaks, transforms",
                lambda: _check(_fold(), transforms=(Transform("z-score", (_span(3), _span(1, 4000, 5000))),)),
                ("transform 'z-score'", "lab/S1/1/walk [4000, 5000)", "test lab/S1")),
    PlantedLeak("L1.2b", "an offset taken from the tested person's own reference", "check_leaks, transforms",
                lambda: _check(_fold(), transforms=(Transform("zero", (_span(1, 0, 500),), "reference"),)),
                ("transform 'zero'", "reference of lab/S1/1/walk", "may see none")),
    PlantedLeak("L1.2c", "a cut nearer than window and filter reach", _BORDERS,
                lambda: _check(_own(fit=(_span(1, 0, 4601),))), ("199 samples apart", "asks for 200")),
    PlantedLeak("L1.2d", "true gait events among the inputs", "check_answers, channels",
                _events_as_inputs, ("heel_strike", "only the reference can tell")),
    PlantedLeak("L1.2e", "a person's own statistics, taken of the test as well", _BORDERS,
                lambda: _check(_fold(unlabelled=(_span(1, 0, 4900),))), ("unlabelled lab/S1", "overlap by 100")),
    PlantedLeak("L1.3", "validation windows drawn among overlapping training windows", _BORDERS,
                _random_validation, ("validation lab/S1", "fit lab/S1", "overlap by 25")),
    PlantedLeak("L1.4a", "one recording twice, under two people's names", "check_leaks, samples",
                lambda: _check(_fold(), signals=_native({4: _recordings({})["lab/S1/1/walk"]})),
                ("person lab/S1", "fit lab/S4", "native samples")),
    PlantedLeak("L1.4b", "one human being in two datasets", _PEOPLE + " by the identity map",
                _in_two_datasets, ("movi/Subject_5 is on both sides", "amass/BMLmovi-Subject_5_F/1/walk in the fit")),
    PlantedLeak("L1.4c", "a turned copy of the test recording", "find_copies",
                lambda: _as_another(lambda v: v @ _turn(0.9)), ("lab/S1", "fit lab/S4", "peak for peak")),
    PlantedLeak("L1.4c", "a mirrored copy, its axes exchanged", "find_copies",
                lambda: _as_another(lambda v: v[:, [2, 0, 1]] * [1, -1, 1]), ("lab/S1", "fit lab/S4", "peak for peak")),
    PlantedLeak("L1.4c", "a copy in degrees per second", "find_copies",
                lambda: _as_another(np.rad2deg), ("lab/S1", "fit lab/S4", "peak for peak")),
    PlantedLeak("L1.4c", "a copy that was resampled", "find_copies",
                lambda: _as_another(_resampled), ("lab/S1", "fit lab/S4", "peak for peak")),
    PlantedLeak("L1.5", "a pre-training card that names the tested person", "check_leaks, pre-training",
                lambda: _pre_trained("lab/S1"), ("names lab/S1", "lab/S1 is tested")),
    PlantedLeak("L1.5", "pre-trained on a set that holds the person by another name", "check_leaks, pre-training",
                lambda: _pre_trained("amass/BMLmovi*", "movi/Subject_5"), ("amass/BMLmovi*", "Subject_5 is tested")),
    PlantedLeak("L1.5", "weights that learnt from the tested person", "check_leaks, pre-training",
                lambda: _seen_by_weights("lab/S1"), ("the weights 'w' learnt from lab/S1", "lab/S1 is tested")),
    PlantedLeak("L1.5", "a search that saw the tested recording under another name", "check_leaks, pre-training",
                _seen_under_another_name, ("borrowed/Q7/1/walk, the same recording as lab/S1/1/walk", "is tested")),
    PlantedLeak("L2.1", "the target among the inputs, by another name and unit", "check_answers, lines",
                _renamed_target, ("shank_r/acc/x", "knee_flexion_r itself")),
    PlantedLeak("L2.1", "the target among the inputs, as the difference of two", "check_answers, lines",
                _target_in_parts, ("straight line", "knee_flexion_r")),
    PlantedLeak("L2.2", "a model said to be causal that sees ahead", "check_causal",
                _sees_ahead, ("claims to be causal", "uses the future")),
    PlantedLeak("L3.2a", "the last training window reaches into the first test window", _BORDERS,
                lambda: _check(_own(fit=_windows(0, 4825), test=_windows(4800, 6000))),
                ("fit lab/S1/1/walk [4775, 4825)", "overlap by 25")),
    PlantedLeak("L3.2b", "a person on both sides, in another session", _PEOPLE,
                lambda: _check(_fold(fit=(Span("lab/S1/2/walk", 0, SAMPLES),)), (*ENTRIES, _entry("lab/S1/2/walk"))),
                ("lab/S1 is on both sides", "lab/S1/2/walk in the fit")),
    PlantedLeak("L3.2c", "a person on both sides, known by an alias", _PEOPLE,
                lambda: _check(_fold(), (*ENTRIES[:3], _entry("lab/S4/1/walk", "lab/S1"))),
                ("lab/S1 is on both sides", "lab/S4/1/walk in the fit")),
    PlantedLeak("L3.2d", "adapted to others, one of whom is tested", _PEOPLE,
                lambda: _check(replace(_fold(adaptation=(_span(1, 0, 3000),)), adapts_to="dataset")),
                ("person lab/S1, who is tested", "adaptation")),
)  # fmt: skip


def _turn(angle_rad: float) -> FloatArray:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    about_z, about_x = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.asarray(about_z @ about_x)
