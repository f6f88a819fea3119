"""``rapp2021``: a network's angles and gyroscopes carried on from a network's orientations, blended per DoF."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kinbench import schema
from kinbench.contracts import ModelCard, Training
from kinbench.errors import DataError, NotApplicable, UsageError
from kinbench.kinematics import matrices
from kinbench.windows import Batches, TaskSpec, Unlabelled
from kinbench_benchmarks.models._network import count_parameters
from kinbench_benchmarks.models._state import CHUNK, FEW_WINDOWS, SCALING, Float32Array, check_inputs, not_fitted
from kinbench_benchmarks.models.rapp2021 import _orientations
from kinbench_benchmarks.models.rapp2021._augmentation import COMPAT_CODE
from kinbench_benchmarks.models.rapp2021._conv1d import Conv1d
from kinbench_benchmarks.models.rapp2021._model import CITATION, TRAINED
from kinbench_benchmarks.models.rapp2021._networks import OrientationNetwork
from kinbench_benchmarks.models.rapp2021._recipes import ORIENTATION, chosen, override
from kinbench_benchmarks.models.rapp2021._topdown import carry, joint_dofs
from kinbench_benchmarks.training import load_into
from kinbench_benchmarks.weights import read_weights, write_weights

FloatArray = NDArray[np.float64]

SHARES = np.linspace(0.0, 1.0, 101)
"""The shares of the network's own angles that are tried."""
_ORIENTATION = "orientation/"


@dataclass(frozen=True)
class Blend:
    """How two estimates of an angle become one, per DoF: ``share`` (dof,) of the first, the second's size ``scale``.

    The second has the first's mean over each window: what drifts away, and its own zero, are left out.
    """

    share: FloatArray
    scale: FloatArray

    def of(self, alpha: NDArray[Any], beta: NDArray[Any]) -> Float32Array:
        """Return (n, time, dof) degrees; ``alpha`` alone where ``beta`` is not known."""
        mixed = self.share * alpha + (1 - self.share) * levelled(alpha, beta, self.scale)
        return np.where(np.isfinite(mixed), mixed, alpha).astype(np.float32)


def levelled(alpha: NDArray[Any], beta: NDArray[Any], scale: FloatArray) -> FloatArray:
    """Return ``beta`` (n, time, dof) times ``scale`` about its mean over each window, moved to that of ``alpha``.

    Means are over the samples at which ``beta`` is known.
    """
    known = np.isfinite(beta)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    own, wanted = (np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count for values in (beta, alpha))
    return np.asarray((beta - own) * scale + wanted)


class Fusion:
    """Angles of ``Conv1d`` blended with gyroscopes carried on from the first orientation that a network tells.

    It learns from the orientations of a task's variant ``oriented``; to predict it needs none. The share of each is
    learnt per DoF, on validation (on what the networks were fitted to, where there is too little of it), from the
    networks' own answers. ``compat='code'`` does as the publication's code: the second estimate is carried on from the
    reference's orientations while the share is learnt, and scaled to the reference's SD; sensors are turned twice as
    far, and rates are those of each later sample. ``search`` finds each turn as the paper does, thousands of times
    slower and to the same effect.
    """

    card = ModelCard(
        name="rapp2021",
        version="1",
        title="Rapp et al. 2021, Conv1D with top-down optimisation",
        description="Angles of rapp2021-conv1d, and angles from gyroscopes carried on from the first orientations that "
        "a bidirectional LSTM tells, blended by a share learnt per DoF. The second are parts of a rotation vector, and "
        f"take the first's mean over each window. {TRAINED} {SCALING}",
        citation=CITATION,
    )
    oriented = True

    def __init__(
        self,
        recipe: str = "fast",
        compat: str | None = None,
        iterations: int | None = None,
        orientation_iterations: int | None = None,
        layers: int | None = None,
        width: int | None = None,
        kernel: int | None = None,
        dropout: float | None = None,
        lr: float | None = None,
        lr_decay: float | None = None,
        turn_sd_deg: float | None = None,
        noise: float | None = None,
        search: bool = False,
    ) -> None:
        self._angles = Conv1d(
            recipe, compat if compat is None else _code(compat), None, layers, width, kernel, dropout, iterations, lr,
            lr_decay, turn_sd_deg, noise,
        )  # fmt: skip
        self._recipe = override(
            chosen(ORIENTATION, recipe), iterations=orientation_iterations, turn_sd_deg=turn_sd_deg, noise=noise
        )
        self.compat = compat
        self._search = bool(search)
        self._training = Training()
        self._network: OrientationNetwork | None = None
        self._blend: Blend | None = None
        self.notes: tuple[str, ...] = ()

    def prepare(self, training: Training) -> None:
        """Take up where to compute and where to keep progress; raises ``UsageError`` where that device is not."""
        self._angles.prepare(training)
        self._training = training

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Train both networks, then learn the shares. Raises ``NotApplicable`` for a task without orientations."""
        _check(train)
        self._angles.fit(train, valid, seed=seed)
        self._network = _orientations.fit(
            train, self._angles.scaling, self._recipe, compat=self.compat, seed=seed, training=self._training,
            name=f"{self.card.name}-{self.card.version}-orientation",
        )  # fmt: skip
        few = len(valid) < FEW_WINDOWS
        self._blend = self._learnt(train if few else valid)
        source = f"{len(valid)} validation windows: shares learnt on training" if few else "shares learnt on validation"
        self.notes = (*self._angles.notes, f"orientation {self._recipe.told()}", source, *self._said(train.spec))

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Fine-tune the network of angles, as ``Conv1d.adapt``; orientations and shares stay."""
        self._angles.adapt(calibration, valid, seed=seed)
        told = set(self.notes)
        self.notes = (*self.notes, *(note for note in self._angles.notes if note not in told))

    def normalise(self, unlabelled: Unlabelled, *, seed: int) -> Self:
        """Return this model with the inputs' mean and SD of ``unlabelled``, for both networks."""
        model = copy(self)
        model._angles = self._angles.normalise(unlabelled, seed=seed)
        told = set(self.notes)
        model.notes = (*self.notes, *(note for note in model._angles.notes if note not in told))
        return model

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees."""
        network, blend = self._state()
        check_inputs(x, self._angles.spec)
        alpha = self._angles.predict(x)
        starts = _orientations.first_orientations(network, x, self._angles.scaling)
        return blend.of(alpha, self._carried(x, starts))

    def save(self, folder: Path) -> None:
        """Write both networks and the shares into an existing folder."""
        network, blend = self._state()
        weights = {f"{_ORIENTATION}{name}": value for name, value in network.state_dict().items()}
        arrays = {**self._angles.arrays(), **weights, "share": blend.share, "scale": blend.scale}
        write_weights(folder, self.card, self._angles.spec, arrays, settings=self._settings(), notes=self.notes)

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote. Raises ``DataError`` where it is of another ``compat`` or shape of network."""
        spec, arrays, meta = read_weights(folder, self.card)
        if meta["settings"] != self._settings():
            raise DataError(
                f"weights of settings {meta['settings']}, expected {self._settings()}; load with the same settings",
                where=folder,
            )
        self._angles.take_up(spec, arrays, folder)
        network = _orientations.build(spec, self._recipe)
        names = {
            name.removeprefix(_ORIENTATION): value for name, value in arrays.items() if name.startswith(_ORIENTATION)
        }
        load_into(network, names, where=folder)
        self._network, self._blend = network, Blend(arrays["share"], arrays["scale"])
        self.notes = tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of trainable weights of both networks."""
        return self._angles.parameters() + count_parameters(self._state()[0])

    # --- inside ------------------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, str | None]:
        """Return the setting that decides what the shares mean: how gyroscopes are carried on."""
        return {"compat": self.compat}

    def _carried(self, x: Float32Array, starts: FloatArray) -> FloatArray:
        """Return angles (n, time, dof) of gyroscopes carried on from orientations (n, segment, 3, 3)."""
        spec = self._angles.spec
        columns = [[spec.channel_names.index(f"{name}/gyr/{axis}") for axis in "xyz"] for name in spec.segments]
        rates = np.stack([x[:, :, at] for at in columns], axis=1)
        first, second = np.moveaxis(carry(starts, rates, spec.rate_hz, compat=self.compat, search=self._search), 1, 0)
        return np.where(_held(x)[..., None], np.nan, joint_dofs(first, second, spec.dof_names))

    def _learnt(self, judged: Batches) -> Blend:
        """Return the shares, and the scales, with which windows come nearest to their labels."""
        code = self.compat == COMPAT_CODE
        estimates = list(self._estimates(judged, reference=code))
        scale = _scale(estimates) if code else np.ones(len(judged.spec.dof_names))
        return Blend(_best(estimates, scale), scale)

    def _estimates(self, judged: Batches, *, reference: bool) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """Yield the network's angles, the carried ones and the labels, (n, time, dof) each, NaN where not known."""
        network = self._network
        if network is None:
            raise not_fitted(self.card)
        for begin in range(0, len(judged), CHUNK):
            index = np.arange(begin, min(begin + CHUNK, len(judged)))
            x, y, known = judged.take(index)
            if reference:
                starts = matrices(judged.oriented(index)[:, 0])
            else:
                starts = _orientations.first_orientations(network, x, self._angles.scaling)
            alpha = self._angles.predict(x).astype(np.float64)
            yield alpha, self._carried(x, starts), np.where(known, y, np.nan)

    def _said(self, spec: TaskSpec) -> tuple[str, ...]:
        _, blend = self._state()
        shares = ", ".join(f"{name} {share:.2f}" for name, share in zip(spec.dof_names, blend.share, strict=True))
        said = [f"share of the network's own angle: {shares}"]
        if self.compat == COMPAT_CODE:
            scales = ", ".join(f"{scale:.2f}" for scale in blend.scale)
            said.append(f"compat code: shares learnt from the reference's orientations, carried angles times {scales}")
        return tuple(said)

    def _state(self) -> tuple[OrientationNetwork, Blend]:
        if self._network is None or self._blend is None:
            raise not_fitted(self.card)
        return self._network, self._blend


def _best(estimates: list[tuple[FloatArray, FloatArray, FloatArray]], scale: FloatArray) -> FloatArray:
    """Return, per DoF, the share with the least mean over windows of RMSE within a window."""
    totals = np.zeros((SHARES.size, scale.size))
    for alpha, beta, y in estimates:
        carried = levelled(alpha, beta, scale)
        known = np.isfinite(carried) & np.isfinite(y)
        count = np.maximum(known.sum(axis=1), 1)
        off, gap = np.where(known, carried - y, 0.0), np.where(known, alpha - carried, 0.0)
        squares, mixed, gaps = ((a * b).sum(axis=1) / count for a, b in ((off, off), (off, gap), (gap, gap)))
        for number, share in enumerate(SHARES):
            error = np.sqrt(np.maximum(squares + 2 * share * mixed + share**2 * gaps, 0.0))
            totals[number] += error.sum(axis=0)
    # Of equal shares the greatest: without any orientation known, the network's angle alone.
    return np.asarray(SHARES[::-1][totals[::-1].argmin(axis=0)])


def _scale(estimates: list[tuple[FloatArray, FloatArray, FloatArray]]) -> FloatArray:
    """Return, per DoF, the labels' mean SD within a window over that of the carried angles."""
    label = np.concatenate([_sd(y, beta) for _, beta, y in estimates])
    carried = np.concatenate([_sd(beta, y) for _, beta, y in estimates])
    sizes = carried.sum(axis=0)
    return np.where(sizes > 0, label.sum(axis=0) / np.where(sizes > 0, sizes, 1.0), 1.0)


def _sd(values: FloatArray, other: FloatArray) -> FloatArray:
    """Return the SD (n, dof) over time of ``values`` where both are known, 0 where they are nowhere."""
    known = np.isfinite(values) & np.isfinite(other)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    squares = np.where(known, values - mean, 0.0) ** 2
    return np.asarray(np.sqrt(squares.sum(axis=1) / count[:, 0]))


def _code(compat: str) -> str:
    if compat != COMPAT_CODE:
        raise UsageError(f"compat is not set or {COMPAT_CODE}, got '{compat}'.")
    return compat


def _held(x: Float32Array) -> NDArray[np.bool_]:
    """Return where (n, time) a window that was too short repeats its last sample: no gyroscope turned there."""
    same = np.flip((x[:, 1:] == x[:, :-1]).all(axis=2), axis=1)
    held = np.flip(np.logical_and.accumulate(same, axis=1), axis=1)
    return np.concatenate([np.zeros((len(x), 1), dtype=bool), held], axis=1)


def _check(batches: Batches) -> None:
    """Raise ``NotApplicable`` unless windows hold two segments with gyroscopes, orientations and their joint's DoFs."""
    spec, problems = batches.spec, []
    if batches.orientations is None:
        problems.append(
            f"rapp2021 learns from orientations, and the windows of task '{spec.task}' hold none; take its variant "
            f"'{spec.task}/oriented'"
        )
    bare = {name: (schema.DOFS.get(name) or schema.DOFS.get(f"{name}_r")) for name in spec.dof_names}
    pairs = {None if dof is None else (_bare(dof.proximal), _bare(dof.distal)) for dof in bare.values()}
    if len(spec.segments) != 2 or pairs != {tuple(_bare(name) for name in spec.segments)}:
        problems.append("rapp2021 takes one joint's DoFs and the two segments beside it, the proximal one first")
    missing = [name for name in spec.segments if f"{name}/gyr/x" not in spec.channel_names]
    if missing:
        problems.append(f"rapp2021 needs the angular rate of {' and '.join(missing)}")
    if problems:
        raise NotApplicable("; ".join(problems))


def _bare(segment: str) -> str:
    return segment.removesuffix("_r").removesuffix("_l")
