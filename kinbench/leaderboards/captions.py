"""The words under a table: what its numbers mean, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kinbench.leaderboards.grids import Grid, Place, Ranking
from kinbench.leaderboards.selection import Group, data_of
from kinbench.leaderboards.tables import SIMULATION, WHOLE
from kinbench.results import View
from kinbench.statistics import MIN_PERSONS, mean

_BETTER = {"lower": "lower is better", "higher": "higher is better", "zero": "nearer to zero is better"}


_PHASES = {
    "stance": "Scored over stance: where the foot's vertical force is above 2 % of body weight.",
    "swing": "Scored outside stance, not the headline: where the foot's vertical force is 2 % of body weight or less.",
}


def caption(
    found: Group, grids: Mapping[Place, Grid], rankings: Mapping[Place, Ranking],
    metrics: Sequence[str], view: View, transfer: bool,
) -> str:  # fmt: skip
    """Return what a table's numbers mean: metric, aggregation, who was seen, n, seeds, ranks, what is missing."""
    first = found.first
    metric = first.metrics[metrics[0]]
    unit = "no unit" if metric.unit == "1" else metric.unit
    sentences = [
        f"{first.protocol.title} (protocol {first.protocol.name}, version {first.protocol.version}) on "
        f"{first.task.title} (task {first.task.name}, version {first.task.version}).",
        f"{metrics[0]}: {metric.title}, in {unit}; {_BETTER[metric.better]}.",
        f"Of the test person the model sees: {first.protocol.sees}.",
        *_leaks(first.protocol.leaks),
        "Each person's valid test samples are pooled; values are means over DoFs and seeds within a person, then "
        "mean ± SD over persons, with a 95 % bootstrap interval over persons.",
        _who(grids, transfer),
    ]
    if view == "test_long":
        sentences.append("These are the longer test spans, not the headline.")
    if first.task.definition.get("quantity") in ("grf", "moment"):
        sentences.append(_PHASES["swing" if view == "test_swing" else "stance"])
    sentences += [] if transfer or len(grids) > 1 else _ceiling(next(iter(grids.values())), unit)
    sentences += _rank_words(first.protocol.ranks, grids, rankings)
    sentences += [WHOLE] if any(grid.whole for grid in grids.values()) else []
    sentences += _missing_words(grids, metrics)
    if found.limited:
        sentences.append(f"{found.limited} results of limited runs are left out.")
    if found.failed:
        sentences.append(f"{len(found.failed)} cells failed and are listed.")
    if transfer and any(result.fold.diagonal for result in found.every):
        sentences.append("(ug) or (ui) marks the diagonal: trained and tested within one dataset, by that protocol.")
    sentences += _left_out(found) + _conventions(found) + _virtual(found)
    if not transfer:
        sentences.append(f"Data: {first.fold.test_dataset}, state {data_of(first).digest[:12]}.")
    if any(result.simulation for result in found.every):
        sentences.append(SIMULATION)
    return " ".join(sentences)


def _leaks(kinds: Sequence[str]) -> list[str]:
    if not kinds:
        return []
    what = ", ".join(kinds)
    return [f"THIS PROTOCOL LEAKS, as its source does ({what}): its scores are for history, not to compare."]


def _who(grids: Mapping[Place, Grid], transfer: bool) -> str:
    seeds = sorted({seed for grid in grids.values() for _, seed in grid.expected})
    tested: dict[str, int] = {}
    for place, grid in grids.items():
        test = str(dict(place).get("test", ""))
        tested[test] = max(tested.get(test, 0), len(grid.persons))
    persons = ", ".join(f"{test} {n}" for test, n in tested.items()) if transfer else str(next(iter(tested.values())))
    return f"Persons: n = {persons}; seeds: {', '.join(map(str, seeds))}; seed SD is over the seeds' means."


def _rank_words(ranks: bool, grids: Mapping[Place, Grid], rankings: Mapping[Place, Ranking]) -> list[str]:
    if not ranks:
        return ["This protocol never ranks."]
    words = []
    if any(len(grid.persons) < MIN_PERSONS for grid in grids.values()):
        words.append(f"Fewer than {MIN_PERSONS} persons: values per person, no SD, no interval, no rank.")
    uneven = [pair for pair, grid in grids.items() if any(grid.coverage(model) < 1 for model in grid.models)]
    if any(ranking.ranks for ranking in rankings.values()):
        words.append("Ranks go by RMSE.")
    reasons = {model: reason for grid in grids.values() for model, reason in grid.unranked.items()}
    words += [f"{model} is not ranked: {reason}." for model, reason in sorted(reasons.items())]
    for pair in uneven:
        if rankings[pair].ranks:
            where = f" ({' to '.join(str(value) for _, value in pair)})" if pair else ""
            words.append(
                f"Not every model has every cell{where}: ranks and 'RMSE on shared' use the {rankings[pair].persons} "
                "persons and seeds that all ranked models have; nothing is imputed."
            )
    words.append("Coverage is the share of persons and seeds that were scored.")
    return words


def _ceiling(grid: Grid, unit: str) -> list[str]:
    """Say how far the best model would come whose constant errors somebody took off: what is left is its course."""
    told = {model: grid.by_person(model, "centred_rmse") for model in grid.models}
    means = {model: mean(values.values()) for model, values in told.items() if values}
    if not means:
        return []
    best = min(means, key=lambda model: (means[model], model))
    return [
        f"Ceiling, not a result: told every person's mean error, {best} would be left with an RMSE of "
        f"{means[best]:.2f} {unit}."
    ]


def _left_out(found: Group) -> list[str]:
    return list(dict.fromkeys(note for result in found.every for note in result.fold.notes))


def _conventions(found: Group) -> list[str]:
    known = {part.name: part.conventions for result in found.every for part in result.datasets}
    if len({convention for conventions in known.values() for convention in conventions}) < 2:
        return []
    told = "; ".join(f"{name} {', '.join(conventions)}" for name, conventions in sorted(known.items()))
    return [f"The references follow different conventions ({told}): part of an error may be a difference of zero pose."]


def _virtual(found: Group) -> list[str]:
    named = {part.name for result in found.every for part in result.datasets if "synthetic" in part.sensor_origins}
    if not named:
        return []
    return [
        f"VIRTUAL SENSORS: the signals of {', '.join(sorted(named))} were computed from the motion that also gives the "
        "angles, and nobody wore them."
    ]


def _missing_words(grids: Mapping[Place, Grid], metrics: Sequence[str]) -> list[str]:
    words = []
    for metric in metrics:
        parts = [grid.missing(metric) for grid in grids.values()]
        absent, total = sum(part[0] for part in parts), sum(part[1] for part in parts)
        if absent:
            reasons = sorted({reason for part in parts for reason in part[2]})
            words.append(f"{metric} is missing in {absent} of {total} values: {'; '.join(reasons)}.")
    return words
