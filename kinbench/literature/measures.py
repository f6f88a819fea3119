"""From a measure to the values by person that stand for it, one set for each dataset and model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kinbench.leaderboards.selection import model_identity, model_labels
from kinbench.publications import Measure
from kinbench.results import Result
from kinbench.studies.cells import by_person


@dataclass(frozen=True)
class Measured:
    """Values by person of one model on one dataset (``train -> test`` where it was trained elsewhere)."""

    dataset: str
    model: str
    better: str
    unit: str
    persons: Mapping[str, float]
    simulation: bool
    virtual: bool

    @property
    def source(self) -> str:
        """Where the values come from, in words."""
        marks = "".join(
            [", SIMULATION" if self.simulation else "", ", virtual sensors" if self.virtual else ""]
        )
        return f"{self.dataset}{marks}"


def measured(results: Iterable[Result], measure: Measure) -> list[Measured]:
    """Return what some results hold of a measure, by dataset and then model; limited runs are left out.

    Models that share a selector and not their weights, version or files are different ones, as in every table.
    """
    standing = [result for result in results if _stands(result, measure)]
    labels = model_labels(standing)
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in standing:
        groups.setdefault((_dataset(result), labels[model_identity(result)]), []).append(result)
    found = [_values(dataset, model, some, measure) for (dataset, model), some in sorted(groups.items())]
    return [each for each in found if each is not None]


def _stands(result: Result, measure: Measure) -> bool:
    settings = result.model.settings
    return (
        result.done
        and result.limit is None
        and result.protocol.name == measure.protocol
        and result.task.name == measure.task_name
        and result.model.name == measure.model
        and all(settings.get(name) == value for name, value in measure.settings.items())
        and measure.pretrained in (None, _pretrained(result))
        and all(result.fold.condition.get(name) == value for name, value in measure.condition.items())
    )


def _pretrained(result: Result) -> bool | str:
    """Return whether a model began from weights that were pre-trained without answers; of any others, their stage."""
    weights = result.model.weights
    if weights is None:
        return False
    return weights.stage == "pre-trained" or (weights.stage or "unknown")


def _dataset(result: Result) -> str:
    trained, tested = "+".join(result.fold.train_datasets), result.fold.test_dataset
    return tested if trained == tested else f"{trained} -> {tested}"


def _values(dataset: str, model: str, results: Sequence[Result], measure: Measure) -> Measured | None:
    metric = measure.metric or "rmse"
    rows = [
        {"person": score.person, "seed": result.seed, "fold": result.fold.name, "value": score.values[metric]}
        for result in results
        for score in result.scores
        if score.view == "test"
        and (not measure.dofs or score.dof in measure.dofs)
        and score.values.get(metric) is not None
    ]
    if not rows:
        return None
    means = by_person(pd.DataFrame(rows), [])
    part = next(result.metrics[metric] for result in results if metric in result.metrics)
    return Measured(
        dataset=dataset, model=model, better=part.better, unit=part.unit,
        persons=dict(zip(means["person"], means["value"], strict=True)),
        simulation=any(result.simulation for result in results),
        virtual=any("synthetic" in part.sensor_origins for result in results for part in result.datasets),
    )  # fmt: skip
