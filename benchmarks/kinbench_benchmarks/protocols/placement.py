"""``placement-stress``: how wrong sensors may be put on, and how badly they may work, before a model breaks down.

The folds of ``ug``, tested with sensors degraded one way at a time (protocols 1, Splits). Nothing is fitted anew: all
conditions share the model of ``ug``. The variants learn from degraded copies too, as augmentation does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from kinbench.perturbations import Change, Setting
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.headline import UG

DRAWS = 5
"""Axes, directions and bursts that each figure is tried with; the same ones at every figure."""
ANGLES_DEG = (5, 10, 15, 20, 30, 45, 90)
SHIFTS_CM = (-10, -5, -2, 2, 5, 10)
"""Along the segment, up where positive."""
PACKETS_PERCENT = (1, 2, 5, 10, 20, 40)
GYR_BIAS_DEG_S = (1, 2, 5, 10)
ACC_BIAS_M_S2 = (0.1, 0.2, 0.5, 1.0)
ACC_RANGE_G = (8, 4, 2)
GYR_RANGE_DEG_S = (1000, 500, 250)
RATE_HZ = (50, 25, 20, 10)
RAPP_SD_DEG = 13.5
"""Deviation of the angles by which Rapp et al. (J Biomech 116:110229, 2021) turn sensors. Their code turns them twice
as far (``compat='rapp2021'`` of the change); this is what the paper says."""
COPIES = 4
"""Degraded copies that an augmented fit learns from, beside the recordings as they are."""

Copies = tuple[tuple[Change, ...], ...]

AS_WORN: Copies = ()
TURNED: Copies = ((), *((Change.of("turn_random", sd_deg=RAPP_SD_DEG, draw=draw),) for draw in range(COPIES)))
SEVERAL_SITES: Copies = ((), *((Change.of("shift", along_m=cm / 100),) for cm in SHIFTS_CM if abs(cm) > 2))


@dataclass(frozen=True)
class Stress:
    """One thing wrong with the sensors of a test: which change by how much, on which sensor, in which draw."""

    change: str
    amount: float
    unit: str
    sensor: str = "all"
    draw: int = 0
    changes: tuple[Change, ...] = ()

    @property
    def condition(self) -> dict[str, Setting]:
        """The stress as a fold's condition."""
        return {
            "change": self.change, "amount": self.amount, "unit": self.unit, "sensor": self.sensor, "draw": self.draw,
        }  # fmt: skip

    def __str__(self) -> str:
        how_much = f" {self.amount:g} {self.unit}".rstrip()
        return f"{self.change}{how_much}, {self.sensor}, draw {self.draw}"


NO_STRESS = Stress("turn", 0, "deg")
"""Sensors as they were worn: what every other condition is held against, the only one whose amount is 0."""


@dataclass(frozen=True)
class PlacementStress:
    """The folds of ``ug``, tested under every stress; fitted on the changed copies named, if any."""

    card: ProtocolCard
    copies: Copies = AS_WORN

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return, per fold of ``ug``, the sensors as worn first and then every stress that the task can feel.

        ``condition`` holds ``change``, ``amount``, ``unit``, ``sensor`` and ``draw``. What the task cannot feel is told
        in the notes of the first. Raises ``NotApplicable`` where ``ug`` does.
        """
        named = replace(UG, card=self.card)  # so that a refusal names this protocol
        stresses = [NO_STRESS, *stresses_of(task)]
        return [
            _under(fold, stress, self.copies, _left_out(task) if stress is NO_STRESS else ())
            for fold in named.folds(entries, task)
            for stress in stresses
        ]


@dataclass(frozen=True)
class RappTable3:
    """Table 3 of Rapp et al. (2021), and the table it is held against: fitted as worn or turned, tested likewise."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return, per fold of ``ug``, both fits, each tested as worn and with all sensors turned, in five draws.

        ``condition`` is that of ``placement-stress`` with ``trained`` ('as worn' or 'turned') before it. Raises
        ``NotApplicable`` where ``ug`` does.
        """
        turned = [
            Stress(
                "turn_random", RAPP_SD_DEG, "deg", draw=draw,
                changes=(Change.of("turn_random", sd_deg=RAPP_SD_DEG, draw=draw),),
            )
            for draw in range(DRAWS)
        ]  # fmt: skip
        tests = [Stress("turn_random", 0, "deg"), *turned]
        return [
            replace(
                made := _under(fold, stress, copies, ()),
                name=f"{made.name}, trained {trained}", condition={"trained": trained, **made.condition},
            )
            for fold in replace(UG, card=self.card).folds(entries, task)
            for trained, copies in (("as worn", AS_WORN), ("turned", TURNED))
            for stress in tests
        ]  # fmt: skip


# --- stresses --------------------------------------------------------------------------------------------------------


def stresses_of(task: Task) -> Iterator[Stress]:
    """Yield every stress that a task can feel, in a fixed order."""
    sensors = ("all", *task.segments) if len(task.segments) > 1 else ("all",)
    for sensor in sensors:
        for angle in ANGLES_DEG:
            for draw in range(DRAWS):
                yield _stress("turn", angle, "deg", sensor, draw, angle_deg=float(angle))
    if _knows_up(task):
        for sensor in sensors:
            for cm in SHIFTS_CM:
                yield _stress("shift", cm, "cm", sensor, along_m=cm / 100)
    if _has_sides(task):
        yield Stress("swap_sides", 1, "", changes=(Change.of("swap_sides"),))
    for first, second in combinations(task.segments, 2):
        swapped = Change.of("swap_labels", first=first, second=second)
        yield Stress("swap_labels", 1, "", f"{first}+{second}", changes=(swapped,))
    for segment in task.segments if len(task.segments) > 1 else ():
        yield _stress("missing", 1, "", segment)
    yield from _device_stresses()


def _device_stresses() -> Iterator[Stress]:
    for draw in range(DRAWS):
        for percent in PACKETS_PERCENT:
            yield _stress("packets", percent, "%", "all", draw, share=percent / 100)
        for rate in GYR_BIAS_DEG_S:
            changes = (Change.of("bias", gyr_deg_s=float(rate), draw=draw),)
            yield Stress("gyr_bias", rate, "deg/s", draw=draw, changes=changes)
        for size in ACC_BIAS_M_S2:
            yield Stress("acc_bias", size, "m/s2", draw=draw, changes=(Change.of("bias", acc=size, draw=draw),))
    for limit in ACC_RANGE_G:
        yield Stress("acc_range", limit, "g", changes=(Change.of("clip", acc_g=float(limit)),))
    for limit in GYR_RANGE_DEG_S:
        yield Stress("gyr_range", limit, "deg/s", changes=(Change.of("clip", gyr_deg_s=float(limit)),))
    for rate in RATE_HZ:
        yield Stress("rate", rate, "Hz", changes=(Change.of("rate", rate_hz=float(rate)),))


def _stress(change: str, amount: float, unit: str, sensor: str, draw: int | None = None, **how: Setting) -> Stress:
    """Return a stress whose kind of change bears its name; one without draws is given none."""
    drawn = {} if draw is None else {"draw": draw}
    return Stress(change, amount, unit, sensor, draw or 0, (Change.of(change, sensor=sensor, **drawn, **how),))


def _knows_up(task: Task) -> bool:
    return task.axes == "segment" and {"acc", "gyr"} <= set(task.channels)


def _has_sides(task: Task) -> bool:
    if task.per_leg:
        return task.axes == "segment"
    return any(f"{name[:-2]}_l" in task.segments for name in task.segments if name.endswith("_r"))


def _left_out(task: Task) -> tuple[str, ...]:
    notes = ["magnetic disturbance is not applicable: the inputs hold no magnetometer and no orientation made with one"]
    if not _knows_up(task):
        notes.append("a shifted site is not applicable: which way is up a segment is not known in sensor axes")
    if not _has_sides(task):
        notes.append("swapped sides are not applicable: the task has one side only, or mirrors none")
    return tuple(notes)


def _under(fold: Fold, stress: Stress, copies: Copies, notes: tuple[str, ...]) -> Fold:
    return replace(
        fold, name=f"{fold.name}: {stress}", condition=stress.condition, test_changes=stress.changes,
        fit_copies=copies, notes=(*fold.notes, *notes),
    )  # fmt: skip


# --- the values ------------------------------------------------------------------------------------------------------


def _card(name: str, title: str, description: str) -> ProtocolCard:
    return ProtocolCard(
        name=name, version=1, title=title, description=description, sees="nothing", ranks=False, study=True
    )  # fmt: skip


_TESTED = "tested on block D with sensors turned, shifted, swapped, missing, biased, clipped, slowed or losing packets"

PLACEMENT_STRESS = PlacementStress(
    _card("placement-stress", "placement stress", f"The models of 'ug', {_TESTED}, one thing at a time.")
)
PLACEMENT_STRESS_AUGMENTED = PlacementStress(
    _card(
        "placement-stress/augmented", "placement stress, trained on turned sensors",
        f"As 'ug', but fitted on {COPIES} further copies with every sensor turned by N(0, {RAPP_SD_DEG:g} deg), "
        f"{_TESTED}.",
    ),
    TURNED,
)  # fmt: skip
PLACEMENT_STRESS_SITES = PlacementStress(
    _card(
        "placement-stress/multi-site", "placement stress, trained on several sites",
        f"As 'ug', but fitted on {len(SEVERAL_SITES) - 1} further copies with all sensors moved 5 and 10 cm up and "
        f"down their segments, by rigid-body transfer, {_TESTED}.",
    ),
    SEVERAL_SITES,
)  # fmt: skip
PLACEMENT_STRESS_RAPP = RappTable3(
    _card(
        "placement-stress/rapp2021-table3", "sensors turned at random (Rapp et al. 2021, Table 3)",
        f"As 'ug', fitted as worn or on {COPIES} further copies turned by N(0, {RAPP_SD_DEG:g} deg) per sensor, tested "
        "on block D as worn and turned likewise in five draws.",
    )
)  # fmt: skip
