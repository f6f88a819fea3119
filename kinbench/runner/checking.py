"""A protocol put to the leak check on stores, every fold of it, before any model exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import pandas as pd

from kinbench.contracts import BenchmarkProtocol
from kinbench.errors import LeakError, NotApplicable
from kinbench.files import digest
from kinbench.protocol import Fold, ProtocolCard, flaws, fold_digest
from kinbench.runner.workspace import Workspace
from kinbench.tasks import Task

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Checked:
    """What the leak check found of one protocol on one task and dataset.

    ``persons`` are those tested, ``embargo_s`` what is kept free on both sides of a border, ``digest`` the sha256 over
    all folds' digests. ``flaws`` say what makes the folds useless, that they cannot be had at all among them; ``leaks``
    are the refusals, a sentence each; ``declared`` are the kinds of leak that the card owns up to, which are let
    through. ``reason`` says why there was nothing to check.
    """

    protocol: str
    task: str
    dataset: str
    folds: int = 0
    persons: int = 0
    embargo_s: float | None = None
    digest: str = ""
    flaws: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON values."""
        return asdict(self) | {name: list(getattr(self, name)) for name in ("flaws", "leaks", "declared")}


@dataclass(frozen=True)
class Check:
    """What came of putting protocols to the test: ``broken`` promises by protocol, and a row per fold set checked."""

    protocols: tuple[str, ...]
    broken: Mapping[str, str]
    rows: tuple[Checked, ...]

    @property
    def flaws(self) -> tuple[str, ...]:
        """Everything that makes folds on stores useless, a sentence each."""
        return tuple(sentence for row in self.rows for sentence in row.flaws)

    @property
    def leaks(self) -> tuple[str, ...]:
        """Every refusal, a sentence each."""
        return tuple(sentence for row in self.rows for sentence in row.leaks)

    @property
    def ok(self) -> bool:
        """Whether every promise was kept, all folds are sound and nothing leaks beyond what a card declares."""
        return not self.broken and not self.flaws and not self.leaks

    def table(self) -> pd.DataFrame:
        """Return one row per protocol, task and dataset."""
        return pd.DataFrame([row.to_json() for row in self.rows], columns=[part.name for part in fields(Checked)])

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        return {
            "ok": self.ok, "protocols": list(self.protocols), "broken": dict(self.broken),
            "checked": [row.to_json() for row in self.rows],
        }  # fmt: skip


@dataclass(frozen=True)
class _Folds:
    """The folds of one protocol on one task and the stores that feed it."""

    card: ProtocolCard
    task: Task
    group: tuple[str, ...]
    folds: tuple[Fold, ...]
    reason: str | None = None
    flaws: tuple[str, ...] = ()


def check(
    workspace: Workspace,
    protocols: Mapping[str, BenchmarkProtocol],
    tasks: Mapping[str, Task],
    *,
    on_progress: Progress = lambda done, total, label: None,
) -> tuple[Checked, ...]:
    """Return one row per protocol, task and dataset (or datasets together), all folds checked with their samples.

    Every store of ``workspace`` must be able to feed a task, or is left out of it; a protocol that is not applicable
    gives a row with the reason.
    """
    found = [
        _folds_of(workspace, protocol, task, group)
        for task in tasks.values()
        for protocol in protocols.values()
        for group in _groups(workspace, protocol.card, task)
    ]
    total, done = sum(len(part.folds) for part in found), 0
    rows = []
    for part in found:
        leaks: list[str] = []
        for fold in part.folds:
            on_progress(done, total, f"{part.card.name} · {part.task.name} · {fold.name}")
            leaks += _leaks(workspace, part, fold)
            done += 1
        rows.append(_row(workspace, part, leaks))
    on_progress(total, total, "")
    return tuple(rows)


def _groups(workspace: Workspace, card: ProtocolCard, task: Task) -> list[tuple[str, ...]]:
    """Return the stores that are checked together; a store that cannot feed the task is left out."""
    feeding = tuple(store.name for store in workspace.stores if _feeds(workspace, task, store.name))
    if card.scope == "datasets":
        return [feeding] if feeding else []
    return [(name,) for name in feeding]


def _feeds(workspace: Workspace, task: Task, name: str) -> bool:
    try:
        return bool(workspace.data(task, name).entries)
    except NotApplicable:
        return False


def _folds_of(workspace: Workspace, protocol: BenchmarkProtocol, task: Task, group: tuple[str, ...]) -> _Folds:
    entries = [entry for name in group for entry in workspace.data(task, name).entries]
    try:
        folds = tuple(protocol.folds(entries, task))
        return _Folds(protocol.card, task, group, folds, flaws=flaws(folds, entries, task))
    except NotApplicable as reason:
        return _Folds(protocol.card, task, group, (), str(reason))
    except Exception as error:  # the boundary to foreign code: one that breaks disturbs nobody else's check
        broken = f"folds of {' + '.join(group)} cannot be had: {type(error).__name__}: {error}"
        return _Folds(protocol.card, task, group, (), flaws=(broken,))


def _leaks(workspace: Workspace, part: _Folds, fold: Fold) -> list[str]:
    cell = f"{part.card.name} · {part.task.name} · {fold.name}"
    try:
        workspace.check(fold, part.task, (), cell, part.card.leaks)
    except LeakError as leak:
        return str(leak).split("\n")
    return []


def _row(workspace: Workspace, part: _Folds, leaks: Sequence[str]) -> Checked:
    flaws = tuple(f"{part.card.name} · {part.task.name} · {flaw}." for flaw in part.flaws)
    where = Checked(part.card.name, part.task.name, " + ".join(part.group), flaws=flaws, reason=part.reason)
    if not part.folds:
        return where
    embargo = max(entry.embargo for name in part.group for entry in workspace.data(part.task, name).entries)
    return replace(
        where, folds=len(part.folds),
        persons=len({person for fold in part.folds for person in fold.test_persons}),
        embargo_s=round(embargo / part.task.rate_hz, 3),
        digest=digest([fold_digest(fold, part.task, part.card) for fold in part.folds]),
        leaks=tuple(dict.fromkeys(leaks)), declared=part.card.leaks,
    )  # fmt: skip
