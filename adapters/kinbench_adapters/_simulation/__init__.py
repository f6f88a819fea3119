"""The simulated cohort: people who never lived, written as the raw files of two laboratories that disagree.

It exists so that everything can be run from raw bytes to a leaderboard with nothing downloaded, and so that what a
pipeline finds can be held against what was planted. A score on it says nothing about any sensor or any patient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kinbench.contracts import DemoPart, DemoRecipe
from kinbench_adapters._simulation import cohort, vendors
from kinbench_adapters._simulation.cohort import CORRIDOR, HALL, SEED, VERSION, Truth

__all__ = ["COHORT", "Cohort", "Truth", "planted", "truth"]


RECIPE = DemoRecipe(
    protocols=("ui", "ug", "ua", "cross-dataset"),
    tasks=("knee-pair",),
    models=("mean-pose", "ridge", "hur2025-cnn"),
    seeds=(0,),
)
"""The short tour: everyone's protocols on one joint, from the floor to the paper's network."""


def _silent(done: int, total: int, label: str) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Cohort:
    """The demo: see ``kinbench.contracts.Demo``. ``seed`` and ``version`` are its identity.

    ``people_per_laboratory`` and ``length_s`` (of a trial, at least 30) make a smaller one of the same people and
    clocks, for trying things out; left out, the cohort is whole.
    """

    name: str = field(default="cohort", init=False)
    version: str = field(default=VERSION, init=False)
    seed: int = field(default=SEED, init=False)
    recipe: DemoRecipe = field(default=RECIPE, init=False)
    people_per_laboratory: int | None = None
    length_s: float | None = None

    def write(self, folder: Path, on_progress: Callable[[int, int, str], None] = _silent) -> Sequence[DemoPart]:
        """Write both laboratories' raw files below ``folder``; the same bytes every time.

        ``folder/simulated-a`` is in the OpenSense study's layout, ``folder/simulated-b`` holds a manifest.
        """
        people = [
            person
            for person in cohort.people()
            if person.subject in person.laboratory.subjects[: self.people_per_laboratory]
        ]
        trials = [(person, trial) for person in people for trial in person.laboratory.trials]
        for done, (person, trial) in enumerate(trials):
            on_progress(done, len(trials), f"{person.laboratory.dataset} {person.subject} {trial}")
            write_trial = vendors.WRITERS[person.laboratory.dataset]
            write_trial(folder / person.laboratory.dataset, cohort.capture(person, trial, self.length_s))
        vendors.write_hall_label(folder / HALL.dataset)
        vendors.write_corridor_manifest(folder / CORRIDOR.dataset, [p for p in people if p.laboratory is CORRIDOR])
        on_progress(len(trials), len(trials), "raw files written")
        return (
            DemoPart("opensense", folder / HALL.dataset, HALL.dataset),
            DemoPart("lab", folder / CORRIDOR.dataset, CORRIDOR.dataset),
        )


COHORT = Cohort()


def truth() -> dict[str, Truth]:
    """Return, per recording key, what was planted and stands in no file."""
    return cohort.truths()


def planted() -> dict[str, float]:
    """Return, per recording key, where the reference starts on the imu's clock, in seconds."""
    return {key: known.offset_s for key, known in cohort.truths().items()}
