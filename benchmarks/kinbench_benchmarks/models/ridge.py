"""Ridge regression on local context: what a linear map of the last and next few tenths of a second can tell.

Each angle sample is a linear function of every channel at a few lags around it. All that is learnt from, scaling
included, are sums over windows in float64 (``_sums``), so nothing is random, memory does not grow with the data, and
each person's windows are read once however many folds and sets of sensors they serve: the sums of persons add up to
those of a fold, those of all sensors hold those of fewer as a block, and the sums of the validation windows give the
validation error of any weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from kinbench.contracts import ModelCard
from kinbench.errors import DataError, UsageError
from kinbench.windows import Batches, TaskSpec, Unlabelled
from kinbench_benchmarks.models._state import (
    FEW_WINDOWS,
    SCALING,
    Float32Array,
    FloatArray,
    check_inputs,
    not_fitted,
    own_note,
    own_scaling,
)
from kinbench_benchmarks.models._subsets import Subset, solve_subsets
from kinbench_benchmarks.models._sums import Normal, Sums, sums_of
from kinbench_benchmarks.weights import read_weights, write_weights

FIT_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Penalties per training sample, on z-scored features; one is chosen per DoF on validation."""
ADAPT_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties per calibration sample on the way from the prior weights; keeping the prior is the last choice."""
_FIT_DEFAULT = 1e-2
_ADAPT_DEFAULT = 1e-1
_CHUNK = 128


@dataclass(frozen=True)
class _Maps:
    """Linear maps of z-scores to degrees, one or several: ``weights`` (..., dof, lag * channel), ``intercept``."""

    weights: FloatArray
    intercept: FloatArray


@dataclass(frozen=True)
class _Fitted:
    """A map and the mean and SD (channel,) of what its z-scores are of."""

    spec: TaskSpec
    mean: FloatArray
    sd: FloatArray
    map: _Maps


class Ridge:
    """Linear regression with an L2 penalty on lagged channels.

    ``reach_s`` is how far the context goes to each side, ``lags`` how many points it has, ``thin`` keeps every n-th
    sample of a training window. At a window's ends the context is filled with the end samples. ``adapt`` solves the
    same problem on the calibration with a penalty on the distance from the fitted weights.
    """

    card = ModelCard(
        name="ridge",
        version="3",
        title="Ridge regression on lagged channels",
        description="Each angle as a linear function of all channels within 0.4 s; penalty chosen on validation; "
        "adapting pulls the weights from the fitted ones towards the person's, as far as validation likes it. "
        f"{SCALING}",
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
        (fitted,) = self.fit_from(self.summarise(train), self.summarise(valid), [train.spec.segments], seed=seed)
        self.notes, self._fitted = fitted.notes, fitted._fitted

    def summarise(self, batches: Batches) -> Sums:
        """Return the sums over some windows that ``fit_from`` learns from."""
        rows = np.arange(self.thin // 2, batches.spec.window, self.thin)
        return sums_of(batches, rows, self._lagged(rows, batches.spec.window, batches.spec.rate_hz))

    def fit_from(self, train: Sums, valid: Sums, subsets: Sequence[tuple[str, ...]], *, seed: int) -> Iterator[Ridge]:
        """Yield one model per set of sensors, fitted on its part of the sums; ``seed`` plays no part.

        Raises ``DataError`` as ``fit`` does.
        """
        mean, sd = train.scaling()
        normals = train.normal(mean, sd)
        _check_labels(train.spec, train.windows, normals)
        few = valid.windows < FEW_WINDOWS
        judges = () if few else valid.normal(mean, sd)
        penalties = (_FIT_DEFAULT,) if few else FIT_GRID
        blocks = _blocks(train.spec, self.lags)
        wanted = [tuple(i for i, name in enumerate(blocks) if name in sensors) for sensors in subsets]
        solved = [_solve(normal, penalties, list(blocks.values()), wanted) for normal in normals]
        for sensors, numbers in zip(subsets, wanted, strict=True):
            features = np.sort(np.concatenate([list(blocks.values())[i] for i in numbers]))
            maps = _joined(normals, [each[numbers] for each in solved], features)
            model = Ridge(self.reach_s, self.lags, self.thin)
            best = _best([judge.narrowed(features) for judge in judges], maps)
            channels = features[: features.size // self.lags]
            model._fitted = _Fitted(train.spec.narrowed(sensors), mean[channels], sd[channels], best)
            if few:
                model.notes = (f"{valid.windows} validation windows: penalty {_FIT_DEFAULT:g} taken, not chosen",)
            yield model

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Move the weights towards the person's, by a penalty chosen on ``valid``, possibly not at all."""
        known = self._state()
        if len(calibration) == 0:
            self.notes = (*self.notes, "no calibration window: not adapted")
            return
        normals = self.summarise(calibration).normal(known.mean, known.sd)
        few = len(valid) < FEW_WINDOWS
        moved = [_moved(normals, penalty, known.map) for penalty in ((_ADAPT_DEFAULT,) if few else ADAPT_GRID)]
        if few:
            self.notes = (
                *self.notes,
                f"{len(valid)} validation windows: adapted with penalty {_ADAPT_DEFAULT:g}, not chosen",
            )
            chosen = moved[0]
        else:
            choices = [*moved, known.map]
            maps = _Maps(np.stack([m.weights for m in choices]), np.stack([m.intercept for m in choices]))
            chosen = _best(self.summarise(valid).normal(known.mean, known.sd), maps)
        self._fitted = _Fitted(known.spec, known.mean, known.sd, chosen)

    def normalise(self, unlabelled: Unlabelled, *, seed: int) -> Ridge:
        """Return this model with the inputs' mean and SD of ``unlabelled``, per channel; ``seed`` plays no part.

        Raises ``DataError`` when the windows are of another task's channels.
        """
        known = self._state()
        check_inputs(next(unlabelled.iterate(1)), known.spec)
        mean, sd = own_scaling(unlabelled, known.mean, known.sd)
        model = Ridge(self.reach_s, self.lags, self.thin)
        model._fitted = replace(known, mean=mean, sd=sd)
        model.notes = (*self.notes, own_note(unlabelled))
        return model

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees for (n, time, channel) inputs of any number of time steps."""
        known = self._state()
        check_inputs(x, known.spec)
        n, time, channels = x.shape
        taps = known.map.weights.reshape(-1, self.lags, channels)
        at = self._lagged(np.arange(time), time, known.spec.rate_hz)
        result = np.empty((n, time, len(taps)), dtype=np.float32)
        for begin in range(0, n, _CHUNK):
            z = (x[begin : begin + _CHUNK] - known.mean) / known.sd
            z[~np.isfinite(z)] = 0.0  # missing sensors and lost samples: the training mean
            total = np.tile(known.map.intercept, (len(z), time, 1))
            for lag in range(self.lags):
                total += (z @ taps[:, lag].T)[:, at[:, lag]]
            result[begin : begin + _CHUNK] = total
        return result

    def save(self, folder: Path) -> None:
        """Write weights, scaling and settings into an existing folder."""
        known = self._state()
        arrays = {
            "weights": known.map.weights, "intercept": known.map.intercept, "mean": known.mean, "sd": known.sd,
        }  # fmt: skip
        write_weights(
            folder, self.card, known.spec, arrays,
            settings={"reach_s": self.reach_s, "lags": self.lags, "thin": self.thin}, notes=self.notes,
        )  # fmt: skip

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote, its settings too."""
        spec, arrays, meta = read_weights(folder, self.card)
        self.reach_s, self.lags, self.thin = (meta["settings"][name] for name in ("reach_s", "lags", "thin"))
        kept = _Maps(arrays["weights"], arrays["intercept"])
        self._fitted = _Fitted(spec, arrays["mean"], arrays["sd"], kept)
        self.notes = tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of weights."""
        known = self._state().map
        return known.weights.size + known.intercept.size

    # --- inside ------------------------------------------------------------------------------------------------------

    def _state(self) -> _Fitted:
        if self._fitted is None:
            raise not_fitted(self.card)
        return self._fitted

    def _lagged(self, at: NDArray[np.int64], time: int, rate_hz: float) -> NDArray[np.int64]:
        """Return (len(at), lags) rows of a window of ``time`` rows: the context of each row, kept inside."""
        offsets = np.rint(np.linspace(-self.reach_s, self.reach_s, self.lags) * rate_hz).astype(np.int64)
        if self.lags == 1:
            offsets[:] = 0
        rows: NDArray[np.int64] = np.clip(at[:, None] + offsets, 0, time - 1)
        return rows


def _check_labels(spec: TaskSpec, windows: int, normals: Sequence[Normal]) -> None:
    if windows == 0:
        raise DataError(f"no training window for task '{spec.task}'; give it more or longer recordings")
    unlabelled = sorted(dof for normal in normals if normal.count == 0 for dof in normal.dofs)
    if unlabelled:
        names = ", ".join(spec.dof_names[dof] for dof in unlabelled)
        raise DataError(f"no valid training sample of {names}; nothing can be learnt about it")


def _blocks(spec: TaskSpec, lags: int) -> Mapping[str, NDArray[np.int64]]:
    """Return where the inputs of each sensor stand, at every lag."""
    sensors = [name.split("/")[0] for name in spec.channel_names]
    first = np.arange(lags)[:, None] * len(sensors)
    return {
        sensor: (first + np.flatnonzero([name == sensor for name in sensors])).reshape(-1)
        for sensor in dict.fromkeys(sensors)
    }


def _solve(
    normal: Normal, penalties: Sequence[float], blocks: Sequence[NDArray[np.int64]], wanted: Sequence[Subset]
) -> Mapping[Subset, FloatArray]:
    """Return the weights (penalty, dof, p) of each set of blocks that minimise squared error + penalty * rows * |w|^2.

    The intercept goes free: all is about the means. Inputs stand in the order they have without the other blocks.
    """
    order = np.concatenate(blocks)
    gram, cross = normal.gram[np.ix_(order, order)], normal.cross[order]
    solved = []
    for penalty in penalties:
        loaded = gram.copy()
        loaded[np.diag_indices_from(loaded)] += penalty * normal.count
        solved.append(solve_subsets(loaded, cross, [block.size for block in blocks], wanted))
    places = {numbers: np.argsort(np.concatenate([blocks[i] for i in numbers])) for numbers in wanted}
    return {numbers: np.stack([each[numbers][places[numbers]].T for each in solved]) for numbers in places}


def _joined(normals: Sequence[Normal], weights: Sequence[FloatArray], features: NDArray[np.int64]) -> _Maps:
    """Return the maps (penalty, dof) of all DoFs from the weights of each group, for some of the inputs."""
    count = sum(len(normal.dofs) for normal in normals)
    penalties, _, size = weights[0].shape
    maps = _Maps(np.empty((penalties, count, size)), np.empty((penalties, count)))
    for normal, found in zip(normals, weights, strict=True):
        maps.weights[:, normal.dofs] = found
        maps.intercept[:, normal.dofs] = normal.target_mean - found @ normal.mean[features]
    return maps


def _moved(normals: Sequence[Normal], penalty: float, prior: _Maps) -> _Maps:
    """Return the map that minimises squared error + penalty * rows * |w - prior|^2.

    The intercept is held back too, for a few strides tell it badly.
    """
    moved = _Maps(prior.weights.copy(), prior.intercept.copy())
    for normal in normals:
        rows, dofs = max(normal.count, 1.0), list(normal.dofs)
        means = np.append(normal.mean, 1.0)
        loaded = normal.count * np.outer(means, means)
        loaded[:-1, :-1] += normal.gram
        loaded[np.diag_indices_from(loaded)] += penalty * rows
        known = prior.weights[dofs].T
        offset = normal.target_mean - normal.mean @ known - prior.intercept[dofs]
        wanted = normal.count * np.outer(means, offset)
        wanted[:-1] += normal.cross - normal.gram @ known
        step = cho_solve(cho_factor(loaded, lower=True, check_finite=False), wanted, check_finite=False)
        moved.weights[dofs] += step[:-1].T
        moved.intercept[dofs] += step[-1]
    return moved


def _best(judges: Sequence[Normal], maps: _Maps) -> _Maps:
    """Return, DoF by DoF, the map with the least error on ``judges``, the middle one where they have no label."""
    choice = np.full(maps.intercept.shape[1], len(maps.intercept) // 2)
    for judge in judges:
        if judge.count:
            dofs = list(judge.dofs)
            choice[dofs] = judge.mean_square(maps.weights[:, dofs], maps.intercept[:, dofs]).argmin(0)
    each = np.arange(choice.size)
    return _Maps(maps.weights[choice, each], maps.intercept[choice, each])
