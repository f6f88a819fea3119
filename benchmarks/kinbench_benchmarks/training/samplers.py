"""What a step learns from: windows in shuffled epochs, all of them at once, or crops of people's windows.

A sampler's order comes from a numpy generator of its own. ``state`` and ``restore`` let an interrupted training go on
in the middle of an epoch as if nothing had happened.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError
from kinbench_benchmarks.training.fingerprints import digest, source_fingerprint

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
B_co = TypeVar("B_co", covariant=True)
B = TypeVar("B")


class Sampler(Protocol[B_co]):
    """Draws what one step learns from.

    Optional: ``fingerprint()`` -> str, which tells data and settings apart; without it a training that is taken up
    again knows its data by what is drawn first.
    """

    def draw(self) -> B_co:
        """Return what the next step learns from; the very object of the step before stands for the same data."""
        ...

    def state(self) -> dict[str, Any]:
        """Return where the sampler is, JSON-plain."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where ``state`` was told."""
        ...


@runtime_checkable
class Source(Protocol[B_co]):
    """Windows by number: ``windows.Batches`` is one.

    Optional: ``fingerprint()`` -> str, which tells one set of windows from another.
    """

    def __len__(self) -> int:
        """How many windows there are."""
        ...

    def take(self, index: IntArray, /) -> B_co:
        """Return the windows of these numbers."""
        ...


class _Numbers:
    """The numbers of windows, for a loss that takes the windows itself."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def take(self, index: IntArray, /) -> IntArray:
        return index

    def fingerprint(self) -> str:
        return f"{self._count} numbers"


class _Epochs:
    """Numbers in an order drawn anew each time all were given, or ``limit`` of them.

    What is remembered is the generator before the order was drawn, which gives the same order again.
    """

    def __init__(self, count: int, seed: int, limit: int = 0, weight: FloatArray | None = None) -> None:
        self.size = min(limit or count, count) if weight is None else limit or count
        self._count = count
        self._share = None if weight is None else weight / weight.sum()
        self._generator = np.random.default_rng(seed)
        self._order: IntArray = np.empty(0, dtype=np.int64)
        self._before = self._generator.bit_generator.state
        self._place = 0

    def next(self, batch: int) -> IntArray:
        """Return the next numbers, fewer at the end of an epoch."""
        if self._place >= len(self._order):
            self._before, self._place = self._generator.bit_generator.state, 0
            self._order = self._drawn()
        chosen = self._order[self._place : self._place + batch]
        self._place += len(chosen)
        return chosen

    def state(self) -> dict[str, Any]:
        return {"generator": self._before, "place": self._place}

    def restore(self, state: dict[str, Any]) -> None:
        self._before = self._generator.bit_generator.state = state["generator"]
        self._place = int(state["place"])
        self._order = self._drawn() if self._place else np.empty(0, dtype=np.int64)

    def _drawn(self) -> IntArray:
        if self._share is not None:
            return self._generator.choice(self._count, self.size, p=self._share)
        return self._generator.permutation(self._count)[: self.size]


class Shuffled(Generic[B]):
    """Batches of windows in epochs that are shuffled anew; the last of an epoch may be smaller.

    ``limit`` bounds the windows of an epoch (0: all), so that an epoch of a large set is not longer than one of a small
    set. ``weight`` (n,) says how often a window is drawn, then with replacement. Given a number of windows instead of a
    ``source``, their numbers are drawn. Raises ``DataError`` without windows.
    """

    @overload
    def __init__(
        self: Shuffled[IntArray], source: int, batch: int, seed: int, limit: int = 0, *,
        weight: NDArray[Any] | None = None,
    ) -> None: ...  # fmt: skip

    @overload
    def __init__(
        self: Shuffled[B], source: Source[B], batch: int, seed: int, limit: int = 0, *,
        weight: NDArray[Any] | None = None,
    ) -> None: ...  # fmt: skip

    def __init__(
        self, source: Any, batch: int, seed: int, limit: int = 0, *, weight: NDArray[Any] | None = None
    ) -> None:
        given: Any = _Numbers(source) if isinstance(source, int) else source
        self._source: Source[B] = given
        _check(len(self._source), batch, limit)
        self._batch = batch
        self._epochs = _Epochs(
            len(self._source), seed, limit, None if weight is None else _weights(weight, len(self._source))
        )
        self._settings = f"shuffled {batch} {limit} {digest(weight)}"

    @property
    def epoch_steps(self) -> int:
        """How many draws an epoch has."""
        return -(-self._epochs.size // self._batch)

    def draw(self) -> B:
        """Return the next batch."""
        return self._source.take(self._epochs.next(self._batch))

    def state(self) -> dict[str, Any]:
        """Return where in which epoch the sampler is."""
        return self._epochs.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._epochs.restore(state)

    def fingerprint(self) -> str:
        """Return what tells these windows and settings from others."""
        return f"{self._settings} of {source_fingerprint(self._source)}"


class Everything(Generic[B]):
    """All windows at every step, the same object each time: what full-batch training learns from, without chance."""

    def __init__(self, source: Source[B]) -> None:
        _check(len(source), 1, 0)
        self._source = source
        self._all: B | None = None

    epoch_steps = 1

    def draw(self) -> B:
        """Return all windows."""
        if self._all is None:
            self._all = self._source.take(np.arange(len(self._source)))
        return self._all

    def state(self) -> dict[str, Any]:
        """Return nothing: there is nowhere to be."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Do nothing."""

    def fingerprint(self) -> str:
        """Return what tells these windows from others."""
        return f"everything of {source_fingerprint(self._source)}"


class Crops(Generic[B]):
    """Random crops of people's windows, one start per person and draw (Rapp et al. 2021).

    A draw takes ``people`` persons, in epochs shuffled anew, of each ``each`` windows at random (two: as many as legs)
    and of these the ``length`` samples from one random start, the same for all windows of the person. ``person`` (n,)
    says whose each window is; arrays that ``source`` gives are cut along their second axis.
    """

    def __init__(
        self, source: Source[B], person: NDArray[Any], length: int, people: int, seed: int, *, window: int,
        each: int = 2,
    ) -> None:  # fmt: skip
        _check(len(source), people, 0)
        if not 1 <= length <= window or each < 1:
            raise UsageError(f"Crops of {length} samples cannot be cut from windows of {window}, {each} a person.")
        self._source, self._length, self._people, self._window, self._each = source, length, people, window, each
        self._windows = [np.flatnonzero(person == number) for number in np.unique(person)]
        self._epochs = _Epochs(len(self._windows), seed)
        self._generator = np.random.default_rng([seed, 1])

    @property
    def epoch_steps(self) -> int:
        """How many draws it takes until everybody was drawn."""
        return -(-len(self._windows) // self._people)

    def draw(self) -> B:
        """Return crops of the next people."""
        people = self._epochs.next(self._people)
        index = np.concatenate([self._generator.choice(self._windows[p], self._each) for p in people])
        starts = self._generator.integers(0, self._window - self._length + 1, len(people)).repeat(self._each)
        crops: B = _cropped(self._source.take(index), starts, self._length)
        return crops

    def state(self) -> dict[str, Any]:
        """Return where in which epoch the sampler is, and what decides windows and starts."""
        return {"people": self._epochs.state(), "generator": self._generator.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._epochs.restore(state["people"])
        self._generator.bit_generator.state = state["generator"]

    def fingerprint(self) -> str:
        """Return what tells these windows and settings from others."""
        return f"crops {self._length} {self._people} {self._each} of {source_fingerprint(self._source)}"


def _cropped(drawn: Any, starts: IntArray, length: int) -> Any:
    if isinstance(drawn, tuple | list):
        return type(drawn)(_cropped(part, starts, length) for part in drawn)
    rows = starts[:, None] + np.arange(length)
    return drawn[np.arange(len(starts))[:, None], rows]


def _check(count: int, batch: int, limit: int) -> None:
    if count == 0:
        raise DataError("There is no window to learn from; give it more or longer recordings.")
    if batch < 1 or limit < 0:
        raise UsageError(f"Expected a batch of at least one window and a limit of at least 0, got {batch} and {limit}.")


def _weights(weight: NDArray[Any], count: int) -> FloatArray:
    values = np.asarray(weight, dtype=np.float64)
    if values.shape != (count,) or not np.isfinite(values).all() or values.min() < 0 or values.sum() == 0:
        raise UsageError(f"Expected {count} weights of at least 0, one above 0, got an array {values.shape}.")
    return values
