"""What a protocol is and what it gives: cards, folds, and the digests that name a fold exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from kinbench.files import canonical, canonical_object, digest_object
from kinbench.perturbations import Change, Setting
from kinbench.recording import Span
from kinbench.tasks import Task

Role = Literal["fit", "validation", "adaptation", "stopping", "unlabelled", "test", "test_long"]
ROLES: tuple[Role, ...] = ("fit", "validation", "adaptation", "stopping", "unlabelled", "test", "test_long")
SEEN_ROLES: tuple[Role, ...] = ("fit", "validation", "adaptation", "stopping")
"""Roles whose labels a model may see, at some point, before it predicts."""
INPUT_ROLES: tuple[Role, ...] = (*SEEN_ROLES, "unlabelled")
"""Roles whose inputs a model may see before it predicts: of ``unlabelled`` spans it is handed nothing else."""
FIT_ROLES: tuple[Role, ...] = ("fit", "validation")
"""Roles that the first fit sees."""
RESERVED = frozenset((
    "protocol", "train", "dataset", "model", "parameters", "person", "seed", "fold", "dof", "value", "mean", "sd",
    "low", "high", "n",
))  # fmt: skip
"""What no condition may be called: the columns that scores and their summaries have."""
_KEPT = 32
"""Groups of spans whose texts are kept: folds that share one come close together."""

Leak = Literal["person", "overlap", "embargo", "samples", "transform", "pre-training"]
LEAKS: tuple[Leak, ...] = ("person", "overlap", "embargo", "samples", "transform", "pre-training")
"""What the leak check finds: a person on both sides; spans of two roles that share time, or stand too near; a run of
native samples on both sides; a statistic fitted on test spans; a test person in a model's pre-training."""


@dataclass(frozen=True)
class ProtocolCard:
    """What a protocol promises. ``sees`` says what a model may see of the test person.

    ``scope``: 'dataset' (folds of one dataset at a time) or 'datasets' (all of them together). ``adapts``: some folds
    have adaptation spans, and those need a model with ``adapt``. ``normalises``: some have unlabelled spans, and those
    need a model with ``normalise``. ``study`` says that folds differ in more than who is
    tested (``Fold.condition``): its table has a row for each condition, and answers a question instead of ranking.

    ``leaks`` are the kinds that a historical protocol keeps from its source, in the open: the leak check lets these
    through, and no other; a protocol with any never ranks.
    """

    name: str
    version: int
    title: str
    description: str
    sees: str
    scope: Literal["dataset", "datasets"] = "dataset"
    adapts: bool = False
    ranks: bool = True
    study: bool = False
    leaks: tuple[Leak, ...] = ()
    normalises: bool = False

    def __post_init__(self) -> None:
        strange = sorted(set(self.leaks) - set(LEAKS))
        if strange:
            raise ValueError(f"{self.name}: leaks: expected some of {', '.join(LEAKS)}, got {', '.join(strange)}")
        if self.leaks and self.ranks:
            raise ValueError(f"{self.name}: a protocol that leaks ({', '.join(self.leaks)}) must not rank")


@dataclass(frozen=True)
class Fold:
    """One split: spans by role. Roles never overlap, but ``test_long`` holds the whole of ``test``.

    ``name`` is unique within (protocol, task, dataset or pair). ``test_persons`` are scored one by one.
    ``train_datasets`` and ``test_dataset`` name the stores. ``diagonal`` marks, in a transfer matrix, a cell trained
    and tested in one dataset and says how ('ug' or 'ui'). ``notes`` are reasons for what was left out.
    ``individual`` says that fit and validation are the tested person's own time; without it the leak check refuses a
    person on both sides. Adaptation and stopping are the tested person's, unless ``adapts_to`` is 'dataset': then they
    are other persons', none of whom is tested. Of ``unlabelled`` spans, the tested person's own, a model is handed the
    inputs alone, to take statistics of.

    ``condition`` is what sets a fold apart from the others of a study, by name: plain values that tables and curves are
    drawn over, such as ``{"seconds": 30}``. ``segments`` are the sensors that the model gets, all of the task's where
    it is None. ``fit_changes`` are made to what it learns from (fit and validation), ``test_changes`` to the inputs it
    is tested on and the unlabelled ones, for those sensors were worn alike; the reference that it is scored against is
    never changed, nor is what a model adapts to. Where there are ``fit_copies``, it learns
    from one copy of the fit spans for each, changed so on top (an empty one: as it is); validation is no copy.

    ``manifest`` is the sha256 of the split manifest that dealt the persons, None where they were dealt among those
    present.
    """

    name: str
    test_persons: tuple[str, ...]
    train_datasets: tuple[str, ...]
    test_dataset: str
    roles: Mapping[Role, tuple[Span, ...]]
    diagonal: Literal["ug", "ui"] | None = None
    notes: tuple[str, ...] = field(default=())
    individual: bool = False
    adapts_to: Literal["person", "dataset"] = "person"
    condition: Mapping[str, Setting] = field(default_factory=dict)
    segments: tuple[str, ...] | None = None
    fit_changes: tuple[Change, ...] = ()
    test_changes: tuple[Change, ...] = ()
    fit_copies: tuple[tuple[Change, ...], ...] = ()
    manifest: str | None = None

    @property
    def adapts(self) -> bool:
        """Whether a fitted model is to be adapted before it is tested."""
        return bool(self.roles.get("adaptation"))

    @property
    def normalises(self) -> bool:
        """Whether a fitted model is to take its inputs' statistics from the tested person before it is tested."""
        return bool(self.roles.get("unlabelled"))

    def narrowed(self, task: Task) -> Task:
        """Return the task as this fold's model sees it: with its sensors only, in the task's order."""
        if self.segments is None:
            return task
        return replace(task, segments=tuple(name for name in task.segments if name in self.segments))


def fold_digest(fold: Fold, task: Task, protocol: ProtocolCard) -> str:
    """Return the sha256 of a fold's canonical JSON: protocol, task, persons, and every span of every role.

    The order of spans inside a role plays no part, nor do notes.
    """
    plain = {
        "protocol": [protocol.name, protocol.version],
        "task": task.plain(),
        "name": fold.name,
        "test_persons": list(fold.test_persons),
        "train_datasets": list(fold.train_datasets),
        "test_dataset": fold.test_dataset,
        "diagonal": fold.diagonal,
        "individual": fold.individual,
        **_told(_beyond_spans(fold)),
        **_inputs(fold),
    }
    roles = canonical_object({role: _text(_Group(spans)) for role, spans in fold.roles.items()})
    return digest_object({**_written(plain), "roles": roles})


def fit_digest(fold: Fold, task: Task) -> str:
    """Return the sha256 of what a fold's model is fitted on: task, sensors, changes, fit and validation spans.

    Two folds with the same one share a fitted model, whatever their protocols are called.
    """
    plain = _written({"task": task.plain(), **_inputs(fold)})
    return _fit_digest(tuple(plain.items()), *(_Group(fold.roles.get(role, ())) for role in FIT_ROLES))


def recordings_of(fold: Fold, roles: Sequence[Role]) -> frozenset[str]:
    """Return the keys of the recordings that a fold uses in some roles."""
    return frozenset().union(*(_keys(_Group(fold.roles[role])) for role in roles if role in fold.roles))


# --- what a digest is made of ----------------------------------------------------------------------------------------


def _beyond_spans(fold: Fold) -> dict[str, Any]:
    return {
        "adapts_to": "" if fold.adapts_to == "person" else fold.adapts_to,
        "condition": dict(fold.condition),
        "test_changes": [change.plain() for change in fold.test_changes],
        "manifest": fold.manifest or "",
    }


def _inputs(fold: Fold) -> dict[str, Any]:
    """Return what of a fold, besides its spans, a fitted model depends on."""
    return _told({
        "segments": sorted(fold.segments or ()), "fit_changes": [change.plain() for change in fold.fit_changes],
        "fit_copies": [[change.plain() for change in copy] for copy in fold.fit_copies],
    })  # fmt: skip


def _told(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that say something: what a fold does without does not enter its digest."""
    return {name: part for name, part in parts.items() if part}


class _Group:
    """The spans of a role, equal to themselves alone: to look them up costs nothing, however many they are.

    The folds of a study share the very tuples of the people whom they fit on, and writing these out anew for each fold
    would take longer than all else in planning it.
    """

    __slots__ = ("spans",)

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = tuple(spans)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Group) and self.spans is other.spans

    def __hash__(self) -> int:
        return id(self.spans)


@lru_cache(maxsize=_KEPT)
def _text(group: _Group) -> bytes:
    """Return the canonical text of some spans in order."""
    return canonical([[span.key, span.start, span.stop] for span in sorted(group.spans)])


@lru_cache(maxsize=_KEPT)
def _keys(group: _Group) -> frozenset[str]:
    return frozenset(span.key for span in group.spans)


@lru_cache(maxsize=_KEPT)
def _fit_digest(plain: tuple[tuple[str, bytes], ...], *groups: _Group) -> str:
    return digest_object({**dict(plain), **{role: _text(group) for role, group in zip(FIT_ROLES, groups, strict=True)}})


def _written(plain: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: canonical(part) for name, part in plain.items()}
