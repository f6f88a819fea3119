"""One frozen object per metric: name, unit, which way is better, function.

Scores are recomputed by others bit for bit, so they are made in float64 without BLAS, and every sum is
``math.fsum``: exactly rounded, hence the same in any order, on any machine. Definitions: protocols 1, Scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_RANGE_DEG = 2.0
"""A reference that varies less than this has no meaningful correlation (protocols 1, Scores)."""


@dataclass(frozen=True)
class Score:
    """One number, or ``None`` with the reason why there is none. Never NaN, never infinite."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Metric:
    """A named, versioned score of one DoF over one person's valid test samples.

    ``compute(prediction, reference, group)`` takes (n,) float64 arrays in the reference's unit and an (n,)
    integer ``group`` that tells the legs apart; groups matter to centred metrics only.
    """

    name: str
    version: int
    unit: str
    better: Literal["lower", "higher", "zero"]
    title: str
    compute: Callable[[FloatArray, FloatArray, IntArray], Score]


def circular_difference(prediction: FloatArray, reference: FloatArray) -> FloatArray:
    """Return prediction minus reference in degrees on the circle, in [-180, 180)."""
    return (prediction - reference + 180.0) % 360.0 - 180.0


def mean(values: FloatArray) -> float:
    """Return the exactly rounded mean, the same in any order of summation."""
    return math.fsum(values.tolist()) / values.size


def _centre(values: FloatArray, group: IntArray) -> FloatArray:
    centred = np.empty_like(values)
    for label in np.unique(group):
        members = group == label
        centred[members] = values[members] - mean(values[members])
    return centred


def _rmse(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    return Score(math.sqrt(mean(circular_difference(prediction, reference) ** 2)))


def _centred_rmse(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    error = _centre(circular_difference(prediction, reference), group)
    return Score(math.sqrt(mean(error**2)))


def _mae(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    return Score(mean(np.abs(circular_difference(prediction, reference))))


def _offset(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    return Score(mean(circular_difference(prediction, reference)))


def _span(values: FloatArray) -> float:
    return float(values.max() - values.min())


def _too_flat(reference: FloatArray) -> Score | None:
    if _span(reference) < MIN_RANGE_DEG:
        return Score(None, f"the reference varies less than {MIN_RANGE_DEG:g} deg")
    return None


def _nrmse(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    error = _rmse(prediction, reference, group).value
    assert error is not None  # an RMSE always exists; this narrows the type
    return _too_flat(reference) or Score(100.0 * error / _span(reference))


def _pearson_r(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    flat = _too_flat(reference)
    if flat is not None:
        return flat
    p = prediction - mean(prediction)
    q = reference - mean(reference)
    scale = math.sqrt(math.fsum((p * p).tolist())) * math.sqrt(math.fsum((q * q).tolist()))
    if scale == 0.0:
        return Score(None, "the prediction is constant")
    return Score(max(-1.0, min(1.0, math.fsum((p * q).tolist()) / scale)))


def _r_squared(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    flat = _too_flat(reference)
    if flat is not None:
        return flat
    residual = math.fsum((circular_difference(prediction, reference) ** 2).tolist())
    q = reference - mean(reference)
    return Score(1.0 - residual / math.fsum((q * q).tolist()))


def _range_error(prediction: FloatArray, reference: FloatArray, group: IntArray) -> Score:
    return Score(_span(prediction) - _span(reference))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("rmse", 1, "deg", "lower", "root-mean-square error", _rmse),
        Metric("centred_rmse", 1, "deg", "lower", "RMSE after each side's own mean is removed", _centred_rmse),
        Metric("mae", 1, "deg", "lower", "mean absolute error", _mae),
        Metric("offset", 1, "deg", "zero", "mean error (prediction minus reference)", _offset),
        Metric("nrmse", 1, "%", "lower", "RMSE over the reference's range in the test samples", _nrmse),
        Metric("r", 1, "1", "higher", "Pearson correlation", _pearson_r),
        Metric("r2", 1, "1", "higher", "coefficient of determination", _r_squared),
        Metric("range_error", 1, "deg", "zero", "error of the range of motion", _range_error),
    )
}
