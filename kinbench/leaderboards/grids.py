"""Scores by model, person and seed, and the means that a table shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kinbench.errors import DataError
from kinbench.leaderboards.selection import model_identity, model_labels
from kinbench.results import PersonScore, Result, Setting
from kinbench.statistics import MIN_PERSONS, Interval, bootstrap, mean, standard_deviation

Place = tuple[tuple[str, Setting], ...]
"""What a grid's scores have in common: the pair of datasets (``train``, ``test``), and a study's condition, by name."""
Unit = tuple[str, int]
"""One person scored with one seed: what two models are compared on."""


@dataclass
class Grid:
    """Scores of one dataset (or one pair): ``values[model][person, seed]`` are that unit's scores, one per DoF.

    ``unranked`` says of models that never rank why; ``whole`` are those that estimate from whole recordings.
    """

    values: dict[str, dict[Unit, tuple[PersonScore, ...]]] = field(default_factory=dict)
    expected: set[Unit] = field(default_factory=set)
    ranks: bool = True
    unranked: dict[str, str] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    @property
    def models(self) -> list[str]:
        """The models, in order of their names."""
        return sorted(self.values)

    @property
    def persons(self) -> list[str]:
        """Every person that any model should have been scored on."""
        return sorted({person for person, _ in self.expected})

    def persons_of(self, model: str) -> list[str]:
        """The persons that one model was scored on."""
        return sorted({person for person, _ in self.values[model]})

    def seeds_of(self, model: str) -> list[int]:
        """The seeds that one model was run with."""
        return sorted({seed for _, seed in self.values[model]})

    def coverage(self, model: str) -> float:
        """The share of units that one model was scored on."""
        return len(self.values[model]) / len(self.expected)

    def by_person(
        self, model: str, metric: str, *, dof: str | None = None, units: set[Unit] | None = None
    ) -> dict[str, float]:
        """Return one value per person: the mean over DoFs (or one), then over seeds; no person without a value."""
        found: dict[str, list[float]] = defaultdict(list)
        for (person, seed), scores in sorted(self.values[model].items()):
            if units is None or (person, seed) in units:
                values = _values(scores, metric, dof)
                if values:
                    found[person].append(mean(values))
        return {person: mean(values) for person, values in found.items()}

    def seed_deviation(self, model: str, metric: str) -> float | None:
        """Return the SD over seeds of the mean over persons, over the persons that all seeds have."""
        seeds = self.seeds_of(model)
        units = set(self.values[model])
        shared = [person for person in self.persons_of(model) if all((person, seed) in units for seed in seeds)]
        means = []
        for seed in seeds:
            values = self.by_person(model, metric, units={(person, seed) for person in shared})
            if values:
                means.append(mean(values.values()))
        return standard_deviation(means)

    def missing(self, metric: str) -> tuple[int, int, list[str]]:
        """Return how many values of a metric are missing, of how many, and why."""
        scores = [s for units in self.values.values() for unit in units.values() for s in unit]
        absent = [score for score in scores if score.values.get(metric) is None]
        return len(absent), len(scores), sorted({score.reasons.get(metric, "no reason given") for score in absent})


def _values(scores: Sequence[PersonScore], metric: str, dof: str | None) -> list[float]:
    found = (score.values.get(metric) for score in scores if dof is None or score.dof == dof)
    return [value for value in found if value is not None]


def grid_of(scored: Sequence[Result], failed: Iterable[Result], view: str) -> Grid:
    """Return the grid of results that belong together. Raises ``DataError`` where two of them score the same thing."""
    labels = model_labels([*scored, *failed])
    grid = Grid(ranks=all(result.protocol.ranks for result in scored))
    origin: dict[tuple[str, Unit], str] = {}
    for result in scored:
        model = labels[model_identity(result)]
        if result.unranked is not None:
            grid.unranked[model] = result.unranked
        if result.whole_recording:
            grid.whole.add(model)
        for person in result.fold.test_persons:
            unit = (person, result.seed)
            scores = tuple(s for s in result.scores if s.person == person and s.view == view)
            if not scores:
                continue
            if (model, unit) in origin:
                raise DataError(
                    f"two results score {model} on {person} with seed {result.seed}: {origin[model, unit]} and "
                    f"{result.key}; the folds changed without a new version, so move one of them away"
                )
            origin[model, unit] = result.key
            grid.values.setdefault(model, {})[unit] = scores
            grid.expected.add(unit)
    for result in failed:
        grid.expected |= {(person, result.seed) for person in result.fold.test_persons}
    return grid


# --- what a row holds ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """One number over persons: mean, SD and interval; the latter two are None below 3 persons."""

    interval: Interval | None
    deviation: float | None

    @property
    def mean(self) -> float | None:
        """The mean over persons, or None where no person has a value."""
        return None if self.interval is None else self.interval.mean


def summarise(values: Mapping[str, float]) -> Summary:
    """Return the mean over persons with SD and interval."""
    if not values:
        return Summary(None, None)
    enough = len(values) >= MIN_PERSONS
    return Summary(bootstrap(values.values()), standard_deviation(values.values()) if enough else None)


@dataclass(frozen=True)
class Ranking:
    """Ranks by RMSE over the units that all ranked models share, and the mean each was ranked by."""

    ranks: Mapping[str, int]
    means: Mapping[str, float]
    units: frozenset[Unit]

    @property
    def persons(self) -> int:
        """How many persons the ranks rest on."""
        return len({person for person, _ in self.units})


def rank(grid: Grid, metric: str = "rmse") -> Ranking:
    """Rank the models, but none that never ranks, that has fewer than 3 persons, or leaves others too few to share."""
    able = [model for model in grid.models if model not in grid.unranked] if grid.ranks else []
    ranked = [model for model in able if len(grid.persons_of(model)) >= MIN_PERSONS]
    units = _shared(grid, ranked)
    while ranked and len({person for person, _ in units}) < MIN_PERSONS:
        least = min(grid.coverage(model) for model in ranked)
        ranked = [model for model in ranked if grid.coverage(model) > least]
        units = _shared(grid, ranked)
    means = {model: mean(grid.by_person(model, metric, units=units).values()) for model in ranked}
    ranks = {model: 1 + sum(other < own for other in means.values()) for model, own in means.items()}
    return Ranking(ranks, means, frozenset(units))


def _shared(grid: Grid, models: Sequence[str]) -> set[Unit]:
    return set.intersection(*(set(grid.values[model]) for model in models)) if models else set()
