"""Virtual sensors against the real ones that were worn in the same trials: the measured gap between the two.

Two laboratories, three people: ``neura_sparse`` (segments as Vicon and Plug-in Gait give them, nine MTw) and
``tan_treadmill`` (marker clusters, eight IMUs, ten steps of each of two people). The lag between the two systems is
measured, one per recording, and removed. Where a sensor sits on its segment nobody wrote down, so one constant rotation
(Wahba's problem on the angular rates below 6 Hz) and one constant lever arm (least squares on the accelerometer below
6 Hz) are found per sensor. Correlations are per segment axis: X anterior, Y proximal, Z right, the axis of flexion.

``pytest tests/test_virtual_against_real.py -s`` prints the table.
"""

import json
from dataclasses import dataclass

import h5py
import numpy as np
import pytest
from conftest import SHARED
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt, welch

from kinbench.kinematics import Frame, cluster_motion, matrices, quaternions
from kinbench.virtual_imu import angular_rate, on_segment, specific_force, transfer

RATE_HZ = 100.0
BELOW_HZ = 6.0
MARGIN = 6
"""Samples at either end of a stretch that are not compared: the derivative's shorter stencils, and room for the lag."""
LAGS = np.arange(-4, 5)
LEGS = ("thigh_r", "thigh_l", "shank_r", "shank_l")


@dataclass
class Stretch:
    """One sensor on one segment for a while: virtual angular rate, the segment's motion, and what was measured."""

    position: np.ndarray
    orientation: np.ndarray
    acc: np.ndarray
    gyr: np.ndarray
    known: np.ndarray

    def __post_init__(self):
        self.rate = angular_rate(self.orientation, RATE_HZ)
        self.force = specific_force(self.position, self.orientation, RATE_HZ)


@dataclass(frozen=True)
class Agreement:
    """Correlation per segment axis, and the root mean square difference of the accelerometers in m s-2."""

    gyr: np.ndarray
    gyr_below: np.ndarray
    acc_below: np.ndarray
    acc_rms: np.ndarray


def below(values):
    return sosfiltfilt(butter(2, BELOW_HZ, fs=RATE_HZ, output="sos"), values, axis=0)


def pooled(stretches, signal, lag=0.0):
    """The signal of all stretches one below the other, without their ends; later samples for a late sensor."""
    parts = []
    for stretch in stretches:
        values = signal(stretch)
        at = np.arange(len(values))
        moved = CubicSpline(at, values)(at + lag) if lag else values
        parts.append(moved[MARGIN:-MARGIN][stretch.known[MARGIN:-MARGIN]])
    return np.concatenate(parts)


def correlation(one, other):
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)])


def rotation_between(virtual, measured):
    """The rotation that best turns measured vectors into virtual ones (Wahba 1965; Markley 1988)."""
    left, _, right = np.linalg.svd(virtual.T @ measured)
    return left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right


def explained(target, by):
    """Coefficient of multiple correlation."""
    known = np.column_stack([by, np.ones(len(by))])
    rest = target - known @ np.linalg.lstsq(known, target, rcond=None)[0]
    return np.sqrt(1 - rest.var() / target.var())


def common_lag(sensors):
    """How many samples the sensors are late, all of them alike: where they best explain the legs' rates of flexion."""
    legs = [stretches for name, stretches in sensors.items() if name.split(" ")[0] in LEGS]
    curve = np.array([
        np.median([explained(pooled(s, lambda x: x.rate)[:, 2], pooled(s, lambda x: x.gyr, lag)) for s in legs])
        for lag in LAGS
    ])  # fmt: skip
    best = int(np.argmax(curve))
    assert 0 < best < len(LAGS) - 1, f"the lag is at the end of the search: {curve}"
    left, middle, right = curve[best - 1 : best + 2]
    return LAGS[best] + 0.5 * (left - right) / (left - 2 * middle + right)


def agreement(stretches, lag):
    """One sensor against its virtual twin."""
    slow = pooled(stretches, lambda x: below(x.rate))
    turn = rotation_between(slow, pooled(stretches, lambda x: below(x.gyr), lag))
    felt = pooled(stretches, lambda x: below(x.acc), lag) @ turn.T
    at_origin = pooled(stretches, lambda x: below(x.force))
    arms = [
        pooled(stretches, lambda x, way=way: below(transfer(x.force, x.rate, RATE_HZ, way) - x.force))
        for way in np.eye(3)
    ]
    lever = np.linalg.lstsq(np.stack(arms, axis=2).reshape(-1, 3), (felt - at_origin).ravel(), rcond=None)[0]
    twin = pooled(stretches, lambda x: below(worn(x, lever)))
    return Agreement(
        correlation(pooled(stretches, lambda x: x.rate), pooled(stretches, lambda x: x.gyr, lag) @ turn.T),
        correlation(slow, pooled(stretches, lambda x: below(x.gyr), lag) @ turn.T),
        correlation(twin, felt),
        np.sqrt(((twin - felt) ** 2).mean(axis=0)),
    )


def worn(stretch, lever):
    """What a virtual sensor feels at the end of a lever arm, in segment axes."""
    position, orientation = on_segment(stretch.position, stretch.orientation, lever, np.eye(3))
    return specific_force(position, orientation, RATE_HZ)


def show(name, lag, agreements):
    print(f"\n{name}: the sensors are {lag:.2f} samples ({1000 * lag / RATE_HZ:.0f} ms) late; r on X, Y, Z")
    print(f"{'sensor':16}{'gyr':>20}{'gyr < 6 Hz':>20}{'acc < 6 Hz':>20}{'rms m s-2':>20}")
    for sensor, found in agreements.items():
        cells = ["  ".join(f"{value:.2f}" for value in row) for row in (found.gyr, found.gyr_below, found.acc_below)]
        print(
            f"{sensor:16}{cells[0]:>20}{cells[1]:>20}{cells[2]:>20}{'  '.join(f'{x:.1f}' for x in found.acc_rms):>18}"
        )


# --- neura_sparse -----------------------------------------------------------------------------------------------------

PLUG_IN_GAIT = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Our axes from x anterior, y left, z proximal; the laboratory's world likewise, z up."""
FEET = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
NEURA = {
    "pelvis": ("Pelvis", "qRPV", "PELV"),
    "thigh_r": ("R_UpLeg", "qRTH", "RFEP"), "thigh_l": ("L_UpLeg", "qLTH", "LFEP"),
    "shank_r mid": ("R_LowLeg2", "qRSK", "RFEO"), "shank_l mid": ("L_LowLeg2", "qLSK", "LFEO"),
    "shank_r distal": ("R_LowLeg", "qRSK", "RFEO"), "shank_l distal": ("L_LowLeg", "qLSK", "LFEO"),
    "foot_r": ("R_Foot", "qRFT", "RTIO"), "foot_l": ("L_Foot", "qLFT", "LTIO"),
}  # fmt: skip
"""Sensor: its file, its segment's quaternion, its segment's proximal joint."""
BROKEN_LEFT_HIP = slice(390, 461)
"""Rows of the crop in which the trial's left hip is not to be believed."""


@pytest.fixture(scope="module")
def shared_folder():
    if SHARED is None:
        pytest.skip("the shared recordings are not here: set KINBENCH_SHARED_DATA to their folder")
    return SHARED


@pytest.fixture(scope="module")
def neura(shared_folder):
    folder = shared_folder / "neura_sparse"
    vicon = comments_and_table(folder / "vicon" / "S02-Trial-Walk-1.csv")
    sensors = {}
    for name, (file, quaternion, joint) in NEURA.items():
        read = comments_and_table(folder / "imu_segment_csv" / f"S02-Trial-Walk-1-{file}.csv")
        axes = FEET if name.startswith("foot") else PLUG_IN_GAIT
        turn = PLUG_IN_GAIT @ matrices(numbered(vicon, quaternion, 4)) @ axes.T
        known = np.ones(len(turn), dtype=bool)
        if name == "thigh_l":
            known[BROKEN_LEFT_HIP] = False
        place = numbered(vicon, joint, 3) @ PLUG_IN_GAIT.T
        stretch = Stretch(place, quaternions(turn), numbered(read, "acc", 3), numbered(read, "gyr", 3), known)
        sensors[name] = [stretch]
    return sensors


def comments_and_table(path):
    """Columns by name of a CSV file under comment lines."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("//")]
    return dict(zip(lines[0].split(","), np.loadtxt(lines[1:], delimiter=",", unpack=True), strict=True))


def numbered(table, name, count):
    return np.stack([table[f"{name}_{k}"] for k in range(1, count + 1)], axis=1)


def test_vicons_segments_carry_virtual_sensors_that_read_as_the_real_ones_do(neura):
    lag = common_lag(neura)
    found = {name: agreement(stretches, lag) for name, stretches in neura.items()}
    show("neura_sparse", lag, found)
    assert 1.0 < lag < 3.0
    for name in found:
        if name.split(" ")[0] in LEGS:
            assert found[name].gyr_below[2] > 0.92, name
            # the left thigh stays at 0.91 unfiltered: see the next test for what is missing, and where
            assert found[name].gyr[2] > (0.90 if name == "thigh_l" else 0.92), name
        assert found[name].acc_below[:2].min() > 0.8, name


def test_what_the_left_thigh_lacks_was_taken_out_of_the_reference_before_it_was_published(neura):
    """The trial's markers hold nothing above 7 Hz, where the sensor on the thigh still feels a third of a rad/s.

    No rotation can give that thigh r above 0.93, for not even a free factor for each of the gyro's axes can.
    """
    lag = common_lag(neura)
    (stretch,) = neura["thigh_l"]
    virtual, real = stretch.rate[MARGIN:-MARGIN, 2], CubicSpline(np.arange(len(stretch.gyr)), stretch.gyr)
    measured = real(np.arange(len(stretch.gyr)) + lag)[MARGIN:-MARGIN]
    turn = rotation_between(below(stretch.rate)[MARGIN:-MARGIN], below(measured))
    assert above(virtual) < 0.03 < 0.25 < above((measured @ turn.T)[:, 2])
    assert explained(virtual, measured) < 0.93


def above(values):
    """Root mean square of what lies above 7 Hz."""
    frequency, power = welch(values, RATE_HZ, nperseg=256)
    return np.sqrt(power[frequency > 7.0].sum() * frequency[1])


# --- tan_treadmill ----------------------------------------------------------------------------------------------------

TREADMILL_WORLD = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
"""Our world (X forward, Y up, Z right) from theirs: x to the right, y forward, z up; millimetres."""
CASES = {
    "trunk": "CHEST", "pelvis": "WAIST", "thigh_r": "R_THIGH", "thigh_l": "L_THIGH", "shank_r": "R_SHANK",
    "shank_l": "L_SHANK", "foot_r": "R_FOOT", "foot_l": "L_FOOT",
}  # fmt: skip


@pytest.fixture(scope="module", params=["subject_01", "subject_02"])
def treadmill(request, shared_folder):
    with h5py.File(shared_folder / "tan_treadmill" / "example_data.h5") as file:
        columns = {name: k for k, name in enumerate(json.loads(file.attrs["columns"]))}
        steps = file[request.param][:]
    sensors = {name: [] for name in CASES}
    static = None
    for step in steps:
        step = step[: int(np.flatnonzero(np.abs(step).sum(axis=1) > 0)[-1]) + 1]  # zeros follow upon toe-off
        place = {
            name[:-2]: np.stack([step[:, columns[f"{name[:-2]}_{axis}"]] for axis in "XYZ"], axis=1) @ TREADMILL_WORLD.T
            for name in columns
            if name.endswith("_X") and f"{name[:-2]}_Z" in columns and not name.startswith("EXT")
        }
        if static is None:
            static = {name: values[len(step) // 4] for name, values in place.items()}
        for name, case in CASES.items():
            cluster, frame = anatomy(name, static)
            motion = cluster_motion(
                np.stack([static[m] for m in cluster]), frame, np.stack([place[m] for m in cluster], axis=1)
            )
            acc, gyr = (
                np.stack([step[:, columns[f"{kind}{axis}_{case}"]] for axis in "XYZ"], axis=1)
                for kind in ("Accel", "Gyro")
            )
            known = np.ones(len(step), dtype=bool)
            sensors[name].append(Stretch(motion.origin / 1000, motion.quaternion, acc, np.deg2rad(gyr), known))
    return request.param, sensors


def anatomy(segment, at):
    """A segment's markers, and its anatomical frame where they stood in mid stance."""
    side, outward = segment[-1].upper(), {"r": 1.0, "l": -1.0}.get(segment[-1], 1.0)
    middle = lambda *names: np.mean([at[name] for name in names], axis=0)  # noqa: E731
    if segment == "trunk":
        names = ("MAI", "SXS", "SJN", "CV7", "LAC", "RAC")
        return names, upright(middle("SJN", "CV7") - middle("MAI", "SXS"), at["RAC"] - at["LAC"], middle("MAI", "SXS"))
    if segment == "pelvis":
        names = ("LIPS", "RIPS", "LIAS", "RIAS")
        across = at["RIAS"] - at["LIAS"]
        up = np.cross(across, middle("RIAS", "LIAS") - middle("RIPS", "LIPS"))
        return names, upright(up, across, middle(*names))
    knee, ankle = middle(f"{side}FME", f"{side}FLE"), middle(f"{side}TAM", f"{side}FAL")
    if segment.startswith("thigh"):
        names = (f"{side}FME", f"{side}FLE", f"{side}TH", f"{side}FT")
        return names, upright(at[names[3]] - knee, outward * (at[names[1]] - at[names[0]]), at[names[3]])
    if segment.startswith("shank"):
        names = (f"{side}TAM", f"{side}FAL", f"{side}SK", f"{side}TT")
        return names, upright(knee - ankle, outward * (at[names[1]] - at[names[0]]), knee)
    names = (f"{side}FCC", f"{side}FM5", f"{side}FM2")
    across = outward * (at[names[1]] - at[names[2]])
    return names, upright(np.cross(across, middle(*names[1:]) - at[names[0]]), across, ankle)


def upright(up, right, origin):
    """A frame whose Y is ``up`` and whose Z is as near to ``right`` as that allows."""
    y = up / np.linalg.norm(up)
    x = np.cross(y, right)
    x /= np.linalg.norm(x)
    return Frame(np.stack([x, y, np.cross(x, y)], axis=1), origin)


def test_marker_clusters_carry_virtual_sensors_that_read_as_the_real_ones_do(treadmill):
    person, sensors = treadmill
    lag = common_lag(sensors)
    found = {name: agreement(stretches, lag) for name, stretches in sensors.items()}
    show(f"tan_treadmill {person}", lag, found)
    assert -0.5 < lag < 2.0
    for name in LEGS:
        assert found[name].gyr[2] > 0.92, name
        assert found[name].gyr_below[2] > 0.97, name
    for name in found:
        assert found[name].acc_below.min() > 0.7, name
