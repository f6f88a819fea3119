"""Blocks, folds and the leak check: who may be learnt from, who is scored, and proof that the two never meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kinbench.recording import Span

Role = Literal["fit", "validation", "adaptation", "stopping", "test", "test_long"]
ROLES: tuple[Role, ...] = ("fit", "validation", "adaptation", "stopping", "test", "test_long")
SEEN_ROLES: tuple[Role, ...] = ("fit", "validation", "adaptation", "stopping")
"""Roles whose labels a model may see, at some point, before it predicts."""


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
    """

    name: str
    test_persons: tuple[str, ...]
    train_datasets: tuple[str, ...]
    test_dataset: str
    roles: Mapping[Role, tuple[Span, ...]]
    diagonal: Literal["ug", "ui"] | None = None
    notes: tuple[str, ...] = field(default=())
