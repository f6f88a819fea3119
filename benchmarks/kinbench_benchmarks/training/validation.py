"""When training stops, and which weights it keeps: the best on people who are not learnt from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kinbench.errors import UsageError


@dataclass(frozen=True)
class Validation:
    """Ask for an error every so many steps, stop when it has not fallen ``patience`` times in a row, keep the best.

    ``error(network)`` is asked in evaluation mode without gradients, the network where it is trained. Steps are counted
    over all stages; the last one is always asked. ``first`` is the first step that is asked, ``every`` unless said.
    ``keep_start`` lets the weights from before count too, so that training cannot end worse than it began.
    ``keep_last`` keeps the last weights of a training that was not stopped, whatever their error.
    """

    error: Callable[[nn.Module], float]
    every: int
    patience: int
    keep_start: bool = False
    first: int | None = None
    keep_last: bool = False

    def __post_init__(self) -> None:
        if min(self.every, self.patience, 1 if self.first is None else self.first) < 1:
            raise UsageError(
                f"Validation is asked at least every step and needs a patience of 1, got every {self.every}, "
                f"patience {self.patience}, first {self.first}."
            )

    def due(self, step: int, total: int) -> bool:
        """Return whether the error is asked after this many of all steps."""
        first = self.every if self.first is None else self.first
        return step == total or (step >= first and (step - first) % self.every == 0)

    def ask(self, network: nn.Module) -> float:
        """Return the error now; the network is left in evaluation mode."""
        network.eval()
        with torch.inference_mode():
            return float(self.error(network))


@dataclass
class Best:
    """The best weights so far, the step they are of, and how often none was better since."""

    error: float
    step: int
    waited: int
    weights: dict[str, Tensor]

    def offer(self, network: nn.Module, error: float, step: int) -> None:
        """Take up the weights where their error is lower."""
        if error < self.error:
            self.error, self.step, self.waited, self.weights = error, step, 0, copied(network)
        else:
            self.waited += 1


def copied(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all weights, where they are."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
