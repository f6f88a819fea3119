"""How the network is sized and trained: the publication's numbers, and fewer for a first answer on a CPU."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from kinbench.errors import UsageError, suggest
from kinbench_benchmarks.models.tan2024.masking import Masking
from kinbench_benchmarks.models.tan2024.network import Shape
from kinbench_benchmarks.training import Stage


@dataclass(frozen=True)
class Recipe:
    """Sizes, mask and steps.

    ``masked`` is the hidden part of a window, ``masking`` where it lies. ``pretrain``, ``probe`` (the head alone),
    ``tune`` (everything) and ``adapt`` (everything, on one person) each have steps of AdamW and a learning rate, which
    warms up over the first fifth and falls as a cosine.
    """

    patch: int = 1
    width: int = 192
    layers: int = 6
    heads: int = 8
    feed_forward: int = 512
    dropout: float = 0.1
    masked: float = 0.125
    masking: Literal["contiguous", "random"] = "contiguous"
    batch: int = 64
    weight_decay: float = 0.01
    pretrain_steps: int = 50_000
    pretrain_lr: float = 1e-4
    probe_steps: int = 300
    probe_lr: float = 1e-3
    tune_steps: int = 300
    tune_lr: float = 1e-4
    adapt_steps: int = 300
    adapt_lr: float = 1e-4

    @property
    def shape(self) -> Shape:
        """The network's sizes; raises ``UsageError`` for those that make none."""
        return Shape(self.patch, self.width, self.layers, self.heads, self.feed_forward, self.dropout)

    @property
    def mask(self) -> Masking:
        """What is hidden in pre-training; raises ``UsageError`` for a mask that is none."""
        return Masking(self.patch, self.masked, self.masking)

    def stage(self, name: Literal["pretrain", "probe", "tune", "adapt"]) -> Stage:
        """Return one of the stages."""
        trainable = ("head.",) if name == "probe" else None
        steps, lr = getattr(self, f"{name}_steps"), getattr(self, f"{name}_lr")
        return Stage(steps, lr, "adamw", self.weight_decay, "warm-up cosine", trainable=trainable)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())


RECIPES = {
    "paper": Recipe(),
    "fast": Recipe(
        patch=4, width=64, layers=3, heads=4, feed_forward=128, batch=32, pretrain_steps=1500, pretrain_lr=3e-3,
        probe_steps=100, tune_steps=300, tune_lr=1e-3, adapt_steps=60, adapt_lr=3e-4,
    ),
}  # fmt: skip
"""``paper``: 300 steps each of probe and tuning; the code rounds them, and those of pre-training, up to whole epochs.
``fast``: a twentieth of the weights on a quarter of the patches, so that a step is a hundredth of the work, and higher
rates."""


def recipe_of(name: str, **overrides: Any) -> Recipe:
    """Return a recipe with those of its fields changed that are not None. Raises ``UsageError`` for what is none."""
    if name not in RECIPES:
        raise UsageError(
            f"There is no recipe '{name}'; expected one of {' or '.join(RECIPES)}.{suggest(name, [*RECIPES])}"
        )
    given = {key: value for key, value in overrides.items() if value is not None}
    recipe = replace(RECIPES[name], **given)
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name != "masking" and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise UsageError(f"{field.name} must be a number of at least 0, got {value!r}.")
    _ = recipe.shape, recipe.mask, [recipe.stage(stage) for stage in ("pretrain", "probe", "tune", "adapt")]
    return recipe
