"""How a network is fitted and adapted, as frozen values: in minibatches, or on all windows at once by increments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol

from torch import nn

from kinbench.contracts import Training
from kinbench.errors import UsageError, suggest
from kinbench_benchmarks.models._state import FEW_WINDOWS
from kinbench_benchmarks.models._windows import ScaledWindows, mean_square, squared_error, summed_rmse
from kinbench_benchmarks.training import Everything, Sampler, Shuffled, Stage, Validation, train

Stages = list[tuple[Stage, Sampler[Any]]]


class Schedule(Protocol):
    """How long and how fast to learn, and when to stop."""

    @property
    def fixed(self) -> int:
        """How many epochs there are where validation is too small to stop on."""
        ...

    def stages(self, windows: ScaledWindows, seed: int, epochs: int | None, only: tuple[str, ...] | None) -> Stages:
        """Return the stages over these windows, of so many epochs (None: the most there can be)."""
        ...

    def validation(self, windows: ScaledWindows, valid: ScaledWindows, *, keep_start: bool) -> Validation:
        """Return when to stop on ``valid``."""
        ...

    def epoch_steps(self, windows: ScaledWindows) -> int:
        """Return how many steps an epoch has."""
        ...


@dataclass(frozen=True)
class Minibatches:
    """Shuffled minibatches, stopped early, the best epoch's weights kept.

    ``epochs`` is the most there can be; ``fixed_epochs`` is taken where validation is too small to stop on.
    ``epoch_windows`` bounds the windows drawn in an epoch (0: all), so that an epoch of a large set is not longer
    than one of a small set. ``patience`` is how many epochs without a better validation error are borne.
    """

    epochs: int
    fixed_epochs: int
    lr: float
    batch: int
    patience: int
    epoch_windows: int = 0

    def __post_init__(self) -> None:
        counts = (self.epochs, self.fixed_epochs, self.batch, self.patience)
        if min(counts) < 1 or self.epoch_windows < 0 or not self.lr > 0:
            raise UsageError(f"epochs, batch, patience and lr must be positive, got {self}")

    @property
    def fixed(self) -> int:
        """How many epochs there are where validation is too small to stop on."""
        return self.fixed_epochs

    def stages(self, windows: ScaledWindows, seed: int, epochs: int | None, only: tuple[str, ...] | None) -> Stages:
        """Return one stage of Adam over shuffled epochs."""
        steps = (epochs or self.epochs) * self.epoch_steps(windows)
        sampler = Shuffled(windows, self.batch, seed, self.epoch_windows)
        return [(Stage(steps, self.lr, trainable=only), sampler)]

    def validation(self, windows: ScaledWindows, valid: ScaledWindows, *, keep_start: bool) -> Validation:
        """Return a look at the mean squared error after every epoch."""
        return Validation(
            lambda network: mean_square(network, valid), self.epoch_steps(windows), self.patience, keep_start
        )

    def epoch_steps(self, windows: ScaledWindows) -> int:
        """Return how many batches an epoch has."""
        return -(-min(self.epoch_windows or len(windows), len(windows)) // self.batch)


@dataclass(frozen=True)
class Increments:
    """Adam on all windows at once, an epoch being one step: ``first`` epochs, then ``every`` more while they help.

    Stops at the first look at which the error has not fallen, with the weights of the look before, and at the last one
    that ``most`` allows. ``fresh`` takes a new optimiser at each increment, whose moments begin at zero, and keeps the
    weights of the last look there can be without asking. ``score``: the mean squared error, or the sum over DoFs of
    pooled RMSE. ``first`` epochs are taken where validation is too small to stop on.
    """

    first: int
    every: int
    most: int
    lr: float = 1e-3
    fresh: bool = False
    score: Literal["mean square", "summed rmse"] = "mean square"
    fixed_epochs: int | None = None

    def __post_init__(self) -> None:
        if min(self.first, self.every, self.most) < 1 or not self.lr > 0 or self.first > self.most:
            raise UsageError(f"epochs and lr must be positive and the first look within the most epochs, got {self}")

    @property
    def fixed(self) -> int:
        """How many epochs there are where validation is too small to stop on."""
        return self.first if self.fixed_epochs is None else self.fixed_epochs

    def stages(self, windows: ScaledWindows, seed: int, epochs: int | None, only: tuple[str, ...] | None) -> Stages:
        """Return one stage, or one per increment, on all windows; chance plays no part in their order."""
        everything = Everything(windows)
        last = epochs or self._looks()[-1]
        ends = [look for look in self._looks() if look < last] if self.fresh else []
        lengths = [end - begin for begin, end in zip([0, *ends], [*ends, last], strict=True)]
        return [(Stage(length, self.lr, trainable=only), everything) for length in lengths]

    def validation(self, windows: ScaledWindows, valid: ScaledWindows, *, keep_start: bool) -> Validation:
        """Return a look at the score after every increment; the first that has not fallen stops."""
        score = mean_square if self.score == "mean square" else summed_rmse
        return Validation(
            lambda network: score(network, valid), self.every, 1, first=self.first, keep_last=self.fresh
        )  # fmt: skip

    def epoch_steps(self, windows: ScaledWindows) -> int:
        """Return one: an epoch is a step."""
        return 1

    def _looks(self) -> list[int]:
        return list(range(self.first, self.most + 1, self.every))


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted and adapted. ``degrees``: the network puts out degrees itself, as published."""

    name: str
    fitting: Minibatches | Increments
    adapting: Minibatches | Increments
    degrees: bool = False

    def told(self) -> str:
        """Return the recipe in full, as one line for a result's notes."""
        output = "degrees" if self.degrees else "scaled angles"
        return f"recipe {self.name}: {output}; fitting {_told(self.fitting)}; adapting {_told(self.adapting)}"


def chosen(recipes: Mapping[str, Recipe], name: str) -> Recipe:
    """Return a recipe by name; ``UsageError`` where there is none."""
    if name not in recipes:
        raise UsageError(f"There is no recipe '{name}'.{suggest(name, list(recipes))}")
    return recipes[name]


def override(recipe: Recipe, **settings: Any) -> Recipe:
    """Return a recipe with those settings that are not None, each in fitting unless it begins with ``adapt_``.

    ``epochs`` of increments is exactly so many, nothing chosen; ``max_epochs`` is their ``most``. ``batch``,
    ``patience`` and ``epoch_windows`` of minibatches are those of adapting too, its patience never longer. Raises
    ``UsageError`` for one that the recipe has no use for.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    adapting = {name.removeprefix("adapt_"): given.pop(name) for name in list(given) if name.startswith("adapt_")}
    if isinstance(recipe.adapting, Minibatches):
        adapting |= {name: given[name] for name in ("batch", "epoch_windows") if name in given}
        if "patience" in given:
            adapting["patience"] = min(given["patience"], recipe.adapting.patience)
    return replace(
        recipe, fitting=_changed(recipe, recipe.fitting, given), adapting=_changed(recipe, recipe.adapting, adapting)
    )


def learn(
    network: nn.Module,
    windows: ScaledWindows,
    valid: ScaledWindows,
    schedule: Schedule,
    *,
    seed: int,
    training: Training,
    name: str,
    only: tuple[str, ...] | None = None,
    keep_start: bool = False,
) -> tuple[str, ...]:
    """Train a network in place by a schedule and return notes for the result.

    ``only``: what the names of the weights begin with that learn. ``keep_start`` lets the weights from before count
    where the schedule keeps the best. With fewer than 8 validation windows the number of epochs is fixed, and the note
    says so.
    """
    few = len(valid) < FEW_WINDOWS
    course = train(
        network, schedule.stages(windows, seed, schedule.fixed if few else None, only), squared_error,
        seed=seed, training=training, name=name,
        validation=None if few else schedule.validation(windows, valid, keep_start=keep_start),
    )  # fmt: skip
    if few:
        return (f"{len(valid)} validation windows: {schedule.fixed} epochs, not stopped early",)
    steps = schedule.epoch_steps(windows)
    return (f"epoch {course.kept_step // steps} of {course.steps // steps} kept",)


def _changed(recipe: Recipe, schedule: Minibatches | Increments, settings: dict[str, Any]) -> Any:
    if not settings:
        return schedule
    changes = dict(settings)
    if isinstance(schedule, Increments):
        if "epochs" in changes:
            changes |= dict.fromkeys(("first", "every", "most"), changes.pop("epochs"))
        if "max_epochs" in changes:
            changes["most"] = changes.pop("max_epochs")
            changes["first"] = min(changes.get("first", schedule.first), changes["most"])
    elif "epochs" in changes:
        changes.setdefault("fixed_epochs", min(changes["epochs"], schedule.fixed_epochs))
    known = {field.name for field in fields(schedule)}
    strange = sorted(set(changes) - known)
    if strange:
        raise UsageError(f"Recipe '{recipe.name}' has no use for {', '.join(strange)}; leave it out.")
    return replace(schedule, **changes)


def _told(schedule: Minibatches | Increments) -> str:
    values = ", ".join(f"{field.name} {getattr(schedule, field.name)}" for field in fields(schedule))
    return f"{'minibatches' if isinstance(schedule, Minibatches) else 'full batch'} ({values})"
