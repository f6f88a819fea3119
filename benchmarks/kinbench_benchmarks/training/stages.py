"""One run of one optimiser: how many steps, how fast, which weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from kinbench.errors import UsageError


@dataclass(frozen=True)
class Stage:
    """One run of one optimiser over so many steps.

    ``decay``: ``exponential`` multiplies the learning rate by ``gamma`` after every step and goes on over the stages
    that have it; ``warm-up cosine`` is ``lr * min(1, (t + 1) / (warm_up N)) * (1 + cos(pi t / N)) / 2`` at step t of N
    (Tan et al. 2024). ``trainable``: what the names of the weights begin with that learn here (None: all); the others
    stand still in this stage alone. ``keep_moments`` goes on with the optimiser of the stage before, instead of a new
    one; it must have the same weights and be of the same kind.
    """

    steps: int
    lr: float
    optimiser: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    decay: Literal["none", "exponential", "warm-up cosine"] = "none"
    gamma: float = 1.0
    warm_up: float = 0.2
    trainable: tuple[str, ...] | None = None
    keep_moments: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.lr > 0 or self.weight_decay < 0:
            raise UsageError(f"A stage needs steps and lr above 0 and no negative weight decay, got {self}.")
        if self.optimiser not in ("adam", "adamw") or self.decay not in ("none", "exponential", "warm-up cosine"):
            raise UsageError(
                "A stage's optimiser is 'adam' or 'adamw' and its decay 'none', 'exponential' or 'warm-up cosine', "
                f"got '{self.optimiser}' and '{self.decay}'."
            )
        if not 0 < self.gamma <= 1 or not 0 <= self.warm_up <= 1:
            raise UsageError(f"Expected 0 < gamma <= 1 and warm_up between 0 and 1, got {self.gamma}, {self.warm_up}.")


def schedule(stages: Sequence[Stage], index: int) -> Callable[[int], float] | None:
    """Return the learning rate by step (from 0) of stage ``index``; None where it stays as it is."""
    stage = stages[index]
    if stage.decay == "exponential":
        begin = stage.lr * math.prod(s.gamma**s.steps for s in stages[:index] if s.decay == "exponential")
        return lambda step: begin * stage.gamma**step
    if stage.decay == "warm-up cosine":
        ramp_steps = stage.warm_up * stage.steps
        return lambda step: (
            stage.lr
            * (min(1.0, (step + 1) / ramp_steps) if ramp_steps else 1.0)
            * (1.0 + math.cos(math.pi * step / stage.steps))
            / 2.0
        )
    return None


def learning(network: nn.Module, stage: Stage) -> list[nn.Parameter]:
    """Return the weights that learn in a stage; ``UsageError`` where there is none."""
    chosen = [
        weight
        for name, weight in network.named_parameters()
        if weight.requires_grad and (stage.trainable is None or name.startswith(stage.trainable))
    ]
    if not chosen:
        raise UsageError(f"No weight of the network begins with {stage.trainable}; nothing would be learnt.")
    return chosen


def optimiser_of(weights: Sequence[nn.Parameter], stage: Stage) -> torch.optim.Optimizer:
    """Return a stage's optimiser, new."""
    kind = torch.optim.Adam if stage.optimiser == "adam" else torch.optim.AdamW
    return kind(weights, lr=stage.lr, weight_decay=stage.weight_decay)
