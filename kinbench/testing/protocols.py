"""What a protocol promises, tried on index entries of made-up datasets: no signal is ever needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from kinbench.errors import LeakError, NotApplicable
from kinbench.protocol import ROLES, Fold, Leak, ProtocolCard, Role, check_leaks, flaws, fold_digest
from kinbench.recording import Key, TaskEntry
from kinbench.tasks import Task
from kinbench.testing.claims import attribute, require, require_identifier, require_raises, require_texts

TASK = Task(
    name="conformance", version=1, title="A task to cut time for", segments=("thigh", "shank"),
    channels=("acc", "gyr"), dofs=("knee_flexion",), rate_hz=100.0, window=128, stride=64, per_leg=True,
)  # fmt: skip


def check_protocol(protocol: Any) -> None:
    """Raise ``AssertionError`` at the first promise of ``contracts.BenchmarkProtocol`` that is broken.

    Tried on datasets of 1, 2, 5 and 13 persons with several recordings, gaps, and activities each, alone or together
    as the card's ``scope`` says; and together with a dataset of virtual sensors, of some of the same people. A dataset
    that the protocol refuses with ``NotApplicable`` is no breach, but it must take at least one.
    """
    card = _check_card(protocol)
    datasets = [cohort("one", 1), cohort("two", 2), cohort("five", 5), cohort("many", 13)]
    if card.scope == "datasets":
        one, two, five, many = datasets
        computed = cohort("computed", 7, people="five", sensor_origin="synthetic")
        datasets = [[*one, *five], [*two, *five], [*five, *many], [*two, *five, *many], [*five, *computed]]
    taken = [entries for entries in datasets if _taken(protocol, entries)]
    require(bool(taken), f"Protocol '{card.name}' is not applicable to any of the datasets tried.")
    for entries in taken:
        _check_folds(protocol, card, entries)
    _check_leaks_declared(protocol, card, taken)
    require_raises(lambda: protocol.folds([], TASK), (NotApplicable,), "A protocol asked for folds of no recording")


def cohort(
    dataset: str, persons: int, *, people: str | None = None, sensor_origin: str = "measured"
) -> list[TaskEntry]:  # fmt: skip
    """Return entries of a made-up dataset: two walks and a run a person, with gaps, of unequal lengths.

    ``people`` names the dataset whose people these are, where it is another one.
    """
    entries = []
    for person in range(1, persons + 1):
        for number, (trial, activity, length) in enumerate(
            (("walk1", "walking", 9000), ("walk2", "walking", 5000), ("run1", "running", 7000)), start=1
        ):
            length += 137 * person
            gap = length // 3 + 11 * number
            entries.append(
                TaskEntry(
                    key=Key(dataset, f"S{person}", "1", trial), person=f"{people or dataset}/S{person}",
                    activity=activity, digest=f"{dataset}{person:03d}{number}", rate_hz=TASK.rate_hz,
                    window=TASK.window, embargo=128,
                    runs=((20, gap), (gap + 90, length)),
                    convention="isb_zxy", simulation=True,
                    strides=tuple(range(30, length, 140 if activity == "walking" else 75)),
                    sensor_origin=sensor_origin,
                )
            )  # fmt: skip
    return entries


def _check_card(protocol: Any) -> ProtocolCard:
    card = attribute(protocol, "card", ProtocolCard, "A protocol")
    require_texts(card, ("name", "title", "description", "sees"), "A protocol's card")
    require_identifier(card.name, "A protocol's name")
    require(
        isinstance(card.version, int) and card.version >= 1,
        f"A protocol's version must be a number from 1, not {card.version!r}.",
    )
    require(
        card.scope in ("dataset", "datasets"), f"A protocol's scope must be dataset or datasets, not {card.scope!r}."
    )
    require(callable(getattr(protocol, "folds", None)), "A protocol must have the method 'folds'.")
    return card


def _taken(protocol: Any, entries: Sequence[TaskEntry]) -> bool:
    try:
        return len(protocol.folds(list(entries), TASK)) > 0
    except NotApplicable as reason:
        require(bool(str(reason)), "A protocol that is not applicable must say why, and its reason is empty.")
        return False


def _check_folds(protocol: Any, card: ProtocolCard, entries: list[TaskEntry]) -> None:
    before = list(entries)
    folds = list(protocol.folds(entries, TASK))
    require(entries == before, "folds must not change the entries it is given.")
    _check_deterministic(protocol, card, entries, folds)
    names = [fold.name for fold in folds]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"Fold names must be unique, and {twice} come more than once.")
    for fold in folds:
        _check_fold(card, fold, entries)
    unsound = flaws(folds, entries, TASK)
    require(not unsound, f"Folds must be sound: {'; '.join(unsound)}.")


def _check_deterministic(protocol: Any, card: ProtocolCard, entries: list[TaskEntry], folds: list[Fold]) -> None:
    digests = [fold_digest(fold, TASK, card) for fold in folds]
    again = [fold_digest(fold, TASK, card) for fold in protocol.folds(entries, TASK)]
    require(digests == again, "The same entries must give the same folds in the same order, and a second call differs.")
    turned = [fold_digest(fold, TASK, card) for fold in protocol.folds(entries[::-1], TASK)]
    require(
        digests == turned,
        "Folds must not depend on the order of the entries, and turned round they differ; sort by key.",
    )


def _check_fold(card: ProtocolCard, fold: Fold, entries: Sequence[TaskEntry]) -> None:
    where = f"Fold '{fold.name}'"
    known = {str(entry.key): entry for entry in entries}
    strange = sorted(set(fold.roles) - set(ROLES))
    require(not strange, f"{where} has unknown roles {strange}; they are {', '.join(ROLES)}.")
    promises: list[tuple[Role, bool]] = [
        ("adaptation", card.adapts), ("stopping", card.adapts and card.ranks), ("unlabelled", card.normalises),
    ]  # fmt: skip
    needed = ["fit", "test", *(role for role, promised in promises if promised and not card.study)]
    for role, spans in fold.roles.items():
        for span in spans:
            require(span.key in known, f"{where} has a {role} span of {span.key}, which is not among the entries.")
            runs = known[span.key].runs
            inside = runs[0][0] <= span.start < span.stop <= runs[-1][1]
            require(
                inside, f"{where} has a {role} span [{span.start}, {span.stop}) outside {span.key}, or an empty one."
            )
        _check_apart(where, role, [(span.key, span.start, span.stop) for span in spans])
    for role in needed:
        require(any(r == role and spans for r, spans in fold.roles.items()), f"{where} has no {role} span.")
    if not card.adapts:
        extra = [role for role in ("adaptation", "stopping") if any(r == role and s for r, s in fold.roles.items())]
        require(
            not extra, f"{where} has {' and '.join(extra)} spans, and its protocol's card says that it never adapts."
        )
    if fold.normalises:
        require(card.normalises, f"{where} has unlabelled spans, and its protocol's card does not say so.")
        require(
            len(fold.test_persons) == 1,
            f"{where} has unlabelled spans and tests {len(fold.test_persons)} persons; statistics are of one person.",
        )
    _check_persons(where, fold, known)
    try:
        check_leaks(fold, entries, signals=None, declared=card.leaks)
    except LeakError as leak:
        raise AssertionError(f"{where} leaks: {leak}") from leak


def _check_leaks_declared(protocol: Any, card: ProtocolCard, datasets: Sequence[list[TaskEntry]]) -> None:
    """A leak that is declared must be there: of those that show without a signal or a model."""
    for kind in card.leaks:
        if kind in ("person", "overlap", "embargo"):
            others = [other for other in card.leaks if other != kind]
            found = (_leaks(fold, entries, others) for entries in datasets for fold in protocol.folds(entries, TASK))
            require(any(found), f"Protocol '{card.name}' declares the leak '{kind}', and nothing tried has it.")


def _leaks(fold: Fold, entries: Sequence[TaskEntry], declared: Sequence[Leak]) -> bool:
    try:
        check_leaks(fold, entries, signals=None, declared=declared)
    except LeakError:
        return True
    return False


def _check_apart(where: str, role: str, spans: list[tuple[str, int, int]]) -> None:
    ordered = sorted(spans)
    for one, other in pairwise(ordered):
        if one[0] == other[0]:
            require(
                one[2] <= other[1],
                f"{where} counts time twice: {role} spans [{one[1]}, {one[2]}) and [{other[1]}, {other[2]}) "
                f"of {one[0]} overlap.",
            )


def _check_persons(where: str, fold: Fold, known: dict[str, TaskEntry]) -> None:
    require(bool(fold.test_persons), f"{where} names no test person.")
    tested = {known[span.key].person for span in fold.roles["test"]}
    absent = sorted(set(fold.test_persons) - tested)
    require(not absent, f"{where} names {absent} as test persons and has no test span of them.")
    datasets = {entry.key.dataset for entry in known.values()}
    for name in (*fold.train_datasets, fold.test_dataset):
        require(name in datasets, f"{where} names the dataset {name!r}, which is not among the entries.")
    long = fold.roles.get("test_long", ())
    for span in fold.roles["test"] if long else ():
        held = any(other.key == span.key and other.start <= span.start and span.stop <= other.stop for other in long)
        require(
            held, f"{where} has a test span [{span.start}, {span.stop}) of {span.key} that test_long does not hold."
        )
