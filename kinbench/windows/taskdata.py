"""One store as one task sees it: training windows inside spans, test windows that score every sample once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError, UsageError
from kinbench.perturbations import Change, Leg, perturb
from kinbench.recording import Span, TaskEntry
from kinbench.tasks import Task
from kinbench.windows.batches import Batches, BoolArray, Float32Array, IntArray, TaskSpec
from kinbench.windows.fingerprints import HashArray, Samples


@dataclass(frozen=True)
class Piece:
    """One leg of one recording in the flat arrays: sample k of its grid is row ``offset + k``.

    ``entry`` and ``leg`` are numbers into ``TaskData.entries`` and ``Task.legs``. ``runs`` are the stretches on which
    this leg has inputs, moves and is labelled on all DoFs.
    """

    entry: int
    leg: int
    offset: int
    samples: int
    runs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class NativePiece:
    """What the leak check compares of one recording, in the flat arrays: ``samples`` times from row ``time``, and
    ``runs`` by ``columns`` hashes from element ``hashes``.
    """

    time: int
    samples: int
    hashes: int
    runs: int
    columns: int


class Predictions(TypedDict):
    """One prediction for every covered sample: numbers of entry, leg and grid sample (m,), and degrees (m, dof)."""

    key: IntArray
    leg: IntArray
    sample: IntArray
    prediction: Float32Array


class Stretch(NamedTuple):
    """Samples [start, stop) of one piece."""

    piece: Piece
    start: int
    stop: int


class Places(NamedTuple):
    """Where windows stand: numbers of entry and leg, and the grid sample each begins at, (n,) each."""

    entry: IntArray
    leg: IntArray
    sample: IntArray


@dataclass(frozen=True)
class TestWindows:
    """Windows that cover every valid sample of some spans, tail included; it holds inputs and no answers.

    Window i is rows ``starts[i]`` to ``starts[i] + lengths[i]`` of the flat signals, its last row repeated up to the
    window where a run is shorter (``padded`` counts such runs). ``positions[i]`` is where its first sample stands
    among the covered samples, which ``key``, ``leg`` and ``sample`` name.
    """

    signals: Float32Array
    window: int
    starts: IntArray
    lengths: IntArray
    positions: IntArray
    key: IntArray
    leg: IntArray
    sample: IntArray
    padded: int

    def __len__(self) -> int:
        return int(self.starts.size)

    @property
    def x(self) -> Float32Array:
        """All inputs, (n, time, channel) float32 in SI units."""
        step = np.minimum(np.arange(self.window)[None, :], self.lengths[:, None] - 1)
        return np.asarray(self.signals[self.starts[:, None] + step], dtype=np.float32)

    def checked(self, answer: ArrayLike, dofs: int) -> Float32Array:
        """Return a model's answer to ``x`` as (n, time, dof) float32 degrees.

        Raises ``DataError`` where it has another shape, holds no numbers, or one that is not finite.
        """
        values, expected = np.asarray(answer), (len(self), self.window, dofs)
        if values.shape != expected or values.dtype.kind not in "fiu":
            raise DataError(
                f"the model was to answer {expected} numbers (window, time, DoF), but answered {values.shape} of type "
                f"{values.dtype}"
            )
        with np.errstate(over="ignore"):  # an overflow to infinity is told just below
            values = values.astype(np.float32)
        wrong = int(values.size - np.isfinite(values).sum())
        if wrong:
            raise DataError(f"{wrong} of {values.size} values that the model answered are not finite")
        return values

    def assemble(self, predictions: NDArray[np.floating]) -> Predictions:
        """Return one prediction per covered sample from (n, time, dof): overlaps averaged in float64, padding dropped.

        Raises ``UsageError`` when the shape is not that of the windows.
        """
        expected = (len(self), self.window)
        if predictions.ndim != 3 or predictions.shape[:2] != expected:
            raise UsageError(
                f"The model returned predictions of shape {predictions.shape}; expected "
                f"({expected[0]}, {expected[1]}, dof), one for every sample of every window."
            )
        steps = np.arange(self.window)
        inside = steps < self.lengths[:, None]
        at = (self.positions[:, None] + steps)[inside]
        # bincount adds in the order of the windows, in float64: the same bits on every machine.
        count = np.bincount(at, minlength=self.key.size)
        total = np.stack([np.bincount(at, column, self.key.size) for column in predictions[inside].T], axis=1)
        return Predictions(
            key=self.key, leg=self.leg, sample=self.sample,
            prediction=(total / count[:, None]).astype(np.float32),
        )  # fmt: skip


def cover(stretches: Iterable[Stretch], signals: Float32Array, task: Task) -> TestWindows:
    """Return windows that cover every sample of some stretches of flat signals (rows, channel), tails included.

    Windows stay inside one stretch, ``task.stride`` apart; a stretch shorter than a window is padded at its edge.
    """
    window, stride = task.window, task.stride
    starts, lengths, positions, key, leg, sample = ([np.empty(0, dtype=np.int64)] for _ in range(6))
    covered = padded = 0
    for piece, start, stop in stretches:
        length = stop - start
        first = np.arange(0, max(length - window, 0) + 1, stride, dtype=np.int64)
        if first[-1] + window < length:
            first = np.append(first, length - window)
        starts.append(first + start + piece.offset)
        lengths.append(np.full(first.size, min(window, length), dtype=np.int64))
        positions.append(first + covered)
        key.append(np.full(length, piece.entry, dtype=np.int64))
        leg.append(np.full(length, piece.leg, dtype=np.int64))
        sample.append(np.arange(start, stop, dtype=np.int64))
        covered += length
        padded += length < window
    return TestWindows(
        signals=signals, window=window, starts=np.concatenate(starts), lengths=np.concatenate(lengths),
        positions=np.concatenate(positions), key=np.concatenate(key), leg=np.concatenate(leg),
        sample=np.concatenate(sample), padded=padded,
    )  # fmt: skip


@dataclass(frozen=True)
class TaskData:
    """The recordings of one store that can feed a task, resampled, in segment axes, as flat arrays.

    ``signals`` (rows, channel) float32 in SI units (NaN where masked), ``targets`` (rows, dof) float32 in the
    quantity's unit, ``labelled`` (rows, dof) bool; ``pieces`` say which rows belong to which leg of which of the
    ``entries``. ``excluded`` names the recordings that cannot feed the task, and why. ``native_time_s`` (rows,) and
    ``native_hashes`` (elements,) hold what the leak check compares, ``native`` where it stands, one per entry.
    ``stance`` (rows,), of loads only, is where the foot bears weight; ``orientations`` (rows, segment, 4) are those of
    a task that asks for them, as ``Batches`` has them.
    """

    task: Task
    store_name: str
    entries: tuple[TaskEntry, ...]
    excluded: tuple[tuple[str, str], ...]
    pieces: tuple[Piece, ...]
    signals: Float32Array
    targets: Float32Array
    labelled: BoolArray
    native: tuple[NativePiece, ...]
    native_time_s: NDArray[np.float64]
    native_hashes: HashArray
    stance: BoolArray | None = None
    orientations: Float32Array | None = None

    @property
    def spec(self) -> TaskSpec:
        """What a model may know of the task."""
        return TaskSpec(
            self.task.name, self.task.version, self.task.channel_names, self.task.dofs, self.task.segments,
            self.task.rate_hz, self.task.window,
        )  # fmt: skip

    def batches(self, spans: Sequence[Span]) -> Batches:
        """Return the training windows that lie wholly inside one span and one run, ``task.stride`` samples apart.

        Both legs of a leg-agnostic task give windows. Spans of recordings that this store does not hold are left to
        the stores that do. The rows of the windows are copied: what a model is handed holds nothing of any other span.
        """
        window, stride = self.task.window, self.task.stride
        rows, starts, person = ([np.empty(0, dtype=np.int64)] for _ in range(3))
        padding = [np.empty(0, dtype=bool)]
        copied = 0
        for piece, start, stop in self._stretches(spans):
            if stop - start < self.task.least:
                continue
            first = np.arange(0, max(stop - start - window, 0) + 1, stride, dtype=np.int64)
            length = int(first[-1]) + window
            step = np.arange(start, start + length, dtype=np.int64)
            rows.append(np.minimum(step, stop - 1) + piece.offset)
            padding.append(step >= stop)
            starts.append(first + copied)
            person.append(np.full(first.size, _opaque(self.entries[piece.entry].person), dtype=np.int64))
            copied += length
        kept, begin, padded = np.concatenate(rows), np.concatenate(starts), np.concatenate(padding)
        signals, targets, labelled = self.signals[kept], self.targets[kept], self.labelled[kept]
        targets[padded], labelled[padded] = np.nan, False
        oriented = None if self.orientations is None else self.orientations[kept]
        if oriented is not None:
            oriented[padded] = np.nan
        return Batches(
            signals=signals, targets=targets, labelled=labelled, starts=begin, person=np.concatenate(person),
            present=self._present(signals, begin), spec=self.spec, orientations=oriented,
        )  # fmt: skip

    def _present(self, signals: Float32Array, starts: IntArray) -> BoolArray:
        """Return which sensors each window has (n, segment): a recording may lack those that the task can spare."""
        present = np.ones((starts.size, len(self.task.segments)), dtype=bool)
        each = len(self.task.channel_names) // len(self.task.segments)
        for number, name in enumerate(self.task.segments):
            if name in self.task.optional:
                present[:, number] = np.isfinite(signals[starts, number * each])
        return present

    def narrowed(self, task: Task) -> TaskData:
        """Return the data with the inputs of a task that differs only in having fewer sensors."""
        if task == self.task:
            return self
        kept = [self.task.segments.index(name) for name in task.segments]
        oriented = None if self.orientations is None else self.orientations[:, kept]
        signals = self.signals[:, columns_of(task, self.task.channel_names)]
        return replace(self, task=task, signals=signals, orientations=oriented)

    def changed(self, changes: Sequence[Change], spans: Iterable[Span]) -> TaskData:
        """Return the recordings that the spans touch with changes made; targets too, where one says so.

        A recording is changed whole, so that filters and shifts see what lies beside a span. Of all others the result
        holds no row, so that a change costs what it changes and not what a store holds.
        """
        if not changes:
            return self
        keys = {span.key for span in spans}
        pieces: list[Piece] = []
        legs: list[Leg] = []
        kept: list[slice] = []
        rows = 0
        for piece in self.pieces:
            if str(self.entries[piece.entry].key) in keys:
                legs.append(perturb(self._leg(piece), changes))
                kept.append(slice(piece.offset, piece.offset + piece.samples))
                pieces.append(replace(piece, offset=rows))
                rows += piece.samples
        if not legs:
            return replace(self, pieces=())
        return replace(
            self, pieces=tuple(pieces), signals=np.concatenate([leg.signals for leg in legs]),
            targets=np.concatenate([leg.targets for leg in legs]),
            labelled=np.concatenate([leg.labelled for leg in legs]), stance=None,
            orientations=None if self.orientations is None else np.concatenate([self.orientations[at] for at in kept]),
        )  # fmt: skip

    def _leg(self, piece: Piece) -> Leg:
        entry, rows = self.entries[piece.entry], slice(piece.offset, piece.offset + piece.samples)
        return Leg(
            self.task, entry.person, self.task.legs[piece.leg], self.signals[rows], self.targets[rows],
            self.labelled[rows], str(entry.key),
        )  # fmt: skip

    def places(self, spans: Sequence[Span]) -> Places:
        """Return where the windows of ``batches(spans)`` stand, in the same order."""
        window, stride = self.task.window, self.task.stride
        entry, leg, sample = ([np.empty(0, dtype=np.int64)] for _ in range(3))
        for piece, start, stop in self._stretches(spans):
            if stop - start < self.task.least:
                continue
            first = np.arange(start, max(stop - window, start) + 1, stride, dtype=np.int64)
            entry.append(np.full(first.size, piece.entry, dtype=np.int64))
            leg.append(np.full(first.size, piece.leg, dtype=np.int64))
            sample.append(first)
        return Places(np.concatenate(entry), np.concatenate(leg), np.concatenate(sample))

    def test_windows(self, spans: Sequence[Span]) -> TestWindows:
        """Return windows that cover every valid sample of the spans, ``task.stride`` apart, each with its tail.

        Windows stay inside one span and one run; a run shorter than a window is padded at its edge and counted.
        """
        return cover(self._stretches(spans), self.signals, self.task)

    def truth(self, table: Predictions) -> tuple[Float32Array, BoolArray]:
        """Return (reference (m, dof) in degrees, valid (m, dof)) of the samples of an assembled table."""
        rows = self._rows(table)
        return np.asarray(self.targets[rows]), np.asarray(self.labelled[rows])

    def borne(self, table: Predictions) -> BoolArray | None:
        """Return where the foot bears weight (m,) in an assembled table; None for a task of angles."""
        return None if self.stance is None else np.asarray(self.stance[self._rows(table)])

    def _rows(self, table: Predictions) -> IntArray:
        offsets = np.zeros((len(self.entries), len(self.task.legs)), dtype=np.int64)
        for piece in self.pieces:
            offsets[piece.entry, piece.leg] = piece.offset
        return np.asarray(offsets[table["key"], table["leg"]] + table["sample"])

    def samples(self, key: str) -> Samples:
        """Return the native-rate inputs of one recording, as the leak check compares them.

        Raises ``UsageError`` for a recording that does not feed the task.
        """
        native = self._native_by_key.get(key)
        if native is None:
            raise UsageError(f"Recording '{key}' of store '{self.store_name}' does not feed task '{self.task.name}'.")
        hashes = self.native_hashes[native.hashes : native.hashes + native.runs * native.columns]
        return Samples(
            self.native_time_s[native.time : native.time + native.samples],
            hashes.reshape(native.runs, native.columns),
        )

    @cached_property
    def _native_by_key(self) -> dict[str, NativePiece]:
        return {str(entry.key): native for entry, native in zip(self.entries, self.native, strict=True)}

    def _stretches(self, spans: Iterable[Span]) -> list[Stretch]:
        """Return where spans and runs meet, by recording, leg and time."""
        by_key: dict[str, list[Span]] = defaultdict(list)
        for span in sorted(set(spans)):
            by_key[span.key].append(span)
        return [
            Stretch(piece, max(span.start, start), min(span.stop, stop))
            for piece in self.pieces
            for span in by_key.get(str(self.entries[piece.entry].key), ())
            for start, stop in piece.runs
            if max(span.start, start) < min(span.stop, stop)
        ]


def columns_of(task: Task, names: Sequence[str]) -> list[int]:
    """Return where a task's channels stand among ``names``."""
    return [names.index(name) for name in task.channel_names]


def _opaque(person: str) -> int:
    """Return a number that is the same for the same person in every store, and says nothing else."""
    return int.from_bytes(hashlib.sha256(person.encode()).digest()[:6], "big")
