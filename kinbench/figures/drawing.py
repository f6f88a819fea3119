"""Which figures there are of which answer, and how large each is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kinbench.errors import UsageError, suggest
from kinbench.figures import angles, bars, curves, finetuning, matrices, ranks
from kinbench.figures.canvas import DOUBLE_IN, SINGLE_IN, Draw, check, save
from kinbench.studies import Answer


@dataclass(frozen=True)
class Drawn:
    """One figure: what draws it, its width in inches, and its height."""

    draw: Draw
    width_in: float = SINGLE_IN
    height_in: Callable[[Answer], float] = lambda answer: 3.1


def _rows(table: str, each_in: float, by: str = "model") -> Callable[[Answer], float]:
    """Return the height of a figure with a row for each of what a column of a table names."""

    def height(answer: Answer) -> float:
        frame = answer.tables[table]
        return 1.1 + each_in * (frame[by].nunique() if len(frame) else 1)

    return height


_TALL = 4.6
_COMPARISON: dict[str, Drawn] = {
    "diagram": Drawn(ranks.critical_difference, SINGLE_IN, lambda answer: 2.2),
    "bars": Drawn(bars.models, SINGLE_IN), "boxes": Drawn(bars.boxes, SINGLE_IN),
}  # fmt: skip
FIGURES: Mapping[str, Mapping[str, Drawn]] = {
    "few-shot": {"curve": Drawn(curves.budgets, SINGLE_IN, lambda answer: 3.6)},
    "learning-curve": {"curve": Drawn(curves.learning, SINGLE_IN, lambda answer: 3.6)},
    "data-size": {"curve": Drawn(curves.learning, SINGLE_IN, lambda answer: 3.6)},
    "degraded": {"curve": Drawn(curves.degraded, DOUBLE_IN, lambda answer: 2.8)},
    "sensor-subsets": {
        "matrix": Drawn(matrices.subsets, DOUBLE_IN, lambda answer: 4.2), "front": Drawn(curves.front, DOUBLE_IN),
        "sensors": Drawn(bars.sensors, SINGLE_IN),
    },
    "placement-stress": {
        "curve": Drawn(curves.stress, DOUBLE_IN, lambda answer: _TALL),
        "sensors": Drawn(curves.stress_by_sensor, DOUBLE_IN),
    },
    "turned fits": {"bars": Drawn(bars.turned, SINGLE_IN)},
    "transfer": {"matrix": Drawn(matrices.transfer, DOUBLE_IN)},
    "conditions": {"bars": Drawn(bars.conditions, DOUBLE_IN)},
    "finetuning": {
        "bars": Drawn(finetuning.before_and_after, DOUBLE_IN, lambda answer: 1.2 + 2.0 * finetuning.rows_of(answer)),
    },
    "compare": _COMPARISON,
    "methods by models": {"bars": Drawn(bars.models, SINGLE_IN), "boxes": Drawn(bars.boxes, DOUBLE_IN)},
    "slices": {
        "levels": Drawn(bars.levels, DOUBLE_IN), "centring": Drawn(bars.centring, SINGLE_IN),
        "drift": Drawn(curves.drift, SINGLE_IN), "distance": Drawn(curves.distance, SINGLE_IN),
        "boxes": Drawn(bars.boxes, SINGLE_IN),
    },
    "agreement": {"bland-altman": Drawn(angles.bland_altman, DOUBLE_IN, _rows("limits", 1.9, "dof"))},
    "cycles": {"cycles": Drawn(angles.cycles, SINGLE_IN, _rows("cycles", 1.7, "dof"))},
}  # fmt: skip
"""By what an answer is to; the first figure is drawn unless another is asked for."""


def figures_of(answer: Answer) -> Mapping[str, Drawn]:
    """Return the figures that there are of an answer, by name."""
    if answer.variant in FIGURES:
        return FIGURES[answer.variant]
    if answer.variant.startswith("degraded"):
        return FIGURES["degraded"]
    if "against" in answer.tables:
        return FIGURES["conditions"]
    return FIGURES.get(answer.kind) or FIGURES["transfer"]


def draw(answer: Answer, to: Path, *, figure: str | None = None) -> Path:
    """Draw one figure of an answer into an ``.svg``, ``.pdf`` or ``.png`` file and return its path.

    Raises ``UsageError`` for a figure that there is none of, a file named otherwise, and where matplotlib is absent.
    """
    known = figures_of(answer)
    name = figure or next(iter(known))
    if name not in known:
        raise UsageError(
            f"'{answer.title}' has no figure '{name}'.{suggest(name, list(known))} It has {', '.join(known)}."
        )
    drawn = known[name]
    width_in = drawn.width_in
    if drawn.draw is angles.cycles and len(answer.tables["cycles"]) and answer.tables["cycles"]["model"].nunique() > 1:
        width_in = DOUBLE_IN
    return save(answer, drawn.draw, to, width_in=width_in, height_in=drawn.height_in(answer))


__all__ = ["FIGURES", "check", "draw", "figures_of"]
