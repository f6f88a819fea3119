"""Windows cut lazily from flat signals: labelled ones to fit a model on, and inputs without any answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import UsageError

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class TaskSpec:
    """What a model may know of the task: names and sizes, no data."""

    task: str
    version: int
    channel_names: tuple[str, ...]
    dof_names: tuple[str, ...]
    segments: tuple[str, ...]
    rate_hz: float
    window: int

    def narrowed(self, segments: Sequence[str]) -> TaskSpec:
        """Return the spec with some of its sensors only, in its own order."""
        kept = tuple(name for name in self.segments if name in segments)
        channels = tuple(name for name in self.channel_names if name.split("/")[0] in kept)
        return replace(self, channel_names=channels, segments=kept)


@dataclass(frozen=True)
class Batches:
    """Labelled windows, cut lazily from flat signals: what a model is fitted on.

    ``signals`` (rows, channel) float32 in SI units, ``targets`` (rows, dof) float32 in degrees and ``labelled``
    (rows, dof) bool are flat arrays of the windows' own rows, so that nothing else can be reached from here; window i
    is rows ``starts[i] : starts[i] + spec.window``.
    ``person`` (n,) are opaque numbers; ``present`` (n, segment) tells which sensors exist (a missing one is NaN in
    ``x``). ``y`` holds NaN wherever ``valid`` is False. ``orientations`` (rows, segment, 4) float32, of a task that
    asks for them, are unit quaternions, w first, from segment axes to the walking frame: Y up, X where the person goes,
    left legs mirrored as their signals are; NaN where the reference has none.
    """

    signals: Float32Array
    targets: Float32Array
    labelled: BoolArray
    starts: IntArray
    person: IntArray
    present: BoolArray
    spec: TaskSpec
    orientations: Float32Array | None = None

    def __len__(self) -> int:
        return int(self.starts.size)

    @property
    def x(self) -> Float32Array:
        """All inputs, (n, time, channel) float32. Copies; prefer ``take`` or ``iterate`` for large sets."""
        return _gather(self.signals, self.starts, self.spec.window)

    @property
    def y(self) -> Float32Array:
        """All targets, (n, time, dof) float32 in degrees."""
        return _gather(self.targets, self.starts, self.spec.window)

    @property
    def valid(self) -> BoolArray:
        """Which targets may be learnt from, (n, time, dof) bool."""
        return _gather(self.labelled, self.starts, self.spec.window)

    def take(self, index: IntArray) -> tuple[Float32Array, Float32Array, BoolArray]:
        """Return (x, y, valid) of the windows at ``index``, one gather per array."""
        starts, window = self.starts[index], self.spec.window
        return (
            _gather(self.signals, starts, window),
            _gather(self.targets, starts, window),
            _gather(self.labelled, starts, window),
        )

    def oriented(self, index: IntArray) -> Float32Array:
        """Return the orientations (n, time, segment, 4) of the windows at ``index``.

        Raises ``UsageError`` for windows of a task that has none.
        """
        if self.orientations is None:
            raise UsageError(f"Task '{self.spec.task}' has no orientations to learn from; take its variant 'oriented'.")
        flat = self.orientations.reshape(len(self.orientations), -1)
        found = _gather(flat, self.starts[index], self.spec.window)
        return found.reshape(*found.shape[:2], len(self.spec.segments), 4)

    def iterate(
        self, size: int, generator: np.random.Generator | None = None
    ) -> Iterator[tuple[Float32Array, Float32Array, BoolArray]]:
        """Yield (x, y, valid) in batches of ``size``, shuffled by ``generator`` where one is given."""
        order = np.arange(len(self)) if generator is None else generator.permutation(len(self))
        for begin in range(0, len(self), size):
            yield self.take(order[begin : begin + size])

    def narrowed(self, segments: Sequence[str]) -> Batches:
        """Return the windows with some of their sensors only."""
        spec = self.spec.narrowed(segments)
        if spec == self.spec:
            return self
        columns = [self.spec.channel_names.index(name) for name in spec.channel_names]
        kept = [self.spec.segments.index(name) for name in spec.segments]
        oriented = None if self.orientations is None else self.orientations[:, kept]
        return replace(
            self, signals=self.signals[:, columns], present=self.present[:, kept], spec=spec, orientations=oriented
        )

    def unlabelled(self) -> Unlabelled:
        """Return the inputs of these windows alone."""
        return Unlabelled(self.signals, self.starts, self.present, self.spec)


@dataclass(frozen=True)
class Unlabelled:
    """Windows without answers: what a model may take a person's own statistics of, or learn from before any answer.

    ``signals``, ``starts``, ``present`` and ``spec`` are those of ``Batches``. ``weight`` (n,), where there is one, is
    how often a window is to be drawn beside the others. No target, and nothing that a target could be had from, is
    reachable from here; whoever hands them out alone knows whose the windows are.
    """

    signals: Float32Array
    starts: IntArray
    present: BoolArray
    spec: TaskSpec
    weight: Float32Array | None = None

    def __len__(self) -> int:
        return int(self.starts.size)

    @property
    def x(self) -> Float32Array:
        """All inputs, (n, time, channel) float32. Copies; prefer ``iterate`` for large sets."""
        return _gather(self.signals, self.starts, self.spec.window)

    def take(self, index: IntArray) -> Float32Array:
        """Return the inputs (n, time, channel) of the windows at ``index``."""
        return _gather(self.signals, self.starts[index], self.spec.window)

    def iterate(self, size: int) -> Iterator[Float32Array]:
        """Yield inputs (n, time, channel) in batches of ``size``, in order."""
        for begin in range(0, len(self), size):
            yield _gather(self.signals, self.starts[begin : begin + size], self.spec.window)


def _gather(flat: NDArray[_T], starts: IntArray, window: int) -> NDArray[_T]:
    # A window of flat rows is one block of memory, so the windows at every row are an array of overlapping items of
    # that size, indexed once per batch: numpy then copies block by block. Indexing rows by an (n, window) array
    # is a third as fast, and np.take would first copy the whole view. Starts are checked against its length.
    rows, columns = flat.shape
    if rows < window:
        return np.empty((0, window, columns), dtype=flat.dtype)
    flat = np.ascontiguousarray(flat)
    item = np.dtype((np.void, window * columns * flat.itemsize))
    every = np.ndarray((rows - window + 1,), dtype=item, buffer=flat, strides=(columns * flat.itemsize,))
    return every[starts].view(flat.dtype).reshape(starts.size, window, columns)


def concatenate(parts: Sequence[Batches]) -> Batches:
    """Return the windows of several stores as one set; their specs must be equal, and there must be one part at least.

    One part with windows is returned as it is; of several, the flat signals are copied. The same person has the same
    number in all of them.
    """
    if not parts:
        raise UsageError("There is nothing to concatenate: expected at least one set of windows.")
    for part in parts[1:]:
        if part.spec != parts[0].spec:
            raise UsageError(
                f"Windows of '{part.spec.task}' and '{parts[0].spec.task}' cannot be joined: their specs differ."
            )
    kept = [part for part in parts if len(part)] or [parts[0]]
    if len(kept) == 1:
        return kept[0]
    offsets = np.cumsum([0, *(part.signals.shape[0] for part in kept[:-1])])
    oriented = [part.orientations for part in kept if part.orientations is not None]
    return Batches(
        signals=np.concatenate([part.signals for part in kept]),
        targets=np.concatenate([part.targets for part in kept]),
        labelled=np.concatenate([part.labelled for part in kept]),
        starts=np.concatenate([part.starts + offset for part, offset in zip(kept, offsets, strict=True)]),
        person=np.concatenate([part.person for part in kept]),
        present=np.concatenate([part.present for part in kept]),
        spec=kept[0].spec,
        orientations=np.concatenate(oriented) if len(oriented) == len(kept) else None,
    )
