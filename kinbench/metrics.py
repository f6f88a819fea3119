"""One frozen object per metric: name, unit, which way is better, function.

Scores are recomputed by others bit for bit, so they are made in float64 without BLAS, and every sum is exactly
rounded (``math.fsum``, or ``exact_sum``, which equals it): the same in any order, on any machine. Definitions:
protocols 1, Scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Quantity = Literal["angle", "grf", "moment", "acceleration"]
UNITS: Mapping[Quantity, str] = {"angle": "deg", "grf": "BW", "moment": "N m/kg", "acceleration": "m s-2"}
"""What predictions and references are in: degrees; body weights (force over mass and gravity); moment over mass; SI."""

MIN_RANGE_DEG = 2.0
"""A reference that varies less than this has no meaningful correlation (protocols 1, Scores)."""
MIN_RANGES: Mapping[Quantity, float] = {"angle": MIN_RANGE_DEG, "grf": 0.02, "moment": 0.02, "acceleration": 0.2}
"""The same of every quantity, in its unit: a fiftieth of body weight is where stance begins, and of gravity as well."""
DETECTABLE_CHANGE_PERCENT = (5.0, 18.0)
"""Least and greatest change of a vertical ground reaction parameter of treadmill walking that two sessions tell apart
with 95 % confidence, by parameter, in percent of it (Reed, Urry and Wearing 2013, J Foot Ankle Res 6 S1:P12)."""
MIN_PEAKS = 3
"""Fewer peaks have no correlation and no line worth drawing."""


@dataclass(frozen=True)
class Score:
    """One number, or ``None`` with the reason why there is none. Never NaN, never infinite."""

    value: float | None
    reason: str | None = None


# --- exact sums ------------------------------------------------------------------------------------------------------

_SMALL = 512
"""Below this many values ``math.fsum`` is the faster of the two."""
_INT64_BITS = 62
_LARGEST_EXPONENT = 900


def exact_sum(values: FloatArray) -> float:
    """Return the exactly rounded sum of finite values, equal to ``math.fsum`` bit for bit, about three times as fast.

    Each pass takes the leading bits of all values as integers, whose sum is exact, and keeps the exact remainder.
    """
    largest = float(np.abs(values).max(initial=0.0))
    bits = min(_INT64_BITS - int(values.size).bit_length(), 50)
    exponent = bits - math.frexp(largest)[1]
    # Scaling up keeps every bit; scaling down could lose those of the smallest values.
    if values.size < _SMALL or not 0 <= exponent <= _LARGEST_EXPONENT:
        return math.fsum(values.tolist())
    rest = np.ldexp(values, exponent)
    total, step = 0, float(1 << bits)
    while True:
        leading = np.rint(rest)
        total += int(leading.astype(np.int64).sum())
        rest = rest - leading
        if not rest.any():
            break
        rest *= step
        total <<= bits
        exponent += bits
    return total / (1 << exponent)  # integers divide with one correct rounding


def mean(values: FloatArray) -> float:
    """Return the exactly rounded sum over the number of values: the same in any order."""
    return exact_sum(values) / values.size


# --- one DoF of one person -------------------------------------------------------------------------------------------


def circular_difference(prediction: FloatArray, reference: FloatArray) -> FloatArray:
    """Return prediction minus reference in degrees on the circle, in [-180, 180)."""
    difference = prediction - reference
    return difference - 360.0 * np.floor((difference + 180.0) / 360.0)


class Sample:
    """What every metric of one DoF is made from; each shared sum is made once.

    ``prediction`` and ``reference`` are (n,) float64 in the quantity's unit, ``group`` (n,) integers. An angle's
    prediction is first put on the branch of the circle nearest to the reference, so that a model answering 361 instead
    of 1 loses nothing. ``step`` (n,) tells which stance a sample is of, -1 for none.
    """

    def __init__(
        self, prediction: FloatArray, reference: FloatArray, group: IntArray, quantity: Quantity = "angle",
        step: IntArray | None = None,
    ) -> None:  # fmt: skip
        self.quantity = quantity
        self.reference = reference
        self.group = group
        self.step = np.full(reference.size, -1, dtype=np.int64) if step is None else step
        if quantity == "angle":
            turns = np.floor((prediction - reference + 180.0) / 360.0)
            self.prediction = prediction - 360.0 * turns
            self.error = circular_difference(prediction, reference)
        else:
            self.prediction = prediction
            self.error = prediction - reference

    @cached_property
    def squared_error(self) -> float:
        """Sum of squared errors, in squared degrees."""
        return exact_sum(self.error**2)

    @cached_property
    def rmse(self) -> float:
        """Root-mean-square error."""
        return math.sqrt(self.squared_error / self.error.size)

    @cached_property
    def reference_range(self) -> float:
        """Largest minus smallest reference."""
        return float(self.reference.max() - self.reference.min())

    @cached_property
    def prediction_range(self) -> float:
        """Largest minus smallest prediction."""
        return float(self.prediction.max() - self.prediction.min())

    @cached_property
    def reference_deviation(self) -> FloatArray:
        """The reference minus its mean, (n,)."""
        return self.reference - mean(self.reference)

    @cached_property
    def reference_scatter(self) -> float:
        """Sum of squared deviations of the reference."""
        return exact_sum(self.reference_deviation**2)

    @property
    def too_flat(self) -> Score | None:
        """The refusal of every metric that divides by the reference's variation, or None."""
        least = MIN_RANGES[self.quantity]
        if self.reference_range < least:
            return Score(None, f"the reference varies less than {least:g} {UNITS[self.quantity]}")
        return None

    @cached_property
    def peaks(self) -> Sample | Score:
        """The greatest prediction and reference of every stance, as a sample of its own, or why there is none."""
        found = [self.step == number for number in np.unique(self.step[self.step >= 0])]
        if not found:
            return Score(None, "no stance stands in the test samples")
        predicted, measured = (
            np.array([values[mine].max() for mine in found]) for values in (self.prediction, self.reference)
        )
        return Sample(predicted, measured, np.zeros(len(found), dtype=np.int64), self.quantity)


def _rmse(sample: Sample) -> Score:
    return Score(sample.rmse)


def _centred_rmse(sample: Sample) -> Score:
    centred = np.empty_like(sample.error)
    for label in np.flatnonzero(np.bincount(sample.group)):
        members = sample.group == label
        centred[members] = sample.error[members] - mean(sample.error[members])
    return Score(math.sqrt(mean(centred**2)))


def _mae(sample: Sample) -> Score:
    return Score(mean(np.abs(sample.error)))


def _offset(sample: Sample) -> Score:
    return Score(mean(sample.error))


def _nrmse(sample: Sample) -> Score:
    return sample.too_flat or Score(100.0 * sample.rmse / sample.reference_range)


def _pearson_r(sample: Sample) -> Score:
    if sample.too_flat is not None:
        return sample.too_flat
    if sample.prediction_range == 0.0:
        return Score(None, "the prediction is constant")
    p = sample.prediction - mean(sample.prediction)
    q = sample.reference_deviation
    scale = math.sqrt(exact_sum(p * p)) * math.sqrt(sample.reference_scatter)
    if scale == 0.0:  # a variation so small that its squares vanish
        return Score(None, "the prediction is constant")
    return Score(max(-1.0, min(1.0, exact_sum(p * q) / scale)))


def _r_squared(sample: Sample) -> Score:
    return sample.too_flat or Score(1.0 - sample.squared_error / sample.reference_scatter)


def _range_error(sample: Sample) -> Score:
    return Score(sample.prediction_range - sample.reference_range)


def _at_peaks(function: Callable[[Sample], Score]) -> Callable[[Sample], Score]:
    def at_peaks(sample: Sample) -> Score:
        return sample.peaks if isinstance(sample.peaks, Score) else function(sample.peaks)

    return at_peaks


def _line(of: Callable[[float, float], float]) -> Callable[[Sample], Score]:
    """Return the metric that takes ``of`` slope and intercept of the line prediction = slope reference + intercept."""

    def line(peaks: Sample) -> Score:
        if peaks.reference.size < MIN_PEAKS:
            return Score(None, f"fewer than {MIN_PEAKS} peaks")
        if peaks.too_flat is not None:
            return peaks.too_flat
        centre = mean(peaks.reference)
        slope = exact_sum(peaks.reference_deviation * peaks.prediction) / peaks.reference_scatter
        return Score(of(slope, mean(peaks.prediction) - slope * centre))

    return line


def _peak_r(peaks: Sample) -> Score:
    return Score(None, f"fewer than {MIN_PEAKS} peaks") if peaks.reference.size < MIN_PEAKS else _pearson_r(peaks)


# --- the metrics -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """A named, versioned score of one DoF over one person's valid test samples."""

    name: str
    version: int
    unit: str
    better: Literal["lower", "higher", "zero"]
    title: str
    function: Callable[[Sample], Score]
    quantity: Quantity = "angle"

    def compute(self, prediction: ArrayLike, reference: ArrayLike, group: ArrayLike) -> Score:
        """Score (n,) predictions against (n,) references in the quantity's unit; ``group`` (n,) small integers
        from 0 tell the legs apart. Raises ``DataError`` for no samples, unequal lengths, or a value that is not finite.
        """
        return compute_all((self,), prediction, reference, group)[self.name]


def compute_all(
    metrics: Iterable[Metric],
    prediction: ArrayLike,
    reference: ArrayLike,
    group: ArrayLike,
    step: ArrayLike | None = None,
) -> dict[str, Score]:
    """Return every metric's score of the same samples by name; arguments and errors as of ``Metric.compute``.

    ``step`` (n,) numbers the stances, -1 outside of them: what metrics of peaks need. All metrics are of one quantity.
    """
    wanted = tuple(metrics)
    quantities = {metric.quantity for metric in wanted}
    if len(quantities) > 1:
        raise DataError(f"Metrics of {' and '.join(sorted(quantities))} cannot score the same samples.")
    sample = _sample(
        np.asarray(prediction, np.float64), np.asarray(reference, np.float64), np.asarray(group, np.int64),
        next(iter(quantities), "angle"), None if step is None else np.asarray(step, np.int64),
    )  # fmt: skip
    return {metric.name: _checked(metric, metric.function(sample)) for metric in wanted}


def _sample(
    prediction: FloatArray, reference: FloatArray, group: IntArray, quantity: Quantity, step: IntArray | None
) -> Sample:
    if prediction.ndim != 1 or not prediction.shape == reference.shape == group.shape:
        raise DataError(
            f"A metric needs predictions, references and groups of one length, got {prediction.shape}, "
            f"{reference.shape} and {group.shape}."
        )
    if step is not None and step.shape != prediction.shape:
        raise DataError(f"A metric needs a step for every sample, got {step.shape} for {prediction.shape}.")
    if prediction.size == 0:
        raise DataError("A metric needs at least one sample, got none.")
    if group.min() < 0:
        raise DataError(f"A metric needs groups counted from 0, got {group.min()}.")
    for name, values in (("prediction", prediction), ("reference", reference)):
        wrong = int(values.size - np.isfinite(values).sum())
        if wrong:
            raise DataError(f"A metric needs finite values, but {wrong} of {values.size} {name} values are not.")
    return Sample(prediction, reference, group, quantity, step)


def _checked(metric: Metric, score: Score) -> Score:
    if score.value is not None and not math.isfinite(score.value):
        raise DataError(f"The metric '{metric.name}' came out as {score.value}: the values are too large to score.")
    return score


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("rmse", 1, "deg", "lower", "root-mean-square error", _rmse),
        Metric(
            "centred_rmse",
            1,
            "deg",
            "lower",
            "RMSE without the means of prediction and reference, leg by leg",
            _centred_rmse,
        ),
        Metric("mae", 1, "deg", "lower", "mean absolute error", _mae),
        Metric("offset", 1, "deg", "zero", "mean error (prediction minus reference)", _offset),
        Metric("nrmse", 1, "%", "lower", "RMSE over the reference's range in the test samples", _nrmse),
        Metric("r", 1, "1", "higher", "Pearson correlation", _pearson_r),
        Metric("r2", 1, "1", "higher", "coefficient of determination", _r_squared),
        Metric("range_error", 1, "deg", "zero", "error of the range of motion", _range_error),
    )
}


def _alike(quantity: Quantity) -> dict[str, Metric]:
    """Return the metrics of angles in another quantity's unit."""
    return {
        name: replace(metric, unit=metric.unit.replace(UNITS["angle"], UNITS[quantity]), quantity=quantity)
        for name, metric in METRICS.items()
    }


def _of_forces(quantity: Quantity) -> dict[str, Metric]:
    """Return the metrics of a load on the body: those of angles in its unit, and those of the peaks of each stance."""
    unit = UNITS[quantity]
    peaks = [
        Metric("peak_rmse", 1, unit, "lower", "RMSE of the greatest value of each stance", _at_peaks(_rmse), quantity),
        Metric("peak_offset", 1, unit, "zero", "mean error of the greatest values", _at_peaks(_offset), quantity),
        Metric("peak_r", 1, "1", "higher", "Pearson correlation of the greatest values", _at_peaks(_peak_r), quantity),
        Metric("peak_slope", 1, "1", "higher", "slope of predicted on measured greatest values",
               _at_peaks(_line(lambda slope, intercept: slope)), quantity),
        Metric("peak_intercept", 1, unit, "zero", "intercept of predicted on measured greatest values",
               _at_peaks(_line(lambda slope, intercept: intercept)), quantity),
    ]  # fmt: skip
    return _alike(quantity) | {metric.name: metric for metric in peaks}


BY_QUANTITY: Mapping[Quantity, Mapping[str, Metric]] = {
    "angle": METRICS, "grf": _of_forces("grf"), "moment": _of_forces("moment"),
    "acceleration": _alike("acceleration"),
}  # fmt: skip
"""The metrics of every quantity by name; ``nrmse`` of a force over stance is what the field calls rRMSE."""


def metrics_of(quantity: Quantity) -> Mapping[str, Metric]:
    """Return the metrics that a task of this quantity is scored by."""
    return BY_QUANTITY[quantity]
