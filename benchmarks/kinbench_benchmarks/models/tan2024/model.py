"""The transformer behind the model contract: pre-trained by reconstruction, then its head, then all of it tuned."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinbench.contracts import Choice, ModelCard, Real, Training
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.windows import Batches, TaskSpec, Unlabelled
from kinbench_benchmarks.models._state import FEW_WINDOWS, check_inputs, not_fitted, own_note
from kinbench_benchmarks.models.tan2024.layout import Layout
from kinbench_benchmarks.models.tan2024.masking import Masking
from kinbench_benchmarks.models.tan2024.network import SslNetwork, hidden_values, transplanted
from kinbench_benchmarks.models.tan2024.recipes import recipe_of
from kinbench_benchmarks.models.tan2024.reconstruction import reconstruction
from kinbench_benchmarks.models.tan2024.sampling import Answered, Masked
from kinbench_benchmarks.models.tan2024.scaling import Compat, InputScaling, TargetScaling
from kinbench_benchmarks.training import (
    Shuffled,
    Stage,
    Validation,
    check_device,
    load_into,
    masked_mse,
    quiet_torch,
    read_weights,
    train,
    write_weights,
)
from kinbench_benchmarks.weights import NETWORK

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Tune = Literal["none", "head", "all"]
_PREDICT_BATCH = 128
_VALIDATIONS = 10
"""How often adapting asks for its validation error."""


@dataclass(frozen=True)
class _State:
    """What is known: a network, the channels it has, and how its inputs and, once fitted, its answers are scaled."""

    spec: TaskSpec
    inputs: InputScaling
    network: SslNetwork
    targets: TargetScaling | None = None


class SslTransformer:
    """Tan et al. 2024: a transformer that first learns, without answers, to fill gaps in windows of sensor signals.

    ``recipe`` is ``fast`` or ``paper``; other settings override its fields (``recipes.Recipe``). ``mirror=true`` fills
    a leg's absent sensors with the other leg's, mirrored. ``compat=code`` scales as the published code does: one SD for
    all accelerometers, one for all gyroscopes, no mean taken off, of answers neither. ``tune`` says what ``fit`` does
    with weights that answer the same task already: nothing (``none``), its head or ``all`` goes on learning.
    """

    card: ClassVar[ModelCard] = ModelCard(
        name="ssl-transformer",
        version="1",
        title="Tan et al. 2024, self-supervised transformer",
        description="A transformer encoder on patches of all sensors, pre-trained to reconstruct masked patches of "
        "unlabelled windows; then its head alone and then all of it is fitted. Without pre-training the same schedule "
        "from random weights. Absent sensors are learnt embeddings. Validation windows play no part but in adapting. "
        "Inputs are scaled by the mean and SD of the training windows that it is fitted on, also after pre-training.",
        citation="Tan, Shull, Hicks, Uhlrich, Chaudhari: IEEE Trans Biomed Eng 71(7) (2024)",
    )
    space: ClassVar[Mapping[str, Real | Choice]] = {
        "tune_steps": Choice((100, 300, 1000)),
        "tune_lr": Choice((1e-5, 1e-4, 1e-3)),
        "batch": Choice((32, 64, 128)),
    }
    """The study's own search of fitting."""

    def __init__(
        self,
        recipe: str = "fast",
        patch: int | None = None,
        width: int | None = None,
        layers: int | None = None,
        heads: int | None = None,
        feed_forward: int | None = None,
        dropout: float | None = None,
        masked: float | None = None,
        masking: str | None = None,
        batch: int | None = None,
        weight_decay: float | None = None,
        pretrain_steps: int | None = None,
        pretrain_lr: float | None = None,
        probe_steps: int | None = None,
        probe_lr: float | None = None,
        tune_steps: int | None = None,
        tune_lr: float | None = None,
        adapt_steps: int | None = None,
        adapt_lr: float | None = None,
        mirror: bool = False,
        compat: Compat = None,
        tune: Tune | None = None,
    ) -> None:
        if compat not in (None, "code") or tune not in (None, "none", "head", "all"):
            raise UsageError(f"Expected compat 'code' and tune 'none', 'head' or 'all', got '{compat}' and '{tune}'.")
        self.recipe = recipe_of(
            recipe, patch=patch, width=width, layers=layers, heads=heads, feed_forward=feed_forward, dropout=dropout,
            masked=masked, masking=masking, batch=batch, weight_decay=weight_decay, pretrain_steps=pretrain_steps,
            pretrain_lr=pretrain_lr, probe_steps=probe_steps, probe_lr=probe_lr, tune_steps=tune_steps, tune_lr=tune_lr,
            adapt_steps=adapt_steps, adapt_lr=adapt_lr,
        )  # fmt: skip
        self.mirror, self.compat, self.tune = bool(mirror), compat, tune or "none"
        self.notes: tuple[str, ...] = ()
        self._told = f"recipe {recipe}: {self.recipe}"
        self._training = Training()
        self._begun: _State | None = None
        self._now: _State | None = None

    # --- learning ----------------------------------------------------------------------------------------------------

    def prepare(self, training: Training) -> None:
        """Take up where to compute and where to keep progress; raises ``UsageError`` where that device is not."""
        check_device(training.device)
        self._training = training

    def pretrain(self, train: Unlabelled, valid: Unlabelled, *, seed: int) -> None:
        """Learn to reconstruct masked patches; with weights begun from, go on from them.

        Raises ``DataError`` without windows. There is no early stop, as published; ``valid`` is for the note alone.
        """
        if not len(train):
            raise DataError(f"no window to pre-train on for task '{train.spec.task}'; give it more recordings")
        layout = self._layout(train.spec)
        inputs = InputScaling.fit(train, layout, compat=self.compat, mirror=self.mirror)
        network = self._network(layout, train.spec, 0, seed)
        sampler = Masked(train, inputs, self.mask, batch=self.recipe.batch, seed=seed)
        losses = self._train(
            network, [(self.recipe.stage("pretrain"), sampler)], _reconstruction_loss, seed, "pretrain"
        )
        self._now = _State(train.spec, inputs, network)
        tail = max(1, len(losses) // 10)
        self.notes = (
            self._told,
            f"pre-trained on {len(train)} windows for {len(losses)} steps, loss {losses[:tail].mean():.3f} to "
            f"{losses[-tail:].mean():.3f} (mean of the first and the last tenth)",
        )
        if len(valid):
            self.notes = (*self.notes, f"of {len(valid)} windows of other people, {reconstruction(self, valid)}")

    def begin(self, folder: Path) -> None:
        """Take up weights of this model before ``fit`` or ``pretrain``. Raises ``DataError`` where they do not fit."""
        self._begun = self._read(folder)[0]

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Fit the head, then everything. Raises ``DataError`` when ``train`` teaches nothing.

        Begun from weights that answer the same task, it does what ``tune`` says instead; from any other, the encoder is
        taken and the head is new.
        """
        if self._begun is not None and _answers(self._begun, train.spec):
            self._go_on(self._begun, train, seed)
            return
        layout = self._layout(train.spec)
        inputs = InputScaling.fit(train.unlabelled(), layout, compat=self.compat, mirror=self.mirror)
        targets = TargetScaling.fit(train, compat=self.compat)
        network = self._network(layout, train.spec, len(train.spec.dof_names), seed)
        self._now = _State(train.spec, inputs, network, targets)
        self._fit(train, ("probe", "tune"), seed)
        begun = "random weights" if self._begun is None else f"the encoder of '{self._begun.spec.task}'"
        self.notes = (
            self._told, f"from {begun}: {self.recipe.probe_steps} steps of the head, {self.recipe.tune_steps} of all; "
            "inputs scaled by these training windows",
        )  # fmt: skip

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Tune everything to one person, stopping on ``valid`` where that is large enough; the scaling stays."""
        state, targets = self._fitted()
        if not len(calibration):
            self.notes = (*self.notes, "no calibration window: not adapted")
            return
        network = deepcopy(state.network)
        self._now = _State(state.spec, state.inputs, network, targets)
        validation = None
        if len(valid) >= FEW_WINDOWS:
            every = max(1, self.recipe.adapt_steps // _VALIDATIONS)
            answered = Answered(valid, state.inputs, targets)
            validation = Validation(lambda network: _error(network, answered), every, _VALIDATIONS, keep_start=True)
        self._fit(calibration, ("adapt",), seed, validation)
        stopped = "stopped on validation" if validation else f"{len(valid)} validation windows: not stopped early"
        self.notes = (*self.notes, f"adapting: up to {self.recipe.adapt_steps} steps, {stopped}")

    def normalise(self, unlabelled: Unlabelled, *, seed: int) -> Self:
        """Return this model with the inputs' scaling of ``unlabelled``; ``seed`` plays no part."""
        state, targets = self._fitted()
        check_inputs(next(unlabelled.iterate(1)), state.spec)
        model = copy(self)
        inputs = state.inputs.normalised(unlabelled, compat=self.compat)
        model._now = _State(state.spec, inputs, deepcopy(state.network), targets)
        model.notes = (*self.notes, own_note(unlabelled))
        return model

    @property
    def mask(self) -> Masking:
        """What pre-training hides."""
        return self.recipe.mask

    @property
    def input_scaling(self) -> InputScaling:
        """How inputs are put into the network; raises ``KinbenchError`` before anything was learnt."""
        return self._known().inputs

    # --- use ---------------------------------------------------------------------------------------------------------

    def predict(self, x: Float32Array) -> Float32Array:
        """Return answers (n, time, dof) in the task's unit."""
        state, targets = self._fitted()
        check_inputs(x, state.spec)
        done = [np.empty((0, x.shape[1], len(state.spec.dof_names)), dtype=np.float32)]
        with quiet_torch(), torch.inference_mode():
            for begin in range(0, len(x), _PREDICT_BATCH):
                z = torch.from_numpy(state.inputs(x[begin : begin + _PREDICT_BATCH], state.spec))
                done.append(targets.decode(state.network(z).numpy()))
        return np.concatenate(done)

    def reconstruct(self, x: Float32Array, hidden: BoolArray) -> Float32Array:
        """Return windows (n, time, channel) in SI units made up from patches that are not ``hidden`` (n, patches)."""
        state = self._known()
        check_inputs(x, state.spec)
        done = [np.empty((0, *x.shape[1:]), dtype=np.float32)]
        with quiet_torch(), torch.inference_mode():
            for begin in range(0, len(x), _PREDICT_BATCH):
                part = slice(begin, begin + _PREDICT_BATCH)
                z = torch.from_numpy(state.inputs(x[part], state.spec))
                rebuilt = state.network.reconstruct(z, torch.from_numpy(hidden[part]))
                done.append(state.inputs.back(rebuilt.numpy(), state.spec))
        return np.concatenate(done)

    def parameters(self) -> int:
        """Return the number of trainable weights, those of reconstruction included."""
        return sum(weight.numel() for weight in self._known().network.parameters())

    def save(self, folder: Path) -> None:
        """Write what was learnt, by pre-training or fit, into an existing folder."""
        state = self._known()
        targets = {} if state.targets is None else state.targets.arrays()
        weights = {f"{NETWORK}{name}": value for name, value in state.network.state_dict().items()}
        write_weights(
            folder, self.card, state.spec, {**weights, **state.inputs.arrays(), **targets},
            settings=self._settings(), channels=list(state.inputs.layout.names), notes=list(self.notes),
        )  # fmt: skip

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote. Raises ``DataError`` when it is of a network of another shape."""
        self._now, notes = self._read(folder)
        self.notes = notes

    # --- inside ------------------------------------------------------------------------------------------------------

    def _layout(self, spec: TaskSpec) -> Layout:
        return (Layout(()) if self._begun is None else self._begun.inputs.layout).with_task(spec)

    def _network(self, layout: Layout, spec: TaskSpec, dofs: int, seed: int) -> SslNetwork:
        """Return a network with random weights, or with all but the head of those that were begun from."""
        with quiet_torch(seed):
            network = SslNetwork(len(layout.names), spec.window, dofs, self.recipe.shape)
        if self._begun is not None:
            theirs = self._begun.spec
            if (theirs.window, theirs.rate_hz) != (spec.window, spec.rate_hz):
                raise DataError(
                    f"the weights are of windows of {theirs.window} samples at {theirs.rate_hz:g} Hz, and "
                    f"'{spec.task}' has {spec.window} at {spec.rate_hz:g} Hz; pre-train on a task with such windows"
                )
            taken = self._begun.network.state_dict()
            network.load_state_dict(transplanted(taken, self._begun.inputs.layout.names, network, layout.names))
        return network

    def _go_on(self, begun: _State, train: Batches, seed: int) -> None:
        """Take up weights that answer the task already, and tune them where that is asked for."""
        self._now = _State(begun.spec, begun.inputs, deepcopy(begun.network), begun.targets)
        if self.tune == "none":
            self.notes = (self._told, f"weights of '{begun.spec.task}' taken as they are, nothing fitted")
            return
        self._fit(train, ("probe" if self.tune == "head" else "tune",), seed)
        what = "the head" if self.tune == "head" else "everything"
        self.notes = (self._told, f"from weights of '{begun.spec.task}', with their scaling: {what} tuned")

    def _fit(
        self, batches: Batches, stages: tuple[Literal["probe", "tune", "adapt"], ...], seed: int,
        validation: Validation | None = None,
    ) -> None:  # fmt: skip
        state, targets = self._fitted()
        answered = Answered(batches, state.inputs, targets)
        sampler = Shuffled(answered, self.recipe.batch, seed)
        plan = [(self.recipe.stage(name), sampler) for name in stages]
        self._train(state.network, plan, _answer_loss, seed, "-".join(stages), validation)

    def _train(
        self, network: SslNetwork, plan: list[tuple[Stage, Any]], loss: Any, seed: int, name: str,
        validation: Validation | None = None,
    ) -> NDArray[np.float64]:  # fmt: skip
        return train(
            network, plan, loss, seed=seed, training=self._training, validation=validation,
            name=f"{self.card.name} {name}",
        ).losses  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        """Return the settings that weights depend on, as kept with them.

        A mask leaves no trace in them, and a result that names one must be of weights that learnt under it.
        """
        mask = {"masked": self.recipe.masked, "masking": self.recipe.masking}
        return {**asdict(self.recipe.shape), **mask, "mirror": self.mirror, "compat": self.compat}

    def _read(self, folder: Path) -> tuple[_State, tuple[str, ...]]:
        spec, arrays, meta = read_weights(folder, self.card)
        # Weights of before masks were written down say nothing of theirs.
        if {**self._settings(), **meta["settings"]} != self._settings():
            raise DataError(
                f"weights of settings {meta['settings']}, expected {self._settings()}; load with the same settings",
                where=folder,
            )
        layout = Layout(tuple(meta["channels"]))
        targets = TargetScaling.from_arrays(arrays) if "targets/zero" in arrays else None
        with quiet_torch(0):
            dofs = 0 if targets is None else len(spec.dof_names)
            network = SslNetwork(len(layout.names), spec.window, dofs, self.recipe.shape)
        weights = {name.removeprefix(NETWORK): value for name, value in arrays.items() if name.startswith(NETWORK)}
        load_into(network, weights, where=folder)
        inputs = InputScaling.from_arrays(arrays, layout, mirror=self.mirror)
        return _State(spec, inputs, network.eval(), targets), tuple(meta["notes"])

    def _known(self) -> _State:
        if self._now is None:
            raise not_fitted(self.card)
        return self._now

    def _fitted(self) -> tuple[_State, TargetScaling]:
        state = self._known()
        if state.targets is None:
            raise KinbenchError(
                f"model '{self.card.name}' is pre-trained and has no answers yet: begin from its weights and call fit"
            )
        return state, state.targets


def _answers(state: _State, spec: TaskSpec) -> bool:
    """Return whether weights answer a task as they are: the same channels, DoFs, rate and window."""
    theirs = state.spec
    same = (theirs.channel_names, theirs.dof_names, theirs.rate_hz, theirs.window)
    return state.targets is not None and same == (spec.channel_names, spec.dof_names, spec.rate_hz, spec.window)


# --- losses ----------------------------------------------------------------------------------------------------------


def _reconstruction_loss(network: nn.Module, drawn: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean squared error over known values that were hidden."""
    assert isinstance(network, SslNetwork)
    x, hidden = drawn
    return masked_mse(network.reconstruct(x, hidden), x, hidden_values(hidden, x, network.patch))


def _answer_loss(network: nn.Module, drawn: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    x, y, valid = drawn
    return masked_mse(network(x), y, valid)


def _error(network: nn.Module, answered: Answered) -> float:
    """Return the mean squared error over all windows of a set, in the network's units."""
    total, count = 0.0, 0
    device = next(network.parameters()).device
    for begin in range(0, len(answered), _PREDICT_BATCH):
        index = np.arange(begin, min(begin + _PREDICT_BATCH, len(answered)))
        x, y, valid = (torch.from_numpy(part).to(device) for part in answered.take(index))
        known = int(valid.sum())
        total += float(masked_mse(network(x), y, valid)) * known
        count += known
    return total / max(count, 1)
