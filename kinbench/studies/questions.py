"""Which room answers which question."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kinbench.errors import UsageError, suggest
from kinbench.leaderboards.selection import Names
from kinbench.results import Result
from kinbench.studies import (
    agreement,
    comparing,
    conditions,
    few_shot,
    finetuning,
    learning_curve,
    placement,
    slices,
    subsets,
    transfer,
)
from kinbench.studies.answers import Answer, Study
from kinbench.studies.cells import cells_of

_PROTOCOLS: dict[str, Callable[..., list[Answer]]] = {
    "few-shot": few_shot.answers, "learning-curve": learning_curve.answers, "sensor-subsets": subsets.answers,
    "placement-stress": placement.answers, "data-size": learning_curve.answers, "cross-dataset": transfer.answers,
    "leave-one-dataset-out": transfer.answers, "sim-to-real": transfer.answers, "cross-activity": transfer.activities,
}  # fmt: skip
"""By the first part of a protocol's name."""
_OTHERS: dict[str, Callable[..., list[Answer]]] = {
    "compare": comparing.answers, "slices": slices.answers, "agreement": agreement.answers, "cycles": agreement.answers,
    "finetuning": finetuning.answers,
}  # fmt: skip
NAMES = (*_PROTOCOLS, *_OTHERS)


def study(
    name: str, results: Iterable[Result], *, tasks: Names = None, datasets: Names = None, models: Names = None,
    metric: str = "rmse", **settings: Any,
) -> Study:  # fmt: skip
    """Return the answers that some results hold to one question: a study protocol's, its family's, or one of any.

    ``settings`` are handed on: ``target``, ``margin``, ``factor``, ``protocols``, ``distances``, and ``kept`` for what
    needs predictions. Raises ``UsageError`` for a question that there is none of, and where no result answers it.
    """
    listed = [*results]
    known = sorted({result.protocol.name for result in listed})
    answer = _OTHERS.get(name) or _PROTOCOLS.get(_family(name))
    if answer is None and any(one.protocol.name == name and one.protocol.study for one in listed):
        answer = conditions.answers
    if answer is None:
        raise UsageError(f"There is no study '{name}'.{suggest(name, NAMES)} There are: {', '.join(NAMES)}.")
    for wanted in settings.get("protocols") or ():
        if wanted not in known:
            raise UsageError(f"There are no results of the protocol '{wanted}'.{suggest(wanted, known)}")
    found = [
        one
        for cells in cells_of(listed, tasks=tasks, datasets=datasets, models=models, metric=metric)
        for one in answer(cells, name, **settings)
    ]
    if not found:
        how = "" if name in _OTHERS else f" Make some: kinbench run --protocol {name}"
        raise UsageError(f"No result answers '{name}'; there are results of {', '.join(known) or 'nothing'}.{how}")
    return Study(name, tuple(found))


def _family(name: str) -> str:
    first = name.partition("/")[0]
    return (
        first if first in _PROTOCOLS else next((known for known in _PROTOCOLS if first.startswith(f"{known}-")), first)
    )


__all__ = ["NAMES", "study"]
