"""The body's acceleration in the world: it is what a sensor on the pelvis feels, gravity taken away."""

from dataclasses import replace

import numpy as np
import pytest
from kinbench_benchmarks import tasks
from raw_folders.bodies import walker
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation
from walking_cases import STRIDE_S, mounts, walk

from kinbench import kinematics, store, virtual_imu, windows
from kinbench.metrics import UNITS, metrics_of
from kinbench.recording import segment_dataset
from kinbench.schema import BODY_ACCELERATIONS, GRAVITY
from kinbench.windows.accelerations import CUTOFF_HZ

TASK = tasks.BODY_ACCELERATION
RATE_HZ, STAND_S = 100.0, 3.0
SITE_M = (0.03, -0.1, 0.02)
"""Where ``walk`` puts every sensor, in segment axes from the segment's origin."""


def person(rate_hz=RATE_HZ):
    return walker(3, length_s=16.0, rate_hz=rate_hz, stand_s=STAND_S, stride_s=STRIDE_S, turn_deg=0.0)


def recording(heading_deg=0.0, *, rate_hz=RATE_HZ, change=lambda time, path: None, heading=True, position=True):
    """A straight walk in a laboratory whose X is ``heading_deg`` to the right of where the person goes."""
    who, turn = person(rate_hz), Rotation.from_euler("Y", heading_deg, degrees=True).as_matrix()
    time, path = who.time.copy(), who.position["pelvis"] @ turn.T
    change(time, path)
    quats = np.stack([kinematics.quaternions(turn @ who.rotation[name]) for name in ("pelvis", "thigh_r")], 1)
    places = np.stack([path, who.position["thigh_r"] @ turn.T], 1) if position else None
    segments = segment_dataset(time, ["pelvis", "thigh_r"], quats, tier="simulation", position=places)
    angles = kinematics.dofs_from_segments(segments)
    kept = [str(name) for name in angles["dof"].values if heading or name != "pelvis_rotation"]
    worn = walk(3, length_s=16.0, stand_s=STAND_S, rate_hz=max(rate_hz, RATE_HZ))
    return replace(worn, reference=angles.sel(dof=kept))


def laboratory(folder, one):
    with store.create(folder / "lab.zarr", dataset="lab", card={"name": "lab", "simulation": True}) as writer:
        writer.write(one)
    return store.open(folder / "lab.zarr")


def prepared(folder, one):
    return windows.prepare(laboratory(folder, one), TASK, cache=folder / "cache")


def felt(rate_hz):
    """What a sensor feels (n, 3) at the pelvis's site and, carried over, at its origin: less gravity, in world axes."""
    one, who = walk(3, length_s=16.0, stand_s=STAND_S, rate_hz=rate_hz), person(rate_hz)
    mount = mounts(0)["pelvis"]
    acc, gyr = (np.asarray(one.imu[name].values[:, 0], dtype=float) @ mount.T for name in ("acc", "gyr"))
    there = virtual_imu.transfer(acc, gyr, rate_hz, -np.asarray(SITE_M))
    step = round(rate_hz / RATE_HZ)
    return tuple(
        ((who.rotation["pelvis"] @ a[..., None])[..., 0] - (0.0, GRAVITY, 0.0))[::step] for a in (acc, there)
    )


def rms(values):
    return np.sqrt(np.mean(np.square(values), axis=0))


@pytest.mark.parametrize(("heading_deg", "rate_hz"), [(75.0, 100.0), (-100.0, 200.0), (180.0, 200.0)])
def test_it_is_what_a_sensor_on_the_pelvis_feels_less_gravity(tmp_path, heading_deg, rate_hz):
    """Whichever way the laboratory points; what is left at the sensor's own site is its distance from the hips."""
    data = prepared(tmp_path, recording(heading_deg, rate_hz=rate_hz))
    walks = data.labelled.all(axis=1) & (np.arange(len(data.targets)) > (STAND_S + 2.0) * RATE_HZ)
    at_site, at_origin = (values[: len(walks)][walks] for values in felt(rate_hz))
    truth = data.targets[walks]
    assert (rms(truth - at_origin) < 0.12).all() and (rms(truth) > 0.4).all()
    lever = rms(at_site - at_origin)
    assert (rms(truth - at_site) < lever + 0.12).all() and lever.max() > 0.2


def test_over_whole_strides_it_is_nothing_and_it_rises_twice_a_stride(tmp_path):
    data = prepared(tmp_path, recording())
    stride = round(STRIDE_S * RATE_HZ)
    first = round((STAND_S + 3.0) * RATE_HZ)
    found = data.targets[first : first + 8 * stride]
    assert (np.abs(found.mean(axis=0)) < 0.02 * rms(found)).all()
    up = found[:, TASK.dofs.index("body_acceleration_up")]
    peaks, _ = find_peaks(up, height=0.5 * up.max(), distance=stride // 4)
    assert np.median(np.diff(peaks)) == pytest.approx(stride / 2, rel=0.1)


def test_nothing_is_known_beside_a_gap_and_at_the_ends(tmp_path):
    def lose(time, path):
        path[800:820] = np.nan

    data = prepared(tmp_path, recording(change=lose))
    reach = int(np.ceil(RATE_HZ / CUTOFF_HZ))
    unknown = ~data.labelled.all(axis=1)
    assert np.flatnonzero(unknown).tolist() == [
        *range(reach), *range(800 - reach, 820 + reach), *range(len(unknown) - reach, len(unknown)),
    ]  # fmt: skip
    assert np.isnan(data.targets[unknown]).all()


def test_a_masked_reference_tells_nothing(tmp_path):
    one = recording()
    valid = np.ones(one.reference.sizes["time"], dtype=bool)
    valid[900:910] = False
    data = prepared(tmp_path, replace(one, reference=one.reference.drop_vars("valid", errors="ignore").assign(
        valid=("time", valid))))  # fmt: skip
    assert not data.labelled[895:915].any() and data.labelled[700:890].all()


def test_a_jump_is_no_motion(tmp_path):
    def jump(time, path):
        path[800:] += 5.0

    data = prepared(tmp_path, recording(change=jump))
    assert np.nanmax(np.abs(data.targets[:, TASK.dofs.index("body_acceleration_up")])) == pytest.approx(160.0)


def test_without_a_heading_it_is_not_told(tmp_path):
    entry = laboratory(tmp_path, recording(heading=False)).entries()[0]
    assert windows.applicable(entry, TASK).startswith("its reference tells no heading ('pelvis_rotation')")


def slur(time, path):
    time[1::2] += 0.006


@pytest.mark.parametrize("how", [{"position": False}, {"change": slur}, {"rate_hz": 25.0}], ids=" ".join)
def test_without_a_path_at_even_times_it_is_not_told(tmp_path, how):
    data = prepared(tmp_path, recording(**how))
    assert not data.entries
    assert "no path of the pelvis that could be differenced twice" in data.excluded[0][1]


def test_it_is_scored_in_its_own_unit_and_has_no_stance(tmp_path):
    assert TASK.dofs == tuple(BODY_ACCELERATIONS) and not TASK.loads
    assert metrics_of("acceleration").keys() == metrics_of("angle").keys()
    assert metrics_of("acceleration")["rmse"].unit == UNITS["acceleration"] == "m s-2"
    assert prepared(tmp_path, recording()).stance is None
