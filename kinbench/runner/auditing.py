"""What a folder of results says of how it came about: seeds chosen, people left out, the test view opened again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kinbench.recording import natural
from kinbench.results import Result
from kinbench.runner.planning import SEEDS


@dataclass(frozen=True)
class Finding:
    """One thing a reader of a table must know. ``openings`` is told; ``seeds`` and ``people`` make a table partial."""

    kind: Literal["seeds", "people", "openings"]
    table: str
    model: str
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        return asdict(self)


def audit(results: Iterable[Result], *, seeds: Sequence[int] = SEEDS) -> tuple[Finding, ...]:
    """Return what of some results was chosen, left out, or tried again on the same test view, in order.

    Who should have been scored is known from the results of all models together: people whom nobody scored, and runs
    whose results were never kept, leave no trace here.
    """
    tables: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.limit is None:
            tables[_table(result)].append(result)
    return tuple(finding for table in sorted(tables) for finding in _of_table(table, tables[table], seeds))


def _table(result: Result) -> str:
    fitted = "+".join(result.fold.train_datasets)
    tested = result.fold.test_dataset
    dataset = tested if fitted == tested else f"{fitted} -> {tested}"
    return f"{result.protocol.name} · {result.task.name} · {dataset}"


def _of_table(table: str, results: Sequence[Result], seeds: Sequence[int]) -> list[Finding]:
    expected = {person for result in results for person in result.fold.test_persons}
    models: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        models[result.model.selector].append(result)
    found = []
    for model, mine in sorted(models.items()):
        done = [result for result in mine if result.done]
        run = {result.seed for result in done}
        if run != set(seeds):
            found.append(Finding("seeds", table, model, (
                f"{table}: {model} has the seeds {_listed(run)}, and the benchmark's are {_listed(seeds)}: a mean over "
                "seeds that were chosen is no mean over seeds."
            )))  # fmt: skip
        missing = expected - {person for result in done for person in result.fold.test_persons}
        if missing:
            found.append(Finding("people", table, model, (
                f"{table}: {model} is not scored on {', '.join(sorted(missing, key=natural))}, "
                f"{len(missing)} of {len(expected)} people; its mean is not that of the others."
            )))  # fmt: skip
    return found + _openings(table, results)


def _openings(table: str, results: Sequence[Result]) -> list[Finding]:
    """Return the models of which several variants were scored on one and the same test view."""
    variants: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for result in results:
        if result.done:
            told = f"{result.model.selector} {result.model.version} {result.model.distribution_version}"
            variants[result.model.name, result.fold.digest, result.seed].add(told)
    most: dict[str, int] = defaultdict(int)
    for (name, _, _), alike in variants.items():
        most[name] = max(most[name], len(alike))
    return [
        Finding("openings", table, name, (
            f"{table}: {count} variants of {name} were scored on the same test view; to choose among them by these "
            "scores is to choose on the test."
        ))
        for name, count in sorted(most.items()) if count > 1
    ]  # fmt: skip


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds))) or "none"
