"""Folders that lie: a real walk written anew with one thing wrong. What is wrong may be guessed or asked, never known.

Where physics can see the lie, it must be a question: the files alone would have been believed.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from conftest import ROOT, SHARED, needs_shared
from kinbench_adapters.lab import LabAdapter
from scipy.spatial.transform import Rotation

pytestmark = [needs_shared, pytest.mark.xdist_group("proposals")]
MANIFESTS = ROOT / "tests" / "manifests"
ROWS = 3000
RATE_HZ = 100.0
LEGS = [f"{segment}_{side}" for side in "rl" for segment in ("thigh", "shank", "foot")]
DOFS = {
    f"{name}_{side}": f"{column}_{side}"
    for side in "rl"
    for name, column in (("hip_flexion", "hip_flexion"), ("knee_flexion", "knee_angle"),
                         ("ankle_dorsiflexion", "ankle_angle"))
}  # fmt: skip


@dataclass
class Walk:
    """What is written: by segment (n, 3) m/s2 and rad/s, by OpenSim's column (n,) deg; and how the files tell it."""

    acc: dict
    gyr: dict
    angles: dict
    quat: dict = field(default_factory=dict)
    time: np.ndarray | None = None
    angle_time: np.ndarray | None = None
    labels: tuple = ("ax", "ay", "az", "gx", "gy", "gz")
    quat_labels: tuple = ("qw", "qx", "qy", "qz")
    above: tuple = ()
    in_degrees: str = "yes"
    names: dict = field(default_factory=dict)
    """What a sensor's file is called, if not by its segment."""

    def write(self, folder, *, mot=True):
        folder.mkdir(parents=True, exist_ok=True)
        for segment in self.acc:
            blocks = [self.acc[segment], self.gyr[segment]]
            header = [*self.labels]
            if segment in self.quat:
                blocks.append(self.quat[segment])
                header += self.quat_labels
            if self.time is not None:
                blocks.insert(0, self.time[:, None])
                header.insert(0, "time")
            lines = [*self.above, ",".join(header), *(",".join(f"{v:.6f}" for v in row) for row in np.hstack(blocks))]
            (folder / f"P01_walk1_{self.names.get(segment, segment)}.csv").write_text("\n".join(lines) + "\n")
        if mot and self.angles:
            rows = np.column_stack([self.angle_time, *self.angles.values()])
            head = ["walk", "version=1", f"nRows={len(rows)}", f"nColumns={rows.shape[1]}",
                    f"inDegrees={self.in_degrees}", "endheader", "\t".join(["time", *self.angles])]  # fmt: skip
            lines = [*head, *("\t".join(f"{v:.6f}" for v in row) for row in rows)]
            (folder / "P01_walk1_ik.mot").write_text("\n".join(lines) + "\n")
        return folder

    def guesses(self, folder, **how):
        """The proposal's guesses by field."""
        return guesses_of(self.write(folder, **how))

    def each(self, change):
        """Do the same to every sensor's acceleration and angular rate."""
        for signals in (self.acc, self.gyr):
            signals.update({segment: change(values) for segment, values in signals.items()})


def guesses_of(folder):
    return {guess.field: guess for guess in LabAdapter().propose(folder).guesses}


def asked(found):
    """The open fields, but those that no file of ours tells."""
    return {name for name, guess in found.items() if guess.verdict == "open"} - {"dataset.licence", "reference.tier"}


@pytest.fixture(scope="module")
def measured():
    """Thirty seconds on a treadmill, both legs, with angles by inverse kinematics: the part that both streams cover."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
        sources = LabAdapter().find(MANIFESTS / "capsense_treadmill").sources
        return next(source for source in sources if source.key.subject == "Sub02").load()


@pytest.fixture
def walk(measured):
    imu, reference = measured.imu, measured.reference
    segments = [str(name) for name in imu["segment"].values]
    start = float(reference["time"].values[0]) + 1.0
    time = np.arange(ROWS) / RATE_HZ
    acc, gyr = (
        {s: on(imu["time"].values, imu[name].values[:, segments.index(s)], start + time) for s in LEGS}
        for name in ("acc", "gyr")
    )
    dofs = [str(name) for name in reference["dof"].values]
    angles = {
        DOFS[dof]: on(reference["time"].values, reference["angle"].values[:, [dofs.index(dof)]], start + time)[:, 0]
        for dof in DOFS
    }
    return Walk(acc, gyr, angles, time=time, angle_time=time)


def on(time, values, wanted):
    """Values (n, k) at other times."""
    return np.stack([np.interp(wanted, time, np.nan_to_num(column)) for column in values.T.astype(float)], axis=1)


def test_told_truly_nothing_is_asked_but_what_no_file_tells(tmp_path, walk):
    found = walk.guesses(tmp_path)
    assert asked(found) == set()
    assert {found[f"imu.sensors.{s}.segment"].value for s in LEGS} == set(LEGS)
    assert all(found[f"imu.sensors.{s}.segment"].verdict == "guessed" for s in LEGS), "names alone are not known"
    assert "checked" in found["imu.sensors.shank_r.segment"].evidence
    assert found["reference.angles.hip_flexion_r"].value == "hip_flexion_r"


# --- one lie each: what is done to the walk, what must be asked then (any of them), and what is true -----------------


def exchange(one, other):
    def lie(walk):
        walk.names = {one: other, other: one}
        return {f"imu.sensors.{one}.segment": other, f"imu.sensors.{other}.segment": one}

    return lie


def exchange_sides(walk):
    walk.names = {segment: segment[:-1] + ("l" if segment.endswith("r") else "r") for segment in LEGS}
    return {f"imu.sensors.{name}.segment": segment for segment, name in walk.names.items()}


def exchange_rows(walk):
    """From the middle on the files of one shank hold the other's rows."""
    half = ROWS // 2
    for signals in (walk.acc, walk.gyr):
        one, other = signals["shank_r"], signals["shank_l"]
        signals["shank_r"] = np.vstack([one[:half], other[half:]])
        signals["shank_l"] = np.vstack([other[:half], one[half:]])
    return {"imu.sensors.shank_r.segment": None, "imu.sensors.shank_l.segment": None}


def exchange_knees(walk):
    walk.angles["knee_angle_r"], walk.angles["knee_angle_l"] = walk.angles["knee_angle_l"], walk.angles["knee_angle_r"]
    return {f"reference.angles.knee_flexion_{side}": f"knee_angle_{other}" for side, other in ("rl", "lr")}


def turn_ankle(walk):
    walk.angles["ankle_angle_r"] = -walk.angles["ankle_angle_r"]
    return {"reference.angles.ankle_dorsiflexion_r": {"column": "ankle_angle_r", "sign": -1}}


def slow_clock(walk):
    walk.time = walk.time * 1.2
    return {"imu.time": None, "imu.rate_hz": 100.0}


def slow_reference(walk):
    walk.angle_time = walk.angle_time * 1.2
    return {"reference.rate_hz": 100.0}


def header_rate(walk):
    """Fifty samples a second, a hundred in the header."""
    walk.each(lambda values: values[::2])
    walk.time, walk.above = None, ("# fs=100 Hz",)
    return {"imu.rate_hz": 50.0}


def reverse(walk):
    walk.each(lambda values: values[::-1])
    return {"imu.files": None}


def reverse_with_clock(walk):
    walk.each(lambda values: values[::-1])
    walk.time = walk.time[::-1]
    return {"imu.files": None, "imu.time": None}


def degrees_as_radians(walk):
    walk.in_degrees = "no"
    return {"reference.unit": "deg"}


def radians_as_degrees(walk):
    walk.angles = {name: np.radians(values) for name, values in walk.angles.items()}
    return {"reference.unit": "rad"}


def gyro_named_otherwise(walk):
    walk.gyr = {segment: np.degrees(values) for segment, values in walk.gyr.items()}
    walk.labels = ("ax", "ay", "az", "gx [rad/s]", "gy [rad/s]", "gz [rad/s]")
    return {"imu.gyr.unit": "deg/s"}


def gyro_in_radians_named_degrees(walk):
    walk.labels = ("ax", "ay", "az", "gx [deg/s]", "gy [deg/s]", "gz [deg/s]")
    return {"imu.gyr.unit": "rad/s"}


def g_named_otherwise(walk):
    walk.acc = {segment: values / 9.80665 for segment, values in walk.acc.items()}
    walk.labels = ("ax [m/s2]", "ay [m/s2]", "az [m/s2]", "gx", "gy", "gz")
    return {"imu.acc.unit": "g"}


def axes_named_otherwise(walk):
    walk.labels = ("ay", "ax", "az", "gx", "gy", "gz")
    return {"imu.acc.columns": ["ay", "ax", "az"]}


SEGMENTS = {f"imu.sensors.{segment}.segment" for segment in LEGS}
LIES = {
    "labels exchanged": (exchange("thigh_r", "shank_r"), SEGMENTS, True),
    "sides of the thighs exchanged": (exchange("thigh_r", "thigh_l"), set(), True),
    "all sides exchanged": (exchange_sides, SEGMENTS, True),
    "rows of two files exchanged": (exchange_rows, set(), True),
    "two columns exchanged": (exchange_knees, {"sync.method", "reference.angles.knee_flexion_r"}, True),
    "sign of an angle turned": (turn_ankle, {"reference.angles.ankle_dorsiflexion_r"}, True),
    "slow clock": (slow_clock, {"imu.time"}, True),
    "slow clock, no reference": (slow_clock, {"imu.time"}, False),
    "slow clock of the reference": (slow_reference, {"sync.method"}, True),
    "rate in the header": (header_rate, {"imu.rate_hz"}, False),
    "reversed": (reverse, {"imu.files"}, False),
    "reversed with its clock": (reverse_with_clock, {"imu.rate_hz"}, False),
    "degrees said to be radians": (degrees_as_radians, {"reference.unit"}, True),
    "radians said to be degrees": (radians_as_degrees, {"reference.unit"}, True),
    "deg/s said to be rad/s": (gyro_named_otherwise, {"imu.gyr.unit"}, False),
    "rad/s said to be deg/s": (gyro_in_radians_named_degrees, {"imu.gyr.unit"}, True),
    "g said to be m/s2": (g_named_otherwise, {"imu.acc.unit"}, True),
    "axes exchanged in the header": (axes_named_otherwise, {"imu.acc.columns"}, False),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_never_known_and_asked_where_physics_sees_it(tmp_path, walk, name):
    lie, expected, mot = LIES[name]
    true = lie(walk)
    found = walk.guesses(tmp_path, mot=mot)
    believed = {name for name in true if name in found and found[name].verdict == "known"}
    assert {name for name in believed if found[name].value != true[name]} == set()
    if expected:
        assert asked(found) & expected
    assert all("?" in found[name].evidence for name in asked(found)), "a question says what it asks"


def test_a_table_is_believed_where_motion_confirms_it_and_asked_where_it_contradicts(tmp_path, walk):
    codes = {segment: f"00B4000{place}" for place, segment in enumerate(LEGS, start=1)}
    walk.names = codes
    walk.write(tmp_path)
    (tmp_path / "where.txt").write_text("".join(f"{code}\t{segment}\n" for segment, code in codes.items()))
    found = guesses_of(tmp_path)
    assert all(found[f"imu.sensors.{code}.segment"].verdict == "known" for code in codes.values())
    codes["thigh_r"], codes["shank_r"] = codes["shank_r"], codes["thigh_r"]
    (tmp_path / "where.txt").write_text("".join(f"{code}\t{segment}\n" for segment, code in codes.items()))
    found = guesses_of(tmp_path)
    assert all(found[f"imu.sensors.{codes[name]}.segment"].verdict == "open" for name in ("thigh_r", "shank_r"))


def test_a_quaternion_is_not_believed_by_its_columns_names(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
        imu = LabAdapter().find(MANIFESTS / "fan_knee").sources[0].load().imu
    names = {str(segment): place for place, segment in enumerate(imu["segment"].values)}
    acc, gyr, quat = ({s: imu[k].values[:ROWS, i] for s, i in names.items()} for k in ("acc", "gyr", "quat"))
    last = {s: Rotation.from_quat(np.nan_to_num(q), scalar_first=True).as_quat() for s, q in quat.items()}
    walk = Walk(acc, gyr, {}, last, np.arange(ROWS) / RATE_HZ)
    found = walk.guesses(tmp_path)
    assert found["imu.quat.order"].verdict == "open"
    assert "xyzw" in found["imu.quat.order"].evidence
    walk.quat_labels = ("q0", "q1", "q2", "q3")
    assert walk.guesses(tmp_path)["imu.quat.order"].value == "xyzw"
