"""How the networks of Rapp et al. (2021) are shaped and trained, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from kinbench.errors import UsageError, suggest
from kinbench.windows import Batches
from kinbench_benchmarks.models._state import Scaling
from kinbench_benchmarks.models.rapp2021._augmentation import NOISE, TURN_SD_DEG, Augmentation, Augmented
from kinbench_benchmarks.training import Crops, Sampler, Source, Stage


@dataclass(frozen=True)
class TwoStages:
    """Adam on random crops, first short ones of few people, then longer ones of more, the rate falling throughout.

    ``iterations`` steps in either stage; ``lr`` is multiplied by ``lr_decay`` after each of them, over both. A draw has
    ``people`` persons and two windows of each (more where there are fewer people), cut at one start to ``crop_s``
    seconds, or the window, where that is shorter. Nothing is chosen on validation: the weights after the last step are
    the model. ``turn_sd_deg`` and ``noise`` are those of ``Augmentation``.
    """

    iterations: int
    lr: float
    lr_decay: float
    people: tuple[int, int] = (8, 16)
    crop_s: tuple[float, float] = (1.0, 2.0)
    turn_sd_deg: float = TURN_SD_DEG
    noise: float = NOISE

    def __post_init__(self) -> None:
        if self.iterations < 1 or not self.lr > 0 or not 0 < self.lr_decay <= 1:
            raise UsageError(
                f"iterations and lr must be positive and lr_decay above 0 and at most 1, got {self.iterations}, "
                f"{self.lr} and {self.lr_decay}"
            )

    def stages(
        self, source: Source[Any], batches: Batches, scaling: Scaling, seed: int, *,
        compat: str | None = None, only: tuple[str, ...] | None = None,
    ) -> list[tuple[Stage, Sampler[Any]]]:  # fmt: skip
        """Return both stages over the windows of ``batches``, which ``source`` gives with what is to be learnt of them.

        The inputs that it gives are in SI units. The second stage goes on with the optimiser of the first.
        """
        spec = batches.spec
        found: list[tuple[Stage, Sampler[Any]]] = []
        persons = len(np.unique(batches.person))
        for number, (people, crop_s) in enumerate(zip(self.people, self.crop_s, strict=True)):
            own = 2 * seed + number
            crops = Crops(
                source, batches.person, min(round(crop_s * spec.rate_hz), spec.window), people, own,
                window=spec.window, each=max(2, -(-2 * people // persons)),
            )  # fmt: skip
            augmentation = Augmentation(
                spec, scaling.x_sd, own, turn_sd_deg=self.turn_sd_deg, noise=self.noise, compat=compat
            )
            stage = Stage(
                self.iterations, self.lr, decay="exponential", gamma=self.lr_decay, trainable=only,
                keep_moments=number > 0,
            )  # fmt: skip
            found.append((stage, Augmented(crops, augmentation, scaling)))
        return found


@dataclass(frozen=True)
class Recipe:
    """A network's shape, and how it is fitted and adapted. ``kernel`` is of convolutions, in samples of the task.

    ``degrees`` says that angles are z-scored, as for every model here.
    """

    name: str
    layers: int
    width: int
    dropout: float
    fitting: TwoStages
    adapting: TwoStages
    kernel: int = 0
    bidirectional: bool = False
    degrees: bool = False

    def __post_init__(self) -> None:
        if self.layers not in (1, 2, 3) or self.width < 1 or not 0 <= self.dropout < 1:
            raise UsageError(
                "layers must be 1, 2 or 3, width positive and dropout between 0 and 1, got "
                f"{self.layers}, {self.width} and {self.dropout}"
            )
        if self.kernel and (self.kernel < 1 or self.kernel % 2 == 0):
            raise UsageError(f"kernel must be odd, so that a window keeps its length, got {self.kernel}")

    def told(self) -> str:
        """Return the recipe in full, as one line for a result's notes."""
        kind = f"kernel {self.kernel}" if self.kernel else f"bidirectional {str(self.bidirectional).lower()}"
        shape = f"{self.layers} layers of {self.width}, {kind}, dropout {self.dropout:g}"
        return f"recipe {self.name}: {shape}; fitting {_told(self.fitting)}; adapting {_told(self.adapting)}"


def _recipe(name: str, iterations: int, lr: float, lr_decay: float, dropout: float, **shape: Any) -> Recipe:
    fitting = TwoStages(iterations, lr, lr_decay)
    return Recipe(name, dropout=dropout, fitting=fitting, adapting=adapting_of(fitting), **shape)


def adapting_of(fitting: TwoStages) -> TwoStages:
    """Return how a fitted network is tuned to one person, which the paper does not do: briefly, at a tenth the rate."""
    return replace(fitting, iterations=max(1, min(100, fitting.iterations // 4)), lr=fitting.lr / 10, lr_decay=0.99)


CONV1D = {
    "fast": _recipe("fast", 250, 1e-2, 0.993, 0.03, layers=2, width=32, kernel=21),
    "paper": _recipe("paper", 5000, 4e-3, 0.9996, 0.03, layers=3, width=70, kernel=51),
}
"""``paper``: where searches of the paper's space ended for most joints and gaits (the trials of Brough et al. 2025).

``fast`` is a smaller network and some hundreds of steps, for one core.
"""
LSTM = {
    "fast": _recipe("fast", 150, 2e-2, 0.99, 0.03, layers=1, width=40, bidirectional=True),
    "paper": _recipe("paper", 5000, 4e-3, 0.9996, 0.03, layers=2, width=70, bidirectional=True),
}
ORIENTATION = {
    "fast": _recipe("fast", 150, 8e-3, 0.99, 0.0, layers=1, width=40, bidirectional=True),
    "paper": _recipe("paper", 5000, 1.5e-3, 0.9997, 0.0, layers=3, width=70, bidirectional=True),
}
"""``paper`` is the publication's own, which it did not search for."""


def chosen(recipes: Mapping[str, Recipe], name: str) -> Recipe:
    """Return a recipe by name; ``UsageError`` where there is none."""
    if name not in recipes:
        raise UsageError(f"There is no recipe '{name}'.{suggest(name, list(recipes))}")
    return recipes[name]


def override(recipe: Recipe, **settings: Any) -> Recipe:
    """Return a recipe with those settings that are not None, each of the network or of the fitting.

    Adapting follows fitting, but for its turns and noise, which are the same.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    stages = {field.name for field in fields(TwoStages)}
    fitting = replace(recipe.fitting, **{name: given.pop(name) for name in list(given) if name in stages})
    adapting = recipe.adapting if fitting == recipe.fitting else adapting_of(fitting)
    return replace(recipe, fitting=fitting, adapting=adapting, **given)


def _told(stages: TwoStages) -> str:
    return ", ".join(f"{field.name} {getattr(stages, field.name)}" for field in fields(stages))
