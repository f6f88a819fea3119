"""The one loop that every network learns in: stages, validation, checkpoints; the same bits if it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinbench.contracts import Training
from kinbench.errors import KinbenchError, UsageError
from kinbench_benchmarks.training.checkpoints import Checkpoints, prefixed, under
from kinbench_benchmarks.training.devices import (
    check_device,
    on_device,
    quiet_torch,
    random_state,
    restore_random_state,
)
from kinbench_benchmarks.training.fingerprints import digest, sampler_fingerprint
from kinbench_benchmarks.training.samplers import Sampler
from kinbench_benchmarks.training.stages import Stage, learning, optimiser_of, schedule
from kinbench_benchmarks.training.validation import Best, Validation, copied

Loss = Callable[[nn.Module, Any], Tensor]
_PROGRESS_S = 0.2


@dataclass(frozen=True)
class Course:
    """How a training went.

    ``steps`` were taken and the weights of ``kept_step`` kept (0: those from before). ``losses`` (steps,) float64 has
    each step's loss, ``errors`` each validation as (step, error). ``notes`` are for the result.
    """

    steps: int
    kept_step: int
    losses: NDArray[np.float64]
    errors: tuple[tuple[int, float], ...]
    notes: tuple[str, ...]


def train(
    network: nn.Module,
    stages: Sequence[tuple[Stage, Sampler[Any]]],
    loss: Loss,
    *,
    seed: int,
    training: Training | None = None,
    validation: Validation | None = None,
    name: str = "",
) -> Course:
    """Train ``network`` in place, stage after stage, and return how it went; it is on the CPU and in evaluation mode.

    ``loss(network, drawn)`` gets what the stage's sampler drew, every array in it a tensor on the device. Everything
    random in torch (dropout, masks) comes from ``seed``. With ``training.checkpoints`` progress is kept there and
    taken up by a later call with the same ``name``, stages, seed, first weights, data and validation, which then ends
    with the same bits; ``name`` must therefore tell whatever else decides the loss. Raises ``KinbenchError`` where
    training diverges, ``UsageError`` for a device that is not there.
    """
    _check_stages([stage for stage, _ in stages])
    training = training or Training()
    device = check_device(training.device)
    with quiet_torch(seed, device):
        try:
            network.to(device)
            return _Run(network, stages, loss, device, training, validation, name, seed).course()
        finally:
            network.to("cpu").eval()
            network.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class _Place:
    """Where a training is: the stage, the steps of it that are done, those of all, and whether it has ended."""

    stage: int = 0
    step: int = 0
    done: int = 0
    ended: bool = False


class _Run:
    """One training under way."""

    def __init__(
        self, network: nn.Module, stages: Sequence[tuple[Stage, Sampler[Any]]], loss: Loss, device: torch.device,
        training: Training, validation: Validation | None, name: str, seed: int,
    ) -> None:  # fmt: skip
        self._network, self._loss, self._device, self._validation = network, loss, device, validation
        self._training, self._label = training, name or "training"
        self._stages = [stage for stage, _ in stages]
        self._samplers = [sampler for _, sampler in stages]
        self._total = sum(stage.steps for stage in self._stages)
        self._losses = torch.zeros(self._total, device=device)
        self._errors: list[tuple[int, float]] = []
        self._place = _Place()
        self._optimiser: torch.optim.Optimizer | None = None
        self._kept_moments: dict[str, Tensor] = {}
        self._drawn: tuple[Any, Any] = (None, None)
        self._told = -_PROGRESS_S
        start = self._start_error()
        keeps = training.checkpoints is not None
        self._best = Best(start if validation is not None and validation.keep_start else np.inf, 0, 0, {})
        if validation is not None:
            self._best.weights = copied(network)
        self._checkpoints = Checkpoints(
            training.checkpoints, self._label, self._identity(name, seed, start) if keeps else ""
        )

    def course(self) -> Course:
        """Run to the end from wherever it stands."""
        self._take_up()
        while not self._place.ended:
            self._run_stage()
        self._tell(force=True)
        kept = self._keep()
        if not all(torch.isfinite(weight).all() for weight in self._network.state_dict().values()):
            raise _diverged("non-finite weights", self._stages)
        done = self._place.done
        notes = () if self._validation is None else (f"step {kept} of {done} kept",)
        losses = self._losses[:done].cpu().double().numpy()
        return Course(done, kept, losses, tuple(self._errors), notes)

    # --- steps -------------------------------------------------------------------------------------------------------

    def _run_stage(self) -> None:
        index = self._place.stage
        stage, sampler = self._stages[index], self._samplers[index]
        rate = schedule(self._stages, index)
        with _only(self._network, stage) as weights:
            optimiser = self._optimiser_for(stage, weights)
            self._network.train()
            while self._place.step < stage.steps:
                if rate is not None:
                    for group in optimiser.param_groups:
                        group["lr"] = rate(self._place.step)
                optimiser.zero_grad()
                value = self._loss(self._network, self._moved(sampler.draw()))
                torch.autograd.backward(value)
                optimiser.step()
                self._losses[self._place.done] = value.detach()
                self._place = replace(self._place, step=self._place.step + 1, done=self._place.done + 1)
                if self._validated():
                    self._place = replace(self._place, ended=True)
                    break
                self._tell()
                if self._checkpoints.due(stage_ends=False) and self._place.step < stage.steps:
                    self._save()
        if not self._place.ended:
            self._place = _Place(index + 1, 0, self._place.done, index + 1 == len(self._stages))
        if self._checkpoints.due(stage_ends=True):
            self._save()

    def _moved(self, drawn: Any) -> Any:
        """Return what was drawn on the device; what is drawn again and again, as a full batch, is moved once."""
        if self._drawn[0] is not drawn:
            self._drawn = (drawn, on_device(drawn, self._device))
        return self._drawn[1]

    def _optimiser_for(self, stage: Stage, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
        if self._optimiser is None or not (stage.keep_moments or self._place.step):
            self._optimiser = optimiser_of(weights, stage)
            if self._kept_moments and (stage.keep_moments or self._place.step):
                _restore_moments(self._optimiser, self._kept_moments)
            self._kept_moments = {}
        for group in self._optimiser.param_groups:
            group["lr"], group["weight_decay"] = stage.lr, stage.weight_decay
        return self._optimiser

    # --- validation --------------------------------------------------------------------------------------------------

    def _start_error(self) -> float:
        """Return the error before the first step, which also tells one set of validation windows from another."""
        validation = self._validation
        if validation is None or not (validation.keep_start or self._training.checkpoints is not None):
            return np.inf
        return validation.ask(self._network)

    def _validated(self) -> bool:
        """Ask for the error where it is due, and return whether to stop."""
        done, validation = self._place.done, self._validation
        if validation is None or not validation.due(done, self._total):
            return False
        error = validation.ask(self._network)
        self._network.train()
        self._errors.append((done, error))
        self._best.offer(self._network, error, done)
        return self._best.waited >= validation.patience and not (validation.keep_last and done == self._total)

    def _keep(self) -> int:
        """Leave the network with the weights to keep, and return the step that they are of."""
        validation, done = self._validation, self._place.done
        if validation is None or (validation.keep_last and done == self._total):
            return done
        if self._best.step == 0 and not validation.keep_start:
            raise _diverged("validation errors that are no numbers", self._stages)
        self._network.load_state_dict(self._best.weights)
        return self._best.step

    # --- progress ----------------------------------------------------------------------------------------------------

    def _tell(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._told >= _PROGRESS_S:
            self._told = now
            done = self._place.done
            self._check_loss(done)
            self._training.on_progress(done, done if self._place.ended else self._total, self._label)

    def _check_loss(self, done: int) -> None:
        """Give up a training that cannot come back, where no validation has kept weights from before."""
        if self._validation is None and done and not torch.isfinite(self._losses[done - 1]):
            raise _diverged("a loss that is no number", self._stages)

    def _identity(self, name: str, seed: int, start_error: float) -> str:
        validation = self._validation
        asked = None if validation is None else [v for k, v in sorted(vars(validation).items()) if k != "error"]
        samplers = {id(sampler): sampler for sampler in self._samplers}  # several stages may share one
        order = list(samplers)
        return digest(
            name, seed, self._device.type, torch.__version__, self._stages, self._network.state_dict(), asked,
            start_error, [sampler_fingerprint(sampler) for sampler in samplers.values()],
            [order.index(id(sampler)) for sampler in self._samplers],
        )  # fmt: skip

    def _save(self) -> None:
        tensors = {
            **prefixed("weights", self._network.state_dict()),
            **prefixed("best", self._best.weights),
            **prefixed("moments", _moments(self._optimiser)),
            **prefixed("random", random_state(self._device)),
            "losses": self._losses[: self._place.done],
        }
        meta = {
            "place": vars(self._place), "errors": self._errors, "samplers": [s.state() for s in self._samplers],
            "best": [self._best.error, self._best.step, self._best.waited],
        }  # fmt: skip
        self._checkpoints.save(tensors, meta)

    def _take_up(self) -> None:
        found = self._checkpoints.load()
        if found is None:
            return
        tensors, meta = found
        self._network.load_state_dict(under("weights", tensors))
        weights = {name: value.to(self._device) for name, value in under("best", tensors).items()}
        error, step, waited = meta["best"]
        self._best = Best(error, step, waited, weights)
        self._kept_moments = under("moments", tensors)
        restore_random_state(under("random", tensors), self._device)
        self._losses[: len(tensors["losses"])] = tensors["losses"]
        self._errors = [(int(step), float(error)) for step, error in meta["errors"]]
        for sampler, state in zip(self._samplers, meta["samplers"], strict=True):
            sampler.restore(state)
        self._place = _Place(**meta["place"])


@contextmanager
def _only(network: nn.Module, stage: Stage) -> Iterator[list[nn.Parameter]]:
    """Let only a stage's weights learn, and yield them."""
    weights = learning(network, stage)
    chosen = {id(weight) for weight in weights}
    held = [w for w in network.parameters() if w.requires_grad and id(w) not in chosen]
    for weight in held:
        weight.requires_grad_(False)
        weight.grad = None
    try:
        yield weights
    finally:
        for weight in held:
            weight.requires_grad_(True)


def _check_stages(stages: Sequence[Stage]) -> None:
    if not stages:
        raise UsageError("There is no stage to train in; give at least one.")
    for number, stage in enumerate(stages):
        before = stages[number - 1] if number else None
        if stage.keep_moments and (
            before is None or (before.optimiser, before.trainable) != (stage.optimiser, stage.trainable)
        ):
            raise UsageError("A stage that keeps moments needs one before it, of the same optimiser and weights.")


def _moments(optimiser: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    """Return what an optimiser remembers of each weight, by ``number/what``."""
    state = {} if optimiser is None else optimiser.state_dict()["state"]
    return {f"{number}/{what}": value for number, kept in state.items() for what, value in kept.items()}


def _restore_moments(optimiser: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        number, _, what = name.partition("/")
        state.setdefault(int(number), {})[what] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _diverged(to: str, stages: Sequence[Stage]) -> KinbenchError:
    return KinbenchError(f"training diverged to {to}; lower lr (now {max(stage.lr for stage in stages):g})")
