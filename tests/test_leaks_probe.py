"""A model that remembers what it was shown, by content, and answers from memory, does no better than the mean pose.

It is the strongest cheat that a leak of samples could serve: one sample of the test view that it was shown anywhere,
under any name, is answered without error.
"""

from dataclasses import replace

import numpy as np
import pytest
from runner_cases import recording
from scipy.ndimage import gaussian_filter1d

from kinbench import plugins, store
from kinbench.errors import NotApplicable
from kinbench.recording import Placement, angle_dataset, imu_dataset
from kinbench.runner import Workspace

TASK = plugins.get("tasks", "sagittal").load()
RATE_HZ, SECONDS = 100.0, 30
MOST = 6
"""So many folds of a protocol are tried, evenly over all."""
NOT_APPLICABLE = {"cross-activity", "finetune-brough2025", "learning-curve/datasets", "sim-to-real", "split-rapp2021"}
"""Protocols that need more than walks of eleven people in two datasets: of others, having no folds is a fault."""


class Probe:
    """Remembers every sample by a hash of the bits of all its channels; says the mean where it remembers nothing."""

    def __init__(self, channels):
        self.odd = np.random.default_rng(0).integers(0, 2**63, channels, dtype=np.uint64) * 2 + 1
        self.names, self.answers = np.empty(0, dtype=np.uint64), None
        self.mean, self.hits = None, 0

    def name(self, x):
        bits = np.ascontiguousarray(x.reshape(-1, x.shape[-1])).view(np.uint32).astype(np.uint64)
        return (bits * self.odd).sum(axis=1, dtype=np.uint64)

    def learn(self, batches):
        x, y = batches.x, batches.y.reshape(-1, len(batches.spec.dof_names))
        names = np.concatenate([self.names, self.name(x)])
        answers = y if self.answers is None else np.concatenate([self.answers, y])
        self.names, first = np.unique(names, return_index=True)
        self.answers = answers[first]
        self.mean = np.nanmean(y, axis=0) if self.mean is None else self.mean

    def predict(self, x, *, remember):
        names = self.name(x)
        place = np.minimum(np.searchsorted(self.names, names), len(self.names) - 1)
        known = (self.names[place] == names) & remember
        self.hits = int(known.sum())
        answers = np.where(known[:, None], self.answers[place], self.mean)
        return answers.reshape(*x.shape[:2], -1).astype(np.float32)


def movement(random, *shape):
    """Smooth noise with a spread of 1 along the first axis, never twice the same."""
    made = gaussian_filter1d(random.standard_normal((int(SECONDS * RATE_HZ), *shape)), 8, axis=0)
    return made / made.std(axis=0)


def wearer(dataset, subject):
    """A recording of seven sensors and six angles that have nothing to do with each other: only memory could help."""
    random = np.random.default_rng(int.from_bytes(f"{dataset}/{subject}".encode(), "big"))
    plain, time = recording(dataset, subject, seconds=1.0), np.arange(int(SECONDS * RATE_HZ)) / RATE_HZ
    sides = {"r": "right", "l": "left"}
    placements = [
        Placement(name, name, sides.get(name[-2:].strip("_"), "centre"), rotation=np.eye(3), rotation_origin="declared")
        for name in TASK.segments
    ]
    acc = 9.81 * np.array([0, 1, 0]) + 2 * movement(random, len(placements), 3)
    gyr = 2 * movement(random, len(placements), 3)
    imu = imu_dataset(time, placements, {
        "acc": (acc, {"units": "m s-2", "frame": "sensor", "kind": "specific_force"}),
        "gyr": (gyr, {"units": "rad s-1", "frame": "sensor"}),
    })  # fmt: skip
    angle = 20 + 15 * movement(random, len(TASK.dofs))
    reference = angle_dataset(time, TASK.dofs, angle, units="deg", convention="isb_zxy", tier="simulation")
    return replace(
        plain, imu=imu, reference=reference, attrs={**plain.attrs, "rates": {"imu": {"nominal_hz": RATE_HZ}}}
    )


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    stores = []
    for dataset, subjects in {"opensense": [f"Subject{n:02d}" for n in range(1, 9)], "lab": ["P1", "P2", "P3"]}.items():
        path = folder / f"{dataset}.zarr"
        with store.create(path, dataset=dataset, card={"name": dataset, "simulation": True}) as writer:
            for subject in subjects:
                writer.write(wearer(dataset, subject))
        stores.append(store.open(path))
    return Workspace(tuple(stores), folder / "cache")


def folds_of(space, protocol):
    """Some folds of a protocol, evenly over all, of each dataset or of both together."""
    entries = {store.name: list(space.data(TASK, store.name).entries) for store in space.stores}
    together = [entry for part in entries.values() for entry in part]
    groups = [together] if protocol.card.scope == "datasets" else entries.values()
    found = []
    for group in groups:
        try:
            found += protocol.folds(group, TASK)
        except NotApplicable:
            continue
    return found[:: max(1, -(-len(found) // MOST))]


def tried(space, fold):
    """The probe's errors on a fold's test view, from memory and without one, and how many samples it remembered."""
    probe = Probe(len(fold.narrowed(TASK).channel_names))
    probe.learn(space.batches(fold, TASK, fold.roles["fit"], fold.fit_copies))
    for role in ("validation", "adaptation", "stopping"):
        if fold.roles.get(role):
            probe.learn(space.batches(fold, TASK, fold.roles[role]))
    windows = space.test_data(fold, TASK).test_windows(fold.roles["test"])
    errors = []
    for remember in (False, True):
        table = windows.assemble(probe.predict(windows.x, remember=remember))
        truth, valid = space.data(TASK, fold.test_dataset).truth(table)
        errors.append(float(np.sqrt(np.mean((table["prediction"] - truth)[valid] ** 2))))
    return errors[1], errors[0], probe.hits


@pytest.mark.parametrize("name", plugins.find("protocols"))
def test_remembering_is_worth_nothing(space, name):
    protocol = plugins.get("protocols", name).load()
    folds = folds_of(space, protocol)
    assert (name in NOT_APPLICABLE) == (not folds)
    for fold in folds:
        from_memory, mean_pose, hits = tried(space, fold)
        assert hits == 0, f"{name} {fold.name}: {hits} samples of the test view were shown before"
        assert from_memory == mean_pose


def test_the_probe_would_find_a_leak(space):
    (fold, *_) = folds_of(space, plugins.get("protocols", "ug").load())
    leaking = replace(fold, roles={**fold.roles, "fit": (*fold.roles["fit"], *fold.roles["test"])})
    from_memory, mean_pose, hits = tried(space, leaking)
    assert hits > 100 and from_memory < 0.5 * mean_pose
