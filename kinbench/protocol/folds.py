"""What a protocol is and what it gives: cards, folds, and the digests that name a fold exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kinbench.files import digest
from kinbench.recording import Span
from kinbench.tasks import Task

Role = Literal["fit", "validation", "adaptation", "stopping", "test", "test_long"]
ROLES: tuple[Role, ...] = ("fit", "validation", "adaptation", "stopping", "test", "test_long")
SEEN_ROLES: tuple[Role, ...] = ("fit", "validation", "adaptation", "stopping")
"""Roles whose labels a model may see, at some point, before it predicts."""
FIT_ROLES: tuple[Role, ...] = ("fit", "validation")
"""Roles that the first fit sees."""


@dataclass(frozen=True)
class ProtocolCard:
    """What a protocol promises. ``sees`` says what a model may see of the test person.

    ``scope``: 'dataset' (folds of one dataset at a time) or 'datasets' (all of them together). ``adapts``: the fold
    has adaptation and stopping spans and needs a model with ``adapt``.
    """

    name: str
    version: int
    title: str
    description: str
    sees: str
    scope: Literal["dataset", "datasets"] = "dataset"
    adapts: bool = False
    ranks: bool = True


@dataclass(frozen=True)
class Fold:
    """One split: spans by role. Roles never overlap, but ``test_long`` holds the whole of ``test``.

    ``name`` is unique within (protocol, task, dataset or pair). ``test_persons`` are scored one by one.
    ``train_datasets`` and ``test_dataset`` name the stores. ``diagonal`` marks, in a transfer matrix, a cell trained
    and tested in one dataset and says how ('ug' or 'ui'). ``notes`` are reasons for what was left out.
    ``individual`` says that fit and validation are the tested person's own time; without it the leak check refuses a
    person on both sides. Adaptation and stopping are the tested person's in any case.
    """

    name: str
    test_persons: tuple[str, ...]
    train_datasets: tuple[str, ...]
    test_dataset: str
    roles: Mapping[Role, tuple[Span, ...]]
    diagonal: Literal["ug", "ui"] | None = None
    notes: tuple[str, ...] = field(default=())
    individual: bool = False


def fold_digest(fold: Fold, task: Task, protocol: ProtocolCard) -> str:
    """Return the sha256 of a fold's canonical JSON: protocol, task, persons, and every span of every role.

    The order of spans inside a role plays no part, nor do notes.
    """
    return digest(
        {
            "protocol": [protocol.name, protocol.version],
            "task": asdict(task),
            "name": fold.name,
            "test_persons": list(fold.test_persons),
            "train_datasets": list(fold.train_datasets),
            "test_dataset": fold.test_dataset,
            "diagonal": fold.diagonal,
            "individual": fold.individual,
            "roles": {role: _plain(spans) for role, spans in fold.roles.items()},
        }
    )


def fit_digest(fold: Fold, task: Task) -> str:
    """Return the sha256 of what a fold's model is fitted on: task, fit and validation spans, and nothing else.

    Two folds with the same one share a fitted model, whatever their protocols are called.
    """
    return digest({"task": asdict(task), **{role: _plain(fold.roles.get(role, ())) for role in FIT_ROLES}})


def _plain(spans: tuple[Span, ...]) -> list[list[Any]]:
    return [[span.key, span.start, span.stop] for span in sorted(spans)]
