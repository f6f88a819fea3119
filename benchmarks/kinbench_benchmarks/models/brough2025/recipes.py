"""How the transformer is shaped and trained, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from kinbench.errors import UsageError, suggest
from kinbench_benchmarks.models.rapp2021._recipes import TwoStages


@dataclass(frozen=True)
class Recipe:
    """A network's shape, and how it is fitted and adapted. ``degrees`` says that angles are z-scored."""

    name: str
    fitting: TwoStages
    adapting: TwoStages
    width: int = 96
    layers: int = 4
    heads: int = 6
    feed_forward: int = 256
    dropout: float = 0.1
    degrees: bool = False

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.feed_forward) < 1 or not 0 <= self.dropout < 1:
            raise UsageError(
                "width, layers, heads and feed_forward must be positive and dropout between 0 and 1, got "
                f"{self.width}, {self.layers}, {self.heads}, {self.feed_forward} and {self.dropout}"
            )
        if self.width % (2 * self.heads):
            raise UsageError(
                f"width must be a multiple of twice the heads, so that each has pairs to turn; got {self.width} and "
                f"{self.heads} heads"
            )

    def told(self) -> str:
        """Return the recipe in full, as one line for a result's notes."""
        shape = (
            f"{self.layers} layers, {self.heads} heads, width {self.width}, feed-forward {self.feed_forward}, dropout "
            f"{self.dropout:g}"
        )
        return f"recipe {self.name}: {shape}; fitting {_told(self.fitting)}; adapting {_told(self.adapting)}"


PAPER = Recipe("paper", TwoStages(5000, 1e-3, 0.9996), TwoStages(500, 1e-4, 0.99))
"""Shape as reported, stages as in Rapp et al. (2021), whose 'exact same settings' the report took, and no rate of its
own for this shape: the one published transformer is another, and its rate (0.00996, times 0.978 a step) is spent after
400 steps of 10,000. What the report fine-tunes with it does not say: here a tenth of the rate, for a tenth as long."""
_FEW: dict[str, Any] = {"people": (4, 4), "crop_s": (0.5, 1.0)}
FAST = Recipe("fast", TwoStages(250, 2e-3, 0.995, **_FEW), TwoStages(60, 5e-4, 0.98, **_FEW))
"""The same network for one core: some hundreds of steps on few and short crops."""
RECIPES = {recipe.name: recipe for recipe in (FAST, PAPER)}


def chosen(name: str) -> Recipe:
    """Return a recipe by name; ``UsageError`` where there is none."""
    if name not in RECIPES:
        raise UsageError(f"There is no recipe '{name}'.{suggest(name, list(RECIPES))}")
    return RECIPES[name]


def override(recipe: Recipe, **settings: Any) -> Recipe:
    """Return a recipe with those settings that are not None: of adapting where they begin with ``adapt_``, of fitting
    where ``TwoStages`` has them, of the network otherwise.

    Turns and noise of fitting are those of adapting too.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    adapting = {name.removeprefix("adapt_"): given.pop(name) for name in list(given) if name.startswith("adapt_")}
    stages = {field.name for field in fields(TwoStages)}
    fitting = {name: given.pop(name) for name in list(given) if name in stages}
    adapting = {**{name: fitting[name] for name in ("turn_sd_deg", "noise") if name in fitting}, **adapting}
    return replace(
        recipe, fitting=replace(recipe.fitting, **fitting), adapting=replace(recipe.adapting, **adapting), **given
    )


def _told(stages: TwoStages) -> str:
    return ", ".join(f"{field.name} {getattr(stages, field.name)}" for field in fields(stages))
