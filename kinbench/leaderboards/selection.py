"""Which results may stand in one table: never two versions of a task, a protocol, a metric or the data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kinbench.errors import UsageError, suggest
from kinbench.files import digest
from kinbench.results import DatasetPart, Result

Names = str | Sequence[str] | None


@dataclass
class Group:
    """The results of one table: scored ones, failed ones, and how many were limited."""

    scored: list[Result] = field(default_factory=list)
    failed: list[Result] = field(default_factory=list)
    limited: int = 0

    @property
    def every(self) -> list[Result]:
        """The results that should stand in the table, whether they were scored or not."""
        return [*self.scored, *self.failed]

    @property
    def first(self) -> Result:
        """One of them, for what they have in common."""
        return self.every[0]


def group(results: Iterable[Result], protocol: Names, task: Names, dataset: Names) -> list[Group]:
    """Return the groups that the names let pass, in the order of protocol, task and dataset."""
    groups: dict[tuple[str, ...], Group] = defaultdict(Group)
    for result in sorted(results, key=lambda result: result.key):
        if _wanted(result, _names(protocol), _names(task), _names(dataset)):
            found = groups[_identity(result)]
            if result.limit is not None:
                found.limited += 1
            elif result.done:
                found.scored.append(result)
            else:
                found.failed.append(result)
    return [groups[key] for key in sorted(groups) if groups[key].every]


def refuse_strangers(results: Sequence[Result], protocol: Names, task: Names, dataset: Names) -> None:
    """Raise ``UsageError`` for a name of which there is no result, with the closest one of which there is."""
    there = {
        "protocol": (protocol, {result.protocol.name for result in results}),
        "task": (task, {result.task.name for result in results}),
        "dataset": (dataset, {part.name for result in results for part in result.datasets}),
    }
    for kind, (wanted, known) in there.items():
        for name in sorted((_names(wanted) or set()) - known):
            raise UsageError(f"There are no results of the {kind} '{name}'.{suggest(name, sorted(known))}")


def _names(names: Names) -> set[str] | None:
    if names is None:
        return None
    return {names} if isinstance(names, str) else set(names) or None


def _wanted(result: Result, protocol: set[str] | None, task: set[str] | None, dataset: set[str] | None) -> bool:
    mine = {result.fold.test_dataset}
    if result.protocol.scope == "datasets":
        mine |= set(result.fold.train_datasets)
    return (
        (protocol is None or result.protocol.name in protocol)
        and (task is None or result.task.name in task)
        and (dataset is None or bool(mine & dataset))
    )


def _identity(result: Result) -> tuple[str, ...]:
    """Return what all results of one table have in common."""
    alone = result.protocol.scope == "dataset"
    return (
        result.protocol.name, result.task.name, result.fold.test_dataset if alone else "",
        str(result.protocol.version), digest(result.task.definition),
        digest({name: metric.version for name, metric in result.metrics.items()}),
        data_of(result).digest if alone else "",
    )  # fmt: skip


def data_of(result: Result, name: str | None = None) -> DatasetPart:
    """Return a result's test dataset, or the one named."""
    wanted = name or result.fold.test_dataset
    return next(part for part in result.datasets if part.name == wanted)


def model_labels(results: Iterable[Result]) -> dict[str, str]:
    """Return a model's label by its identity: the selector, with its version where two of them meet."""
    identities: dict[str, dict[str, Result]] = defaultdict(dict)
    for result in results:
        identities[result.model.selector][model_identity(result)] = result
    labels = {}
    for selector, found in identities.items():
        for identity, result in found.items():
            labels[identity] = selector + (f" ({_told_apart(result)})" if len(found) > 1 else "")
    return labels


def _told_apart(result: Result) -> str:
    """Return what tells models of one selector apart: versions, weights of one name, a search."""
    model = result.model
    parts = [model.version, f"{model.distribution} {model.distribution_version}"]
    parts += [] if model.weights is None else [f"weights {model.weights.sha256[:8]}"]
    parts += [] if model.search is None else [f"search {model.search.sha256[:8]}"]
    parts += [f"{setting} {sha256[:8]}" for setting, sha256 in model.files.items()]
    return ", ".join(parts)


def model_identity(result: Result) -> str:
    """Return the identity of a result's model: name, settings, versions, distribution; of files what they hold."""
    told = result.model.model_dump(
        exclude={"parameters": True, "title": True, "selector": True, "weights": {"liked"}}  # not told in old results
    )
    told["settings"] = {name: value for name, value in told["settings"].items() if name not in told["files"]}
    return digest(told)


def dataset_labels(results: Iterable[Result]) -> Mapping[tuple[str, str], str]:
    """Return a dataset's label by (name, digest): its name, with the digest's start where two states of it meet."""
    states: dict[str, set[str]] = defaultdict(set)
    for result in results:
        for part in result.datasets:
            states[part.name].add(part.digest)
    return {
        (name, state): name if len(found) == 1 else f"{name}@{state[:8]}"
        for name, found in states.items()
        for state in found
    }
