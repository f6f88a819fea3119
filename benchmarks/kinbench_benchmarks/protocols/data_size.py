"""``five-fold`` and ``data-size`` (Tan et al. 2024): five groups of persons, and what less training data costs.

All of a tested person's time is tested, since nothing of it is seen. Less data are either fewer windows of all training
persons, as the paper has it, or fewer persons with all of theirs: the two answer different questions. What is drawn at
one size is part of what is drawn at the next, and the windows that stop a fit are the same at every size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard, deal
from kinbench.recording import Span, TaskEntry, natural
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import (
    MIN_WINDOWS,
    TESTED,
    Notes,
    Persons,
    Roles,
    Spans,
    by_hash,
    fit_and_validation,
    joined,
)

FOLDS = 5
LINEAR = tuple(round(tenth / 10, 1) for tenth in range(10, 0, -1))
"""All, and then a tenth less each time: 1, 0.9, … 0.1."""
LOGARITHMIC = tuple(round(10 ** (-0.2 * step), 4) for step in range(11))
"""All, and then 10^-0.2 of the size before: 1, 0.631, … 0.01."""


@dataclass(frozen=True)
class FiveFold:
    """The persons in five groups, each tested by a model of the others; one of these stops the fit."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per group, of one person each below five; raises ``NotApplicable`` below two persons."""
        persons = Persons(entries, task)
        return [fold for _, fold in _groups(persons, self.card.name)]


@dataclass(frozen=True)
class DataSize:
    """The folds of ``five-fold``, each fitted on ``fractions`` of its training windows, or of its training persons."""

    card: ProtocolCard
    of: Literal["windows", "persons"]
    fractions: tuple[float, ...]

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per group and size; raises ``NotApplicable`` as ``five-fold`` does.

        Fractions of persons that come to the same number of them are one size.
        """
        persons = Persons(entries, task)
        draw = _some_windows if self.of == "windows" else _some_persons
        return [
            replace(
                fold,
                name=f"{fold.name}: {fraction:g} of the {self.of}",
                roles={**fold.roles, "fit": spans},
                condition={"fraction": fraction, self.of: count},
            )
            for others, fold in _groups(persons, self.card.name)
            for fraction, count, spans in draw(persons, others, fold.roles["fit"], self.fractions)
        ]


# --- groups ----------------------------------------------------------------------------------------------------------


def _groups(persons: Persons, protocol: str) -> Iterator[tuple[list[str], Fold]]:
    """Yield every fold with those it is fitted on; raises ``NotApplicable`` where there is none."""
    tested, notes = persons.having(lambda timeline, _: {"test": timeline}, TESTED)
    found = False
    order = by_hash(persons.names)
    group_of = dict(deal(order, FOLDS))
    for number in range(FOLDS):
        group = tuple(sorted((name for name in order if group_of[name] == number and name in tested), key=natural))
        others = sorted((name for name in order if group_of[name] != number), key=order.index)
        roles = fit_and_validation(persons, others) if group else None
        if roles is not None:
            found = True
            name = group[0] if len(persons.names) <= FOLDS else f"fold-{number + 1}"
            yield (
                _fitted_on(persons, others),
                _fold(persons, name, group, joined([tested[name] for name in group]), roles, notes),
            )
    if not found:
        raise NotApplicable(
            f"'{protocol}' needs two persons with enough data, one to test and one to learn from, and "
            f"'{persons.dataset}' has {len(tested)}{': ' + '; '.join(notes) if notes else ''}."
        )


def _fold(persons: Persons, name: str, group: tuple[str, ...], tested: Roles, roles: Roles, notes: Notes) -> Fold:
    return persons.fold(name, group, {**roles, **tested}, notes, dealt=False)


def _fitted_on(persons: Persons, others: Sequence[str]) -> list[str]:
    """Return whom ``fit_and_validation`` fits on: all who have enough but the first; that one, where it is alone."""
    usable = [name for name in others if persons.windows(persons.blocks([name])) >= MIN_WINDOWS]
    return usable[1:] or usable


# --- sizes -----------------------------------------------------------------------------------------------------------


def _some_windows(
    persons: Persons, others: Sequence[str], fit: Spans, fractions: Sequence[float]
) -> Iterator[tuple[float, int, Spans]]:
    """Yield (fraction, windows, spans) of the stretches that are drawn first; neighbours are joined again.

    The time is drawn in stretches of one window, so that no sample counts twice: windows that overlap two of them come
    back as both are drawn, and all of them are the spans as they were.
    """
    every = sorted(_stretches(fit, persons.task), key=lambda stretch: _drawn_by(stretch[1]))
    for fraction in fractions:
        spans = _joined(every[: max(1, round(fraction * len(every)))])
        yield fraction, persons.windows(spans), spans


def _stretches(spans: Spans, task: Task) -> Iterator[tuple[int, Span]]:
    """Yield the stretches of one window (the last of a span with what is left), each with the number of its span."""
    for number, span in enumerate(spans):
        size = span.stop - span.start
        if size >= task.least:
            starts = range(span.start, span.start + max(size - task.window, 0) + 1, task.window)
            for first, stop in zip(starts, (*starts[1:], span.stop), strict=True):
                yield number, Span(span.key, first, stop)


def _joined(stretches: Sequence[tuple[int, Span]]) -> Spans:
    """Return stretches as spans, those that meet inside one span as one."""
    found: list[tuple[int, Span]] = []
    for number, span in sorted(stretches):
        if found and found[-1][0] == number and found[-1][1].stop == span.start:
            span = replace(span, start=found.pop()[1].start)
        found.append((number, span))
    return tuple(span for _, span in found)


def _drawn_by(span: Span) -> str:
    """Return what puts stretches in an order that nobody chose."""
    return hashlib.sha256(f"{span.key}/{span.start}".encode()).hexdigest()


def _some_persons(
    persons: Persons, others: Sequence[str], fit: Spans, fractions: Sequence[float]
) -> Iterator[tuple[float, int, Spans]]:
    """Yield (fraction, persons, spans); one who is alone gives all there is, at every size."""
    seen: set[int] = set()
    for fraction in fractions:
        count = max(1, round(fraction * len(others)))
        if count not in seen:
            seen.add(count)
            chosen = sorted(others[:count], key=natural)
            yield fraction, count, fit if count == len(others) else persons.blocks(chosen)


# --- the values ------------------------------------------------------------------------------------------------------

_WHO = (
    "Persons sorted by hash and dealt into five groups (leave one out below five persons), each tested on all of its "
    "time, stopped on one of the others,"
)

FIVE_FOLD = FiveFold(
    ProtocolCard(
        name="five-fold",
        version=1,
        title="five folds by person",
        description=f"{_WHO} fitted on the rest.",
        sees="nothing",
        ranks=False,
    )
)


def _data_size(name: str, of: Literal["windows", "persons"], fractions: tuple[float, ...], words: str) -> DataSize:
    return DataSize(
        ProtocolCard(
            name=name,
            version=1,
            title=f"data size in {of}, {words}",
            description=f"{_WHO} fitted on {', '.join(f'{fraction:g}' for fraction in fractions)} of the rest's {of}, "
            "each size part of the one before.",
            sees="nothing",
            ranks=False,
            study=True,
        ),
        of,
        fractions,
    )


DATA_SIZE_WINDOWS = _data_size("data-size/windows", "windows", LOGARITHMIC, "by steps of 10^-0.2")
DATA_SIZE_WINDOWS_LINEAR = _data_size("data-size/windows/linear", "windows", LINEAR, "by tenths")
DATA_SIZE_PERSONS = _data_size("data-size/persons", "persons", LOGARITHMIC, "by steps of 10^-0.2")
DATA_SIZE_PERSONS_LINEAR = _data_size("data-size/persons/linear", "persons", LINEAR, "by tenths")
