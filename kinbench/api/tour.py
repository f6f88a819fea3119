"""The whole way once, on simulated people."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from kinbench.api.datasets import convert
from kinbench.api.places import load_all
from kinbench.api.runs import execute, leaderboard, plan
from kinbench.contracts import Demo
from kinbench.conversion import Progress, ignore
from kinbench.leaderboards import Board


def demo(
    to: str | Path = "kinbench-demo",
    *,
    everything: bool = False,
    workers: int | None = None,
    on_progress: Progress = ignore,
    on_step: Callable[[str], None] = lambda text: None,
) -> Board:
    """Write a simulated cohort as raw files below ``to``, convert it, run it, and return its leaderboard.

    Leaves ``raw/``, ``data/``, ``results/`` and ``leaderboard/`` in ``to``; run again, it goes on where it stopped.
    ``everything`` runs all tasks, models and seeds instead of the short tour.
    """
    folder = Path(to)
    cohort: Demo = next(iter(load_all("demos", None).values()))
    on_step(f"Simulated people, raw vendor files: {folder / 'raw'}")
    parts = cohort.write(folder / "raw", on_progress)
    for part in parts:
        converted = convert(part.adapter, part.raw, name=part.name, data=folder / "data", on_progress=on_progress)
        on_step(f"Converted with '{part.adapter}': {len(converted.outcomes)} recordings into {converted.path}")
    recipe = cohort.recipe
    planned = plan(
        protocols=recipe.protocols,
        tasks=None if everything else recipe.tasks,
        models=None if everything else recipe.models,
        seeds=None if everything else recipe.seeds,
        data=folder / "data",
        results=folder / "results",
        on_progress=on_progress,
    )
    on_step(planned.text())
    finished = execute(planned, workers=workers or os.cpu_count() or 1, on_progress=on_progress)
    on_step(finished.text())
    board = leaderboard(results=folder / "results")
    for path in board.write(folder / "leaderboard"):
        on_step(f"Wrote {path}")
    return board
