"""Ridge regression on local context: what a linear map of the last and next few tenths of a second can tell.

Each angle sample is a linear function of every channel at a few lags around it. The normal equations are gathered in
float64, a chunk of windows at a time, so nothing is random and memory does not grow with the data. Those of the
validation windows give the validation error of any weights without another pass; those of all sensors hold those of any
smaller set as a block, so that a sweep over sets of sensors reads the data once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from kinbench.contracts import ModelCard
from kinbench.errors import UsageError
from kinbench.windows import Batches, TaskSpec
from kinbench_benchmarks.models._state import (
    FEW_WINDOWS,
    Float32Array,
    FloatArray,
    Scaling,
    check_inputs,
    not_fitted,
    read_state,
    write_state,
)

FIT_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Penalties per training sample, on z-scored features; one is chosen per DoF on validation."""
ADAPT_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties per calibration sample on the way from the prior weights; keeping the prior is the last choice."""
_FIT_DEFAULT = 1e-2
_ADAPT_DEFAULT = 1e-1
_CHUNK = 128


@dataclass(frozen=True)
class _Normal:
    """Normal equations: per DoF, F'y (dof, p), y'y (dof,) and samples (dof,), and F'F (p, p) per group of DoFs.

    ``groups`` are DoFs that are labelled on the same samples: mostly all of them.
    """

    groups: tuple[tuple[int, ...], ...]
    grams: tuple[FloatArray, ...]
    cross: FloatArray
    square: FloatArray
    rows: FloatArray

    def narrowed(self, features: NDArray[np.int64]) -> _Normal:
        """Return what gathering these features (k,) alone would have given, but for rounding."""
        block = np.ix_(features, features)
        return replace(self, grams=tuple(gram[block] for gram in self.grams), cross=self.cross[:, features])

    def gram(self, dof: int) -> FloatArray:
        """Return F'F of the samples on which a DoF is labelled."""
        return next(gram for group, gram in zip(self.groups, self.grams, strict=True) if dof in group)

    def mean_square(self, dof: int, weights: FloatArray) -> float:
        """Return the mean squared error of these weights on the samples gathered here."""
        explained = weights @ self.gram(dof) @ weights - 2.0 * weights @ self.cross[dof]
        return float((explained + self.square[dof]) / max(self.rows[dof], 1.0))


@dataclass(frozen=True)
class _Fitted:
    spec: TaskSpec
    scaling: Scaling
    weights: FloatArray
    """(dof, lag * channel + 1), the last one the intercept; on z-scored inputs, for centred targets in degrees."""


class Ridge:
    """Linear regression with an L2 penalty on lagged channels.

    ``reach_s`` is how far the context goes to each side, ``lags`` how many points it has, ``thin`` keeps every n-th
    sample of a training window. At a window's ends the context is filled with the end samples. ``adapt`` solves the
    same problem on the calibration with a penalty on the distance from the fitted weights.
    """

    card = ModelCard(
        name="ridge",
        version="1",
        title="Ridge regression on lagged channels",
        description="Each angle as a linear function of all channels within 0.4 s; penalty chosen on validation; "
        "adapting pulls the weights from the fitted ones towards the person's, as far as validation likes it.",
    )

    def __init__(self, reach_s: float = 0.4, lags: int = 17, thin: int = 4) -> None:
        if not (reach_s > 0 and lags >= 1 and thin >= 1):
            raise UsageError(f"ridge needs reach_s > 0, lags >= 1, thin >= 1; got {reach_s}, {lags}, {thin}")
        self.reach_s = float(reach_s)
        self.lags = int(lags)
        self.thin = int(thin)
        self.notes: tuple[str, ...] = ()
        self._fitted: _Fitted | None = None

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Solve for every penalty of ``FIT_GRID``, keep the best on ``valid`` per DoF; ``seed`` plays no part.

        Raises ``DataError`` when ``train`` has no window or a DoF without a valid sample.
        """
        self._learn(train.spec, *self._read(train, valid))

    def fit_subsets(
        self, train: Batches, valid: Batches, subsets: Sequence[tuple[str, ...]], *, seed: int
    ) -> Iterator[Ridge]:
        """Yield one fitted model per set of sensors, all from one pass over the windows; ``seed`` plays no part.

        Scaling and normal equations of a smaller set are those of all sensors, restricted, so each further set costs
        its own solution and nothing else. Raises ``DataError`` as ``fit`` does.
        """
        scaling, normal, judge, windows = self._read(train, valid)
        for subset in subsets:
            spec = train.spec.narrowed(subset)
            channels = np.array([train.spec.channel_names.index(name) for name in spec.channel_names])
            features = self._features(channels, len(train.spec.channel_names))
            model = Ridge(self.reach_s, self.lags, self.thin)
            narrowed = None if judge is None else judge.narrowed(features)
            model._learn(spec, scaling.narrowed(channels), normal.narrowed(features), narrowed, windows)
            yield model

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Move the weights towards the person's, by a penalty chosen on ``valid``, possibly not at all."""
        known = self._state()
        if len(calibration) == 0:
            self.notes = (*self.notes, "no calibration window: not adapted")
            return
        normal = self._gather(calibration, known.scaling)
        few = len(valid) < FEW_WINDOWS
        judge = normal if few else self._gather(valid, known.scaling)
        choices = [_solve(normal, penalty, known.weights) for penalty in ((_ADAPT_DEFAULT,) if few else ADAPT_GRID)]
        if few:
            self.notes = (
                *self.notes,
                f"{len(valid)} validation windows: adapted with penalty {_ADAPT_DEFAULT:g}, not chosen",
            )
        weights = choices[0] if few else _best(judge, [*choices, known.weights])
        self._fitted = _Fitted(known.spec, known.scaling, weights)

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees for (n, time, channel) inputs of any number of time steps."""
        known = self._state()
        check_inputs(x, known.spec)
        n, time, channels = x.shape
        taps = known.weights[:, :-1].reshape(-1, self.lags, channels)
        intercept = known.weights[:, -1] + known.scaling.y_mean
        at = self._lagged(np.arange(time), time, known.spec.rate_hz)
        result = np.empty((n, time, len(intercept)), dtype=np.float32)
        for begin in range(0, n, _CHUNK):
            z = known.scaling.inputs(x[begin : begin + _CHUNK]).astype(np.float64)
            total = np.tile(intercept, (len(z), time, 1))
            for lag in range(self.lags):
                total += (z @ taps[:, lag].T)[:, at[:, lag]]
            result[begin : begin + _CHUNK] = total
        return result

    def save(self, folder: Path) -> None:
        """Write weights, scaling and settings into an existing folder."""
        known = self._state()
        write_state(
            folder, self.card, known.spec, {"weights": known.weights, **known.scaling.arrays()},
            settings={"reach_s": self.reach_s, "lags": self.lags, "thin": self.thin}, notes=self.notes,
        )  # fmt: skip

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote, its settings too."""
        spec, arrays, meta = read_state(folder, self.card)
        self.reach_s, self.lags, self.thin = (meta["settings"][name] for name in ("reach_s", "lags", "thin"))
        self._fitted = _Fitted(spec, Scaling.from_arrays(arrays), arrays["weights"])
        self.notes = tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of weights."""
        return self._state().weights.size

    # --- inside ------------------------------------------------------------------------------------------------------

    def _state(self) -> _Fitted:
        if self._fitted is None:
            raise not_fitted(self.card)
        return self._fitted

    def _read(self, train: Batches, valid: Batches) -> tuple[Scaling, _Normal, _Normal | None, int]:
        """Return all that is learnt from: scaling, both normal equations, and how many windows there are to judge on.

        With too few of these there is no judge.
        """
        scaling = Scaling.fit(train)
        judge = None if len(valid) < FEW_WINDOWS else self._gather(valid, scaling)
        return scaling, self._gather(train, scaling), judge, len(valid)

    def _learn(self, spec: TaskSpec, scaling: Scaling, normal: _Normal, judge: _Normal | None, windows: int) -> None:
        if judge is None:
            self.notes = (f"{windows} validation windows: penalty {_FIT_DEFAULT:g} taken, not chosen",)
            weights = _solve(normal, _FIT_DEFAULT)
        else:
            self.notes = ()
            weights = _best(judge, [_solve(normal, penalty) for penalty in FIT_GRID])
        self._fitted = _Fitted(spec, scaling, weights)

    def _features(self, channels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return where the features of some of ``count`` channels stand: at every lag, and the intercept."""
        lagged = (np.arange(self.lags)[:, None] * count + channels).reshape(-1)
        return np.append(lagged, self.lags * count)

    def _lagged(self, at: NDArray[np.int64], time: int, rate_hz: float) -> NDArray[np.int64]:
        """Return (len(at), lags) rows of a window of ``time`` rows: the context of each row, kept inside."""
        offsets = np.rint(np.linspace(-self.reach_s, self.reach_s, self.lags) * rate_hz).astype(np.int64)
        if self.lags == 1:
            offsets[:] = 0
        rows: NDArray[np.int64] = np.clip(at[:, None] + offsets, 0, time - 1)
        return rows

    def _gather(self, batches: Batches, scaling: Scaling) -> _Normal:
        spec = batches.spec
        sums = _Sums(len(spec.dof_names), self.lags * len(spec.channel_names) + 1)
        rows = np.arange(self.thin // 2, spec.window, self.thin)
        at = self._lagged(rows, spec.window, spec.rate_hz)
        for x, y, valid in batches.iterate(_CHUNK):
            context = scaling.inputs(x)[:, at].reshape(-1, sums.size - 1).astype(np.float64)
            features = np.concatenate([context, np.ones((len(context), 1))], axis=1)
            centred = y[:, rows].reshape(-1, sums.dofs) - scaling.y_mean
            sums.add(features, centred, valid[:, rows].reshape(-1, sums.dofs))
        return sums.normal()


class _Sums:
    """Running sums of normal equations, DoF by DoF."""

    def __init__(self, dofs: int, size: int) -> None:
        self.dofs, self.size = dofs, size
        self.gram, self.cross = np.zeros((dofs, size, size)), np.zeros((dofs, size))
        self.square, self.rows = np.zeros(dofs), np.zeros(dofs)

    def add(self, features: FloatArray, targets: FloatArray, valid: NDArray[np.bool_]) -> None:
        # DoFs of one recording are mostly masked alike, so each distinct mask is multiplied out once.
        alike: dict[bytes, list[int]] = {}
        for dof in range(self.dofs):
            alike.setdefault(valid[:, dof].tobytes(), []).append(dof)
        for members in alike.values():
            mask = valid[:, members[0]]
            kept = features if mask.all() else features[mask]
            y = targets[mask][:, members]
            self.gram[members] += kept.T @ kept
            self.cross[members] += (kept.T @ y).T
            self.square[members] += (y**2).sum(0)
            self.rows[members] += len(kept)

    def normal(self) -> _Normal:
        groups: list[list[int]] = []
        for dof, gram in enumerate(self.gram):
            same = next((group for group in groups if np.array_equal(self.gram[group[0]], gram)), None)
            groups.append([dof]) if same is None else same.append(dof)
        grams = tuple(self.gram[group[0]].copy() for group in groups)
        return _Normal(tuple(map(tuple, groups)), grams, self.cross, self.square, self.rows)


def _solve(normal: _Normal, penalty: float, prior: FloatArray | None = None) -> FloatArray:
    """Return the weights (dof, p) that minimise squared error + penalty * rows * |w - prior|^2.

    Without a prior the intercept goes free; with one it is held back too, for a few strides tell it badly.
    """
    weights = np.empty_like(normal.cross)
    for group, gram in zip(normal.groups, normal.grams, strict=True):
        rows = max(float(normal.rows[group[0]]), 1.0)
        loaded = np.array(gram, order="F")
        loaded[np.diag_indices_from(loaded)] += penalty * rows
        if prior is None:
            loaded[-1, -1] = gram[-1, -1] + 1e-9 * rows
        factor = cho_factor(loaded, lower=True, overwrite_a=True, check_finite=False)
        for dof in group:
            start = 0.0 if prior is None else prior[dof]
            wanted = normal.cross[dof] if prior is None else normal.cross[dof] - gram @ prior[dof]
            weights[dof] = start + cho_solve(factor, wanted, check_finite=False)
    return weights


def _best(judge: _Normal, choices: Sequence[FloatArray]) -> FloatArray:
    """Return, DoF by DoF, the weights with the least error on ``judge``, the middle ones where it has no label."""
    best = np.array(choices[len(choices) // 2])
    for dof in np.flatnonzero(judge.rows).tolist():
        best[dof] = min((weights[dof] for weights in choices), key=lambda weights: judge.mean_square(dof, weights))
    return best
