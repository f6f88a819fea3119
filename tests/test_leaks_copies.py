"""A recording under another name is found whatever was done to it; other recordings are never taken for it."""

from dataclasses import replace

import numpy as np
import pytest
from runner_cases import RATE_HZ, TASK, recording
from scipy.spatial.transform import Rotation

from kinbench import store
from kinbench.errors import LeakError
from kinbench.protocol import Fold, check_leaks
from kinbench.recording import Span
from kinbench.windows import find_copies, prepare

SECONDS = 60.0


def walk(person, trial, rate_hz=RATE_HZ):
    """A gyroscope's (n, 3) on a leg: strides that are never twice the same, of a shape that is the person's own."""
    own, mine = np.random.default_rng(person), np.random.default_rng([person, trial])
    shape, starts = own.normal(0, 1, (4, 3)), np.cumsum(np.concatenate([[0.0], mine.normal(1.1, 0.03, 80)]))
    phase = np.interp(np.arange(int(SECONDS * rate_hz)) / rate_hz, starts, np.arange(81.0))
    height = np.interp(phase, np.arange(81), mine.normal(1, 0.08, 81))
    waves = np.stack([np.sin(2 * np.pi * (k + 1) * phase + own.uniform(0, 6)) for k in range(4)], axis=1)
    return height[:, None] * (waves / (1 + np.arange(4))) @ shape


def laboratory(folder, gyros, rate_hz=RATE_HZ, name="lab"):
    path = folder / f"{name}.zarr"
    with store.create(path, dataset=name, card={"name": name, "simulation": True}) as writer:
        for subject, gyr in gyros.items():
            made = recording(name, subject, seconds=SECONDS)
            values = made.imu["gyr"].values.copy()
            values[:, 0], values[:, 1] = (
                gyr[: len(values)],
                walk(int.from_bytes(subject.encode(), "big"), 0)[: len(values)],
            )
            imu = made.imu.assign(gyr=made.imu["gyr"].copy(data=values.astype(np.float32)))
            writer.write(replace(made, imu=imu))
    return prepare(store.open(path), TASK, cache=folder / "cache")


def sampled(gyr, step):
    """Return a signal every ``step`` samples, on straight lines."""
    places = np.arange(0, len(gyr) - 1, step)
    found = np.stack([np.interp(places, np.arange(len(gyr)), column) for column in gyr.T], axis=1)
    return np.concatenate([found, np.tile(found[-1:], (len(gyr), 1))])[: int(SECONDS * RATE_HZ)]


def disguised(gyr, how):
    random = np.random.default_rng(7)
    return {
        "copied": gyr,
        "turned": gyr @ Rotation.from_rotvec([0.4, -1.2, 2.0]).as_matrix().T,
        "mirrored": gyr * [1, -1, 1],
        "axes exchanged": gyr[:, [2, 0, 1]],
        "scaled": gyr * np.rad2deg(1.0),
        "resampled": sampled(sampled(gyr, 1.25), 0.8),
        "stretched": sampled(gyr, 0.96),
        "cropped": np.concatenate([walk(99, 0)[: len(gyr) // 2], gyr[: len(gyr) // 2]]),
        "noisy": gyr + random.normal(0, 0.02 * gyr.std(), gyr.shape),
        "all at once": -57.3 * (gyr[:, [1, 2, 0]] @ Rotation.from_rotvec([1, 1, 0]).as_matrix().T)
        + random.normal(0, 0.5, gyr.shape),
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "copied",
        "turned",
        "mirrored",
        "axes exchanged",
        "scaled",
        "resampled",
        "stretched",
        "cropped",
        "noisy",
        "all at once",
    ],
)
def test_a_disguised_recording_is_found(tmp_path, how):
    data = laboratory(tmp_path, {"S1": walk(1, 0), "S2": walk(2, 0), "S3": disguised(walk(1, 0), how)})
    copies = find_copies([data])
    assert {(copy.one.key, copy.other.key) for copy in copies} == {("lab/S1/1/walk", "lab/S3/1/walk")}
    whole = [Span(str(entry.key), 0, 3000) for entry in data.entries]
    fold = Fold("S1", ("lab/S1",), ("lab",), "lab", {"fit": tuple(whole[1:]), "test": (whole[0],)})
    with pytest.raises(LeakError, match=r"test lab/S1/1/walk .* peak for peak as fit lab/S3/1/walk .*resampled"):
        check_leaks(fold, data.entries, signals=None, copies=copies)
    innocent = replace(fold, roles={"fit": (whole[1],), "test": (whole[0],)})
    check_leaks(innocent, data.entries, signals=None, copies=copies)


def test_other_people_and_other_trials_are_no_copies(tmp_path):
    people = {f"S{person}{trial}": walk(person, trial) for person in range(6) for trial in range(2)}
    assert find_copies([laboratory(tmp_path, people)]) == ()


def test_a_copy_in_another_store_is_found(tmp_path):
    one = laboratory(tmp_path, {"S1": walk(1, 0), "S2": walk(2, 0)})
    other = laboratory(tmp_path, {"P9": disguised(walk(1, 0), "turned")}, name="else")
    assert {(copy.one.key, copy.other.key) for copy in find_copies([one, other])} == {
        ("else/P9/1/walk", "lab/S1/1/walk")
    }


def test_movement_that_repeats_itself_cannot_tell(tmp_path):
    time = np.arange(int(SECONDS * RATE_HZ)) / RATE_HZ
    machine = np.stack([np.sin(2 * np.pi * time), np.cos(2 * np.pi * time), 2 * np.sin(4 * np.pi * time)], axis=1)
    assert find_copies([laboratory(tmp_path, {"S1": machine, "S2": machine * 1.5})]) == ()
