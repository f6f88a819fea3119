"""Which of the suit's entries along the spine are measured, and which are made of others.

The suit has 17 sensors and 21 entries: the neck and three of the four spine entries are computed, and its users do not
agree which one is not. An entry made of others shows it in its numbers: it stands still, repeats another, is a weighted
mean of two others, or lacks the noise of a sensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DOUBTED = ("Neck", "Spine", "Spine1", "Spine2", "Spine3")
CERTAIN = ("Hip", "Head", "RightUpLeg", "LeftUpLeg", "RightLeg", "LeftLeg")
_ROWS = 4000
_REPEATS = 1e-6
_MEAN_OF_TWO = 0.02
"""A mean of two leaves less than this share of an entry's spread unexplained; two sensors leave far more."""
_QUIET = 0.25
"""A computed entry has less than this share of the noise that the certain sensors have."""


def describe(acc: Mapping[str, FloatArray]) -> dict[str, str]:
    """Return what each doubted entry seems to be: ``measured``, or how it is made of others.

    ``acc`` (n, 3) per joint of the suit; at most ``_ROWS`` rows, evenly taken, are looked at.
    """
    there = {name: values for name, values in acc.items() if name in (*DOUBTED, *CERTAIN)}
    noise = {name: _noise(values) for name, values in there.items()}
    sampled = {name: _sampled(values) for name, values in there.items()}
    usual = [noise[name] for name in CERTAIN if name in noise]
    return {
        name: _of_one(name, sampled, noise[name], float(np.median(usual)) if usual else 0.0)
        for name in DOUBTED
        if name in there
    }


def _of_one(name: str, acc: Mapping[str, FloatArray], noise: float, usual: float) -> str:
    values = acc[name]
    spread = float(values.std(axis=0).sum())
    if not spread > 0:
        return "constant"
    for other in acc:
        if other != name and float(np.abs(values - acc[other]).max()) < _REPEATS:
            return f"repeats {other}"
    for one, other in combinations([joint for joint in acc if joint != name], 2):
        share = _share(values, acc[one], acc[other])
        if share is not None:
            return f"a mean of {one} and {other} ({share:.2f} of the former)"
    if noise < _QUIET * usual:
        return f"without a sensor's noise ({noise / usual:.2f} of the others')"
    return "measured"


def _share(values: FloatArray, one: FloatArray, other: FloatArray) -> float | None:
    """Return w of ``values = w one + (1 - w) other``, None where no w between 0 and 1 leaves little unexplained."""
    apart = one - other
    power = float((apart**2).sum())
    if not power > 0:
        return None
    share = float((apart * (values - other)).sum()) / power
    left = values - share * one - (1 - share) * other
    unexplained = float(np.sqrt((left**2).mean()) / np.sqrt(((values - values.mean(axis=0)) ** 2).mean()))
    return share if 0.02 < share < 0.98 and unexplained < _MEAN_OF_TWO else None


def _noise(values: FloatArray) -> float:
    """Return the spread of what changes from sample to sample: the quietest tenth of the second differences."""
    second = np.abs(np.diff(values, n=2, axis=0)).sum(axis=1)
    known = second[np.isfinite(second)]
    return float(np.percentile(known, 10)) if known.size else 0.0


def _sampled(values: FloatArray) -> FloatArray:
    known = values[np.isfinite(values).all(axis=1)]
    return known[:: max(1, len(known) // _ROWS)]
