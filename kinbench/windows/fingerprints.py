"""Native-rate samples as numbers that tell whether two stretches are the same, for the leak check.

Every run of 16 samples becomes 64 bits mixed from the bit patterns of all channels, per sensor and for all sensors
together, so that recordings can be compared over stores without a signal leaving this room. Names, orders of sensors
and declared rates play no part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HashArray = NDArray[np.uint64]

RUN = 16
"""So many consecutive native-rate samples in two places are the same recording, not chance (protocols 1)."""
CHANGES = 8
"""A run of one sensor alone counts where its value changes so often within the run; of all sensors together, where it
changes at all. A coarse sensor at rest repeats itself; sixteen samples of moving ones never do."""

_ODD = np.uint64(0x9E3779B97F4A7C15)


class Samples(NamedTuple):
    """The native-rate inputs of one recording, as the leak check compares them.

    ``time_s`` (n,) is the imu clock. ``runs`` (n - 15, sensor + 1) are hashes of the run that starts at each sample,
    per sensor and, in the last column, of all sensors together. 0 stands for a run that cannot tell: one with a lost
    sample, one that is constant, or (of a sensor alone) one that hardly changes.
    """

    time_s: NDArray[np.float64]
    runs: HashArray


def samples_of(time_s: NDArray[np.float64], values: NDArray[np.float32]) -> Samples:
    """Return what the leak check compares of (n, sensor, channel) float32 native-rate values."""
    return Samples(time_s, _runs(_rows(values)))


def _rows(values: NDArray[np.float32]) -> HashArray:
    """Return (n, sensor) hashes of one instant of one sensor; 0 where a channel is not finite."""
    values = np.ascontiguousarray(values, dtype=np.float32) + np.float32(0.0)  # -0.0 and 0.0 are one sample
    bits = values.view(np.uint32).astype(np.uint64)
    total = np.zeros(bits.shape[:2], dtype=np.uint64)
    for channel in range(bits.shape[2]):
        total = _mix(total ^ bits[:, :, channel])
    total |= np.uint64(1)  # so that 0 stays free
    total[~np.isfinite(values).all(axis=2)] = 0
    return total


def _runs(rows: HashArray) -> HashArray:
    starts = max(rows.shape[0] - RUN + 1, 0)
    # All sensors at once are summed, so that their order in a file plays no part.
    whole = _mix(_mix(rows).sum(axis=1, dtype=np.uint64)) | np.uint64(1)
    whole[(rows == 0).any(axis=1)] = 0
    every = np.concatenate([rows, whole[:, None]], axis=1)
    changes = _sums(every[1:] != every[:-1], RUN - 1, starts)
    lost = _sums(every == 0, RUN, starts)
    needed = np.array([CHANGES] * rows.shape[1] + [1])
    return np.where((lost > 0) | (changes < needed), np.uint64(0), _rolled(every, starts) | np.uint64(1))


def _rolled(rows: HashArray, starts: int) -> HashArray:
    """Return (starts, column) hashes of 16 successive rows: a polynomial in an odd number, by doubling."""
    total, length, factor = rows, 1, _ODD
    while length < RUN:
        total = total[:-length] * factor + total[length:]
        with np.errstate(over="ignore"):  # numbers modulo 2**64 are meant
            factor = factor * factor
        length *= 2
    return _mix(total[:starts])


def _mix(values: HashArray) -> HashArray:
    """Return values spread over 64 bits (the finaliser of splitmix64, Steele et al. 2014)."""
    values = values + _ODD
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _sums(flags: NDArray[np.bool_], length: int, starts: int) -> NDArray[np.int64]:
    """Return, for each of ``starts`` places, how many of the next ``length`` flags are set, by column."""
    sums = np.concatenate([np.zeros((1, flags.shape[1]), dtype=np.int64), np.cumsum(flags, axis=0, dtype=np.int64)])
    return np.asarray(sums[length : length + starts] - sums[:starts])
