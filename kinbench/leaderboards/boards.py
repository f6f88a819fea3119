"""From results to tables: one per protocol, task and dataset, a transfer matrix where a protocol spans datasets."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kinbench.errors import UsageError, suggest
from kinbench.files import publish
from kinbench.leaderboards.captions import caption
from kinbench.leaderboards.grids import Grid, Place, Ranking, grid_of, rank, summarise
from kinbench.leaderboards.overview import overview
from kinbench.leaderboards.selection import (
    Group,
    Names,
    data_of,
    dataset_labels,
    group,
    model_identity,
    model_labels,
    refuse_strangers,
)
from kinbench.leaderboards.tables import SIMULATION, WHOLE, Table, draw, escape
from kinbench.results import Result, Setting, View
from kinbench.statistics import MIN_PERSONS

BOARD_VERSION = 1
OVERVIEW = "RMSE (deg) by protocol, mean ± SD over persons"
_ALWAYS = ("rmse", "centred_rmse", "r")
PAIR = ("train", "test")


@dataclass(frozen=True)
class Board:
    """The tables of a selection of results."""

    tables: tuple[Table, ...]

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    @property
    def failures(self) -> pd.DataFrame:
        """Every cell of the tables that has no score, and why."""
        return _joined(self.tables, "failures")

    @property
    def overall(self) -> pd.DataFrame:
        """All tables' rows under each other, with their protocol, task and dataset."""
        return _joined(self.tables, "overall")

    @property
    def per_dof(self) -> pd.DataFrame:
        """All tables' rows per DoF under each other, with their protocol, task and dataset."""
        return _joined(self.tables, "per_dof")

    @property
    def overview(self) -> pd.DataFrame:
        """Every model's RMSE under every protocol, as texts; empty below two protocols."""
        return overview(self.tables)

    def text(self) -> str:
        """Return the board for a terminal: every table, and the overview last, where the eye lands."""
        parts = [table.text() for table in self.tables]
        if len(self.overview):
            parts.append(f"{OVERVIEW}\n{'=' * len(OVERVIEW)}\n\n{draw(self.overview, 'simple', str)}")
            parts += [WHOLE] * any(table.whole for table in self.tables)
            parts += [SIMULATION] * self.simulation
        return "\n\n\n".join(parts)

    @property
    def simulation(self) -> bool:
        """Whether any score is of simulated people."""
        return any(table.simulation for table in self.tables)

    def markdown(self) -> str:
        """Return the board as Markdown."""
        parts = ["# Leaderboard", *[SIMULATION] * self.simulation]
        if len(self.overview):
            parts += [f"## {OVERVIEW}", draw(self.overview, "pipe", escape)]
            parts += [WHOLE] * any(table.whole for table in self.tables)
        return "\n\n".join([*parts, *(table.markdown() for table in self.tables)]) + "\n"

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def to_json(self) -> dict[str, Any]:
        """Return the board as plain JSON values."""
        return {"board_version": BOARD_VERSION, "tables": [table.to_json() for table in self.tables]}

    def write(self, folder: Path) -> list[Path]:
        """Write ``leaderboard.md``, two CSV files and ``leaderboard.json``, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "leaderboard.md": self.markdown(),
            "leaderboard.csv": _csv(self.overall),
            "leaderboard-per-dof.csv": _csv(self.per_dof),
            "leaderboard.json": json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n",
        }
        for name, content in contents.items():
            publish(content.encode("utf-8"), folder / name)
        return [folder / name for name in contents]


def board(
    results: Iterable[Result],
    *,
    protocols: Names = None,
    tasks: Names = None,
    datasets: Names = None,
    metric: str = "rmse",
    view: View = "test",
    ceilings: bool = False,
) -> Board:
    """Return the tables of some results. The order of the results plays no part.

    ``protocols``, ``tasks`` and ``datasets`` take one name or several; None means all. ``metric`` comes first in the
    columns; ranks go by RMSE all the same. ``view`` is the headline or the longer test. With ``ceilings``, each table
    ends with what its models would score if every person's mean error were told them: no results, and never ranked.
    Raises ``UsageError`` for a
    metric, protocol, task or dataset that the results do not have.
    """
    results = list(results)
    refuse_strangers(results, protocols, tasks, datasets)
    groups = group(results, protocols, tasks, datasets)
    known = sorted({name for found in groups for name in found.first.metrics})
    if groups and metric not in known:
        raise UsageError(f"There is no metric '{metric}' in these results.{suggest(metric, known)}")
    made = (_table(found, metric, view, ceilings) for found in groups)
    return Board(tuple(table for table in made if table is not None))


def write(folder: Path, results: Iterable[Result], *, metric: str = "rmse") -> list[Path]:
    """Write the board of all results into a folder and return the files."""
    return board(results, metric=metric).write(folder)


def frame(results: Iterable[Result]) -> pd.DataFrame:
    """Return every score as one row: cell, view, person, DoF, metric, value; a failed cell has no row."""
    rows = [
        {
            "protocol": result.protocol.name, "task": result.task.name, "train": "+".join(result.fold.train_datasets),
            "dataset": result.fold.test_dataset, "fold": result.fold.name, "model": result.model.selector,
            "seed": result.seed, "view": score.view, "person": score.person, "dof": score.dof, "metric": metric,
            "value": value, "unit": result.metrics[metric].unit, "samples": score.samples,
            "simulation": result.simulation, "limited": result.limit is not None, "key": result.key,
        }
        for result in results
        for score in result.scores
        for metric, value in score.values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _joined(tables: Sequence[Table], frame: str) -> pd.DataFrame:
    parts = []
    for table in tables:
        part: pd.DataFrame = getattr(table, frame)
        parts.append(part.drop(columns=list(table.persons), errors="ignore").assign(
            protocol=table.protocol, task=table.task, dataset=table.dataset, simulation=table.simulation,
        ))  # fmt: skip
    kept = [part.astype(object) for part in parts if len(part)]
    if not kept:
        return pd.DataFrame()
    joined = pd.concat(kept, ignore_index=True)
    first = ["protocol", "task", "dataset"]
    return joined[[*first, *(name for name in joined.columns if name not in first)]]


def _csv(frame: pd.DataFrame) -> str:
    # A spreadsheet takes a text that begins with one of these signs for a formula.
    safe = frame.map(lambda v: f"'{v}" if isinstance(v, str) and v.startswith(("=", "+", "-", "@")) else v)
    return safe.to_csv(index=False, lineterminator="\n")


# --- one table -------------------------------------------------------------------------------------------------------


def _table(found: Group, metric: str, view: View, ceilings: bool) -> Table | None:
    first = found.first
    transfer = first.protocol.scope == "datasets"
    shown = tuple(dict.fromkeys((metric, *_ALWAYS)))
    grids = {place: grid for place, grid in _grids(found, view).items() if grid.values or grid.expected}
    if view != "test" and not any(grid.values for grid in grids.values()):
        return None  # the protocol has no such view
    rankings = {place: rank(grid) for place, grid in grids.items()}
    few = tuple(sorted({p for grid in grids.values() if len(grid.persons) < MIN_PERSONS for p in grid.persons}))
    parameters = _parameters(found.scored)
    overall, per_dof = [], []
    for place, grid in grids.items():
        names = dict(place)
        overall += _overall(grid, rankings[place], shown, names, few, parameters)
        per_dof += _per_dof(grid, first.task.dofs, shown, names)
    dataset = "transfer" if transfer else first.fold.test_dataset
    columns = tuple(dict.fromkeys(name for place in grids for name, _ in place))
    frame = _ordered(pd.DataFrame(overall), shown, columns)
    return Table(
        title=f"{first.protocol.name} · {first.task.name} · {dataset}",
        caption=caption(found, grids, rankings, shown, view, transfer),
        protocol=first.protocol.name, task=first.task.name, dataset=dataset, metrics=shown,
        units={name: first.metrics[name].unit for name in shown}, overall=frame,
        per_dof=pd.DataFrame(per_dof, columns=None if per_dof else ["model", "dof"]),
        failures=_failures(found.failed), persons=few,
        matrices=_matrices(frame) if columns == PAIR else {}, marks=_marks(found) if columns == PAIR else None,
        conditions=tuple(name for name in columns if name not in PAIR),
        simulation=any(result.simulation for result in found.every),
        ceilings=_ceilings(grids) if ceilings else None,
        whole=frozenset(model for grid in grids.values() for model in grid.whole),
    )  # fmt: skip


def _ceilings(grids: Mapping[Place, Grid]) -> pd.DataFrame:
    """Return one row per model and place: the mean error with the test offset gone (``centred_rmse``), over persons."""
    rows = []
    for place, grid in grids.items():
        for model in grid.models:
            summary = summarise(grid.by_person(model, "centred_rmse"))
            rows.append({
                **dict(place), "model": model, "ceiling": summary.mean, "ceiling_sd": summary.deviation,
                "n": len(grid.persons_of(model)),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=None if rows else ["model", "ceiling", "ceiling_sd", "n"])


def _grids(found: Group, view: View) -> dict[Place, Grid]:
    """Return a grid for each pair of datasets (in a transfer table) and each condition (of a study)."""
    labels = dataset_labels(found.every)
    places: dict[Place, tuple[list[Result], list[Result]]] = defaultdict(lambda: ([], []))
    for result in found.every:
        places[_place(result, labels)][0 if result.done else 1].append(result)
    return {place: grid_of(*places[place], view) for place in sorted(places, key=_in_order)}


def _place(result: Result, labels: Mapping[tuple[str, str], str]) -> Place:
    pair = zip(PAIR, _pair(result, labels), strict=True) if result.protocol.scope == "datasets" else ()
    return (*pair, *result.fold.condition.items())


def _in_order(place: Place) -> list[tuple[str, float, str]]:
    """Return what places are sorted by: numbers by size, words by their letters."""
    return [
        (name, 0.0, value) if isinstance(value, str) else (name, float(value), "") for name, value in place
    ]  # fmt: skip


def _pair(result: Result, labels: Mapping[tuple[str, str], str]) -> tuple[str, str]:
    def label(name: str) -> str:
        return labels[name, data_of(result, name).digest]

    return "+".join(label(name) for name in result.fold.train_datasets), label(result.fold.test_dataset)


def _parameters(scored: Sequence[Result]) -> dict[str, int]:
    labels = model_labels(scored)
    return {labels[model_identity(r)]: r.model.parameters for r in scored if r.model.parameters is not None}


def _overall(
    grid: Grid, ranking: Ranking, metrics: Sequence[str], names: Mapping[str, Setting], few: Sequence[str],
    parameters: Mapping[str, int],
) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    uneven = any(grid.coverage(model) < 1 for model in grid.models)
    for model in grid.models:
        values = {metric: grid.by_person(model, metric) for metric in metrics}
        row: dict[str, Any] = {"rank": ranking.ranks.get(model), "model": model, **names, **_means(values)}
        row["seed_sd"] = grid.seed_deviation(model, metrics[0])
        if uneven:
            row["rmse_shared"] = ranking.means.get(model)
        row |= {person: values[metrics[0]].get(person) for person in few}
        row |= {
            "n": len(grid.persons_of(model)), "seeds": len(grid.seeds_of(model)), "coverage": grid.coverage(model),
            "parameters": parameters.get(model), "whole_recording": model in grid.whole,
        }  # fmt: skip
        rows.append(row)
    return rows


def _per_dof(
    grid: Grid, dofs: Sequence[str], metrics: Sequence[str], names: Mapping[str, Setting]
) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    for model in grid.models:
        for dof in dofs:
            values = {metric: grid.by_person(model, metric, dof=dof) for metric in metrics}
            rows.append({"model": model, **names, "dof": dof, **_means(values), "n": len(values[metrics[0]])})
    return rows


def _means(values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for place, (metric, by_person) in enumerate(values.items()):
        summary = summarise(by_person)
        row |= {metric: summary.mean, f"{metric}_sd": summary.deviation}
        if place == 0:
            row["low"] = summary.interval.low if summary.interval else None
            row["high"] = summary.interval.high if summary.interval else None
    return row


def _ordered(frame: pd.DataFrame, metrics: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Return the rows of each place best first; what is not ranked follows, by RMSE, then by name."""
    if frame.empty:
        return pd.DataFrame(
            columns=["rank", "model", *(f"{m}{e}" for m in metrics for e in ("", "_sd")), "low", "high"]
        )
    numeric = [name for name in frame.columns if name not in ("model", "whole_recording", *names)]
    frame = frame.astype(dict.fromkeys(numeric, "float64"))
    place = frame.groupby(list(names), sort=False, dropna=False).ngroup() if names else pd.Series(0, frame.index)
    frame = frame.assign(place=place).sort_values(
        ["place", "rank", "rmse", "model"], na_position="last", kind="stable"
    )  # fmt: skip
    return frame.drop(columns="place").reset_index(drop=True)


def _matrices(frame: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    if frame.empty:
        return {}
    return {
        (str(model), metric): rows.pivot(index="train", columns="test", values=metric)
        for model, rows in frame.groupby("model", sort=True)
        for metric in ("rmse", "centred_rmse")
    }


def _marks(found: Group) -> pd.DataFrame:
    labels = dataset_labels(found.every)
    marks: dict[str, dict[str, str]] = defaultdict(dict)
    for result in found.every:
        train, test = _pair(result, labels)
        marks[test][train] = f" ({result.fold.diagonal})" if result.fold.diagonal else ""
    return pd.DataFrame(marks)


def _failures(failed: Sequence[Result]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"cell": result.label, "reason": result.failure.sentence if result.failure else "no reason given"}
            for result in sorted(failed, key=lambda result: result.label)
        ],
        columns=["cell", "reason"],
    )
