"""A study's results are the same bits however it was run: by one worker or two, in one go or taken up again."""

import shutil
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from kinbench_benchmarks.protocols import FEW_SHOT, PLACEMENT_STRESS, SENSOR_SUBSETS_UA, UG_SELF_NORMALISED
from runner_cases import MODELS, TASK, recording

from kinbench import results, store
from kinbench.protocol import fit_digest, fold_digest
from kinbench.recording import Placement, Recording, imu_dataset
from kinbench.runner import plan, run
from kinbench.testing.protocols import TASK as MADE_UP
from kinbench.testing.protocols import cohort

PAIR = replace(TASK, name="toy-pair", segments=("thigh", "shank"), axes="segment", variants=())
POINTS = [
    ("kinbench.models", "toy-wide = toy_wide:Wide\ntoy-ridge = kinbench_benchmarks.models.ridge:Ridge"),
]
WIDE = '''
import numpy as np
from toy_models import Line


class Wide(Line):
    """A line on every channel, of however many sensors; normalises by a person's mean."""
    def __init__(self):
        super().__init__()
        self.centre = np.float32(0)

    def features(self, x):
        x = np.nan_to_num(x - self.centre).astype(float)
        return np.concatenate([np.ones_like(x[..., :1]), x, np.cumsum(x, axis=1)], axis=2)

    def solve(self, batches):
        f = self.features(batches.x)
        f, y = f.reshape(-1, f.shape[-1]), batches.y.reshape(-1).astype(float)
        return np.linalg.solve(f.T @ f + np.eye(f.shape[1]), f.T @ y)

    def fit(self, train, valid, *, seed):
        self.weights = self.solve(train) + 1e-3 * np.random.default_rng(seed).normal(size=1)

    def normalise(self, unlabelled, *, seed):
        mine = Wide()
        mine.weights, mine.centre = self.weights.copy(), unlabelled.x.mean(axis=(0, 1))
        return mine
'''


def walk(dataset, subject):
    """The toy walk with a thigh sensor, and every sensor in its segment's axes."""
    made = recording(dataset, subject, seconds=50.0)
    shank = made.imu["gyr"].values
    gyr = np.concatenate([-0.5 * shank + np.random.default_rng(1).normal(0, 0.1, shank.shape), shank], axis=1)
    places = [
        Placement(f"{segment}{side}", f"{segment}_{side}", {"r": "right", "l": "left"}[side], rotation=np.eye(3),
                  rotation_origin="declared")
        for segment in ("thigh", "shank") for side in "rl"
    ]  # fmt: skip
    signals = {"gyr": (gyr, {"units": "rad s-1", "frame": "sensor"})}
    return Recording(
        made.key, imu_dataset(made.imu["time"].values, places, signals), made.reference, made.attrs
    )  # fmt: skip


@pytest.fixture
def pair(tmp_path, install):
    install("toy", POINTS, {"toy_models": MODELS, "toy_wide": WIDE})
    with store.create(tmp_path / "pair.zarr", dataset="pair", card={"name": "pair", "simulation": True}) as writer:
        for subject in ("S1", "S2"):
            writer.write(walk("pair", subject))
    return tmp_path


class Few:
    """A study with some of its conditions only."""

    def __init__(self, protocol, keep):
        self.card, self._protocol, self._keep = protocol.card, protocol, keep

    def folds(self, entries, task):
        return [fold for fold in self._protocol.folds(entries, task) if self._keep(fold.condition)]


def stressed(condition):
    return condition["draw"] == 0 and condition["amount"] in (0, 90, 40, 10) and condition["sensor"] in ("all", "thigh")


STUDIES = {
    protocol.card.name: protocol
    for protocol in (
        Few(FEW_SHOT, lambda condition: condition["seconds"] in (0, 5, 10)),  # adapts
        Few(PLACEMENT_STRESS, stressed),  # changes inputs
        SENSOR_SUBSETS_UA,  # narrows sensors, and adapts
        UG_SELF_NORMALISED,
    )
}
MODELS_RUN = ("toy-wide", "toy-ridge")
"""One that is fitted for every set of sensors, and one that sweeps over these."""


def planned(folder, where):
    return plan(
        [store.open(folder / "pair.zarr")], STUDIES, {PAIR.name: PAIR}, MODELS_RUN, seeds=(0,), results=folder / where,
        cache=folder / "cache",
    )  # fmt: skip


def saved(folder):
    """Every kept byte that may not differ: results without timings, and predictions."""
    timeless = {r.key: r.model_copy(update={"timings": results.Timings()}) for r in results.read(folder)}
    return timeless, {path.name: path.read_bytes() for path in folder.glob("*.npz")}


def test_two_workers_and_a_resumed_run_give_the_bits_of_one(pair):
    whole = run(planned(pair, "whole"))
    assert not whole.failed
    run_of = Counter((r.protocol.name, r.model.name) for r in whole.results)
    assert set(run_of) == {(p, m) for p in STUDIES for m in MODELS_RUN}
    expected = saved(pair / "whole")
    for study in STUDIES:  # what sets the folds of a study apart is felt, so that a mix-up would show
        mine = [r for r in whole.results if r.protocol.name == study and r.model.name == "toy-wide"]
        assert len({r.predictions for r in mine}) > len(mine) / 2

    assert not run(planned(pair, "two"), workers=2).failed
    assert saved(pair / "two") == expected


def test_a_resumed_run_gives_the_bits_of_a_whole_one(pair):
    """Taken up after two of three results were lost, and every other model that had been kept."""
    first = run(planned(pair, "results"))
    expected = saved(pair / "results")
    for result in first.results[1::3] + first.results[2::3]:
        (pair / "results" / f"{result.key}.npz").unlink()
    for kept in sorted((pair / "results" / "models").iterdir())[::2]:
        shutil.rmtree(kept)
    again = planned(pair, "results")
    assert 0 < len(again.done) < len(again.to_run)
    made = run(again)
    assert len(made.made) == len(again.to_run) and not made.failed
    assert saved(pair / "results") == expected


# --- planning --------------------------------------------------------------------------------------------------------


def test_planning_a_study_of_many_people_takes_no_minutes():
    """Ten folds, each of a hundred and fifty people, under two hundred stresses: their spans are written out once."""
    folds = PLACEMENT_STRESS.folds(cohort("many", 150), MADE_UP)
    begin = time.process_time()
    names = {fold_digest(fold, MADE_UP, PLACEMENT_STRESS.card) for fold in folds}
    fits = {fit_digest(fold, MADE_UP) for fold in folds}
    assert len(names) == len(folds) > 2000 and len(fits) == 10
    assert time.process_time() - begin < 5.0
