"""``sensor-subsets``: what each sensor is worth, by doing without it (Hur et al. 2025, Fig. 5; protocols 1, Splits).

Every non-empty proper subset of the task's sensors, and all of them as the reference, under the folds of ``ui``, ``ug``
or ``ua``: the same seconds are fitted on and tested, only the inputs differ. Seven sensors make 126 subsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.headline import UA, UG, UI, UserAdaptive, UserGeneralised, UserIndividualised

MOST_SENSORS = 8
"""A task with more is refused: eight make 255 fits per fold, and each further one doubles them."""


@dataclass(frozen=True)
class SensorSubsets:
    """The folds of ``base``, once with all sensors and once with every smaller set of them."""

    card: ProtocolCard
    base: UserIndividualised | UserGeneralised | UserAdaptive

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return, per fold of the base, all sensors first and then the subsets, smaller ones first.

        ``condition`` holds ``sensors`` (joined by '+', in the task's order) and their ``count``. The fold with all
        sensors shares its fitted model with the base. Raises ``NotApplicable`` for a task of one sensor, or of more
        than ``MOST_SENSORS``, and where the base does.
        """
        if not 2 <= len(task.segments) <= MOST_SENSORS:
            raise NotApplicable(
                f"'{self.card.name}' needs a task of 2 to {MOST_SENSORS} sensors, and '{task.name}' has "
                f"{len(task.segments)}: n sensors have 2^n - 1 sets."
            )
        named = replace(self.base, card=self.card)  # so that a refusal names this protocol
        return [_with(fold, sensors, task) for fold in named.folds(entries, task) for sensors in sensor_sets(task)]


def sensor_sets(task: Task) -> list[tuple[str, ...]]:
    """Return every non-empty set of a task's sensors: the whole one first, then by size, each in the task's order."""
    smaller = [
        sensors for count in range(1, len(task.segments)) for sensors in combinations(task.segments, count)
    ]  # fmt: skip
    return [task.segments, *smaller]


def _with(fold: Fold, sensors: tuple[str, ...], task: Task) -> Fold:
    label = "+".join(sensors)
    return replace(
        fold,
        name=f"{fold.name}: {label}",
        condition={"sensors": label, "count": len(sensors)},
        segments=None if sensors == task.segments else sensors,
    )


def _card(base: ProtocolCard, title: str) -> ProtocolCard:
    return ProtocolCard(
        name=f"sensor-subsets/{base.name}",
        version=1,
        title=title,
        description=f"The folds of '{base.name}' with every subset of the task's sensors, fitted anew each time.",
        sees=base.sees,
        adapts=base.adapts,
        ranks=False,
        study=True,
    )


SENSOR_SUBSETS_UI = SensorSubsets(_card(UI.card, "sensor subsets, user-individualised"), UI)
SENSOR_SUBSETS_UG = SensorSubsets(_card(UG.card, "sensor subsets, user-generalised"), UG)
SENSOR_SUBSETS_UA = SensorSubsets(_card(UA.card, "sensor subsets, user-adaptive"), UA)
