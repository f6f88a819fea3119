"""Real folders with their manifests hidden: what a proposal gets right, declines, gets wrong; never wrong and sure."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SHARED, needs_shared
from kinbench_adapters._lab.manifest import read_manifest
from kinbench_adapters._lab.patterns import list_files, match_files
from kinbench_adapters.lab import LabAdapter
from scipy.spatial.transform import Rotation

pytestmark = [needs_shared, pytest.mark.xdist_group("proposals")]
MANIFESTS = ROOT / "tests" / "manifests"
XSENS = {"imu.acc.unit": "m/s2", "imu.acc.kind": "specific_force", "imu.gyr.unit": "rad/s", "imu.acc.frame": "sensor",
         "imu.quat.order": "wxyz", "imu.quat.maps": "sensor_to_world", "imu.quat.up": "z"}  # fmt: skip


@dataclass(frozen=True)
class Lab:
    """A folder below the shared data; its manifest where there is one; facts that no manifest holds; other names."""

    folder: str
    manifest: str | None = None
    facts: dict | None = None
    names: dict | None = None
    least_right: int = 5


LABS = {
    "neura_sparse": Lab("neura_sparse", "neura_sparse", XSENS | {"imu.rate_hz": 100, "sync.lag_s": (0.010, 0.020)}),
    "neura segments": Lab("neura_sparse/imu_segment_csv", facts=XSENS | {
        "imu.reader": "delimited", "imu.rate_hz": 100, "fields.subject": "{subject}", "activity": "walking",
        **{f"imu.sensors.{side}_{word}.segment": f"{segment}_{side.lower()}" for side in "LR" for word, segment in
           (("Foot", "foot"), ("LowLeg", "shank"), ("LowLeg2", "shank"), ("UpLeg", "thigh"))},
        "imu.sensors.Pelvis.segment": "pelvis",
    }),
    "fan_knee": Lab("fan_knee", "fan_knee", XSENS | {"imu.rate_hz": 100, "sync.lag_s": (-0.008, 0.002)}),
    "halilaj_lab": Lab("halilaj_lab", "halilaj_lab", XSENS | {"imu.rate_hz": 40, "sync.lag_s": (2.89, 2.945)}),
    "zare_ankle": Lab("zare_ankle", "zare_ankle", {
        "imu.rate_hz": (96.9, 97.4), "imu.time": {"column": "Time", "unit": "ms", "regular": False},
    }, {"MPU1": "mpu1", "MPU2": "mpu2"}),
    "capsense_treadmill": Lab("capsense_treadmill", "capsense_treadmill", {
        "imu.rate_hz": 100, "imu.acc.frame": "sensor", "sync.lag_s": (0.010, 0.030), "reference.rate_hz": 100,
    }),
    "opensense example": Lab("opensense/example", facts={
        "imu.reader": "mt_manager", "imu.acc.unit": "m/s2", "imu.acc.kind": "specific_force", "imu.acc.frame": "sensor",
        "imu.rate_hz": 100, "imu.quat.order": "wxyz", "imu.quat.maps": "sensor_to_world", "imu.quat.up": "z",
        "reference.tier": "imu_fusion", "reference.convention": "opensim_coordinate", "reference.unit": "deg",
        "reference.rate_hz": 100, "activity": "walking",
        **{f"imu.sensors.00B4{code}.segment": segment for code, segment in
           {"2268": "trunk", "2279": "pelvis", "227C": "thigh_r", "227D": "shank_r", "21EF": "foot_r",
            "21EE": "thigh_l", "21ED": "shank_l", "21E6": "foot_l"}.items()},
    }),
    "opensense dialects": Lab("opensense/dialects", facts=XSENS | {"imu.reader": "mt_manager"}, least_right=2),
    "apdm": Lab("opensense/apdm", facts={
        "imu.reader": "apdm_csv", "imu.rate_hz": 128, "imu.acc.unit": "m/s2", "imu.acc.kind": "specific_force",
        "imu.gyr.unit": "rad/s",
    }, least_right=3),
    "xsens_dot": Lab("xsens_dot", "xsens_dot", {
        "imu.rate_hz": 60, "imu.acc.unit": "m/s2", "imu.acc.kind": "specific_force", "imu.gyr.unit": "deg/s",
        "imu.acc.frame": "sensor",
    }),
    "realtime_opensense": Lab("realtime_opensense", "realtime_opensense", {"imu.acc.frame": "sensor"},
                              {f"s{place + 1}": str(place) for place in range(8)}),
    "foot_stride": Lab("foot_stride", "foot_stride", {"imu.acc.frame": "sensor"},
                       {"left": "left_sensor", "right": "right_sensor"}),
    "tan_treadmill": Lab("tan_treadmill", "tan_treadmill", {"imu.acc.frame": "sensor"}),
    "nexus_walk": Lab("nexus_walk", "nexus_walk", {"reference.rate_hz": 200}),
    "opensim run": Lab("opensim_mocap/hamner_run200", "opensim_run", {"reference.rate_hz": 100}),
    "opensim level": Lab("opensim_mocap/levelground", "opensim_levelground", {"reference.rate_hz": 200}),
    "opensim gait2392": Lab("opensim_mocap/subject01_walk", "opensim_gait2392", {"reference.rate_hz": 60}),
}  # fmt: skip


def truth(lab):
    """What the proposal's fields should say, by the manifest and the facts, as far as either tells."""
    told = dict(lab.facts or {})
    if lab.manifest is None:
        return told
    manifest, root = read_manifest(MANIFESTS / lab.manifest / "kinbench.yaml")
    told["activity"] = manifest.activity
    imu, reference = manifest.imu, manifest.reference
    if imu is not None:
        told["imu.reader"] = imu.reader.name if imu.reader else None
        for signal, facts in imu.signals.items():
            keys = ("unit", "kind", "order", "maps", "up")
            told |= {f"imu.{signal}.{key}": getattr(facts, key) for key in keys if hasattr(facts, key)}
            if facts.files:
                told[f"imu.{signal}.files"] = matched(root, facts.files)
        if imu.files:
            told["imu.files"] = matched(root, imu.files)
        if imu.rate_hz:
            told["imu.rate_hz"] = imu.rate_hz
        told |= {f"imu.sensors.{name}.segment": sensor.segment for name, sensor in imu.sensors.items()}
    if reference is not None:
        told["reference.tier"] = reference.tier
        told["reference.convention"] = reference.convention
        told["reference.unit"] = reference.unit
        if reference.files:
            told["reference.files"] = matched(root, reference.files)
        if reference.rate_hz:
            told["reference.rate_hz"] = reference.rate_hz
        told |= {
            f"reference.angles.{dof}": (bare(angle.column), -1 if angle.sign == "-1" else 1)
            for dof, angle in reference.angles.items()
        }
        if reference.markers is not None:
            told |= {"reference.markers.set": reference.markers.set, "reference.markers.unit": reference.markers.unit}
        if reference.world is not None:
            told |= {"reference.world.up": reference.world.up, "reference.world.forward": reference.world.forward}
    if manifest.sync is not None:
        told["sync.method"] = manifest.sync.method
    return {field: value for field, value in told.items() if value is not None}


def matched(root, pattern):
    """Which files a pattern means, and the sensor of each."""
    return {(match.path.name, match.fields.get("sensor", "")) for match in match_files(root, pattern, list_files(root))}


def bare(column):
    return column.rpartition(".")[2].lower()


def judge(guess, expected, root, names):
    """``right``, ``declined`` or ``wrong``."""
    if guess.value is None:
        return "declined"
    value = guess.value
    if guess.field.endswith(".files"):
        value = matched(root, value)
    elif guess.field.endswith(".reader"):
        value = value["name"] if isinstance(value, dict) else value
        expected = expected["name"] if isinstance(expected, dict) else expected
        same = {"delimited": {"delimited", "v3d_text"}, "v3d_text": {"delimited", "v3d_text"}}
        return "right" if value in same.get(expected, {expected}) else "wrong"
    elif guess.field.startswith("reference.angles."):
        if isinstance(value, dict) and value.get("sign", 1) is None:
            return "declined"
        column = value["column"] if isinstance(value, dict) else value
        value = (bare(str(column)), int(value.get("sign", 1)) if isinstance(value, dict) else 1)
    if isinstance(expected, tuple) and all(isinstance(item, float) for item in expected):
        return "right" if expected[0] <= value <= expected[1] else "wrong"
    if isinstance(expected, (int, float)) and not isinstance(value, str):
        return "right" if abs(value / expected - 1) < 0.005 else "wrong"
    return "right" if value == expected else "wrong"


def table(lab, proposal):
    """(field, guess, verdict against the truth) for every field of the proposal that the truth tells."""
    root = Path(SHARED) / lab.folder
    told = truth(lab)
    rows = []
    for guess in proposal.guesses:
        field = guess.field
        for short, name in (lab.names or {}).items():
            field = field.replace(f"sensors.{short}.", f"sensors.{name}.")
        if field in told:
            rows.append((field, guess, judge(guess, told[field], root, lab.names)))
        elif guess.verdict == "open":
            rows.append((field, guess, "declined"))
    return rows


@pytest.mark.parametrize("name", LABS)
def test_what_is_called_known_is_right(name, shared):
    proposal = LabAdapter().propose(Path(SHARED) / LABS[name].folder)
    rows = table(LABS[name], proposal)
    wrong = [(field, guess) for field, guess, verdict in rows if verdict == "wrong"]
    assert [entry for entry in wrong if entry[1].verdict == "known"] == []
    assert len([1 for _, _, verdict in rows if verdict == "right"]) >= LABS[name].least_right
    assert len(wrong) <= 3
    asked = {guess.field for guess in proposal.guesses if guess.verdict == "open"}
    assert proposal.drafts or asked & {"imu.rate_hz", "reference.rate_hz"}
    assert all(guess.evidence and 0 <= guess.confidence <= 1 for _, guess, _ in rows)


# --- the same recordings, rewritten as another laboratory might have -------------------------------------------------


@pytest.fixture(scope="module")
def recordings():
    """Two real recordings in SI units, with orientations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
        return [LabAdapter().find(MANIFESTS / name).sources[0].load() for name in ("neura_sparse", "fan_knee")]


@pytest.mark.parametrize("seed", range(12))
def test_planted_units_orders_and_worlds_are_never_known_wrongly(tmp_path, recordings, seed):
    random = np.random.default_rng(seed)
    told = plant(tmp_path, recordings[seed % 2].imu, random)
    found = {guess.field: guess for guess in LabAdapter().propose(tmp_path).guesses}
    judged = {field: found[field] for field in told if field in found and found[field].value is not None}
    assert {f: g for f, g in judged.items() if g.verdict == "known" and g.value != told[f]} == {}
    assert sum(guess.value == told[field] for field, guess in judged.items()) >= 5


def plant(folder, imu, random, rows=2400):
    """Write each sensor's table in units, order and world drawn by chance; return what the proposal should say."""
    acc_unit, acc_scale = [("m/s2", 1.0), ("g", 1 / 9.80665), ("mg", 1000 / 9.80665)][random.integers(3)]
    gyr_unit, gyr_scale = [("rad/s", 1.0), ("deg/s", np.degrees(1.0))][random.integers(2)]
    last, inverted, up = bool(random.integers(2)), bool(random.integers(2)), "xyz"[random.integers(3)]
    world = Rotation.from_euler(*{"z": ("x", 0), "y": ("x", -90), "x": ("y", 90)}[up], degrees=True)
    delimiter, comma = [(",", False), (";", True), ("\t", False)][random.integers(3)]
    unit, scale = [("s", 1.0), ("ms", 1e3), ("us", 1e6)][random.integers(3)]
    header = ["t", *(f"{letter}{axis}" for letter in "ag" for axis in "xyz"), "q0", "q1", "q2", "q3"]
    segments = [str(segment) for segment in imu["segment"].values]
    for index, segment in enumerate(segments):
        if segment in segments[:index]:
            continue
        quat = np.nan_to_num(imu["quat"].values[:rows, index].astype(float))
        quat[np.linalg.norm(quat, axis=1) < 0.5] = (1, 0, 0, 0)
        turn = world * Rotation.from_quat(quat, scalar_first=True)
        written = (turn.inv() if inverted else turn).as_quat(scalar_first=not last)
        force, rate = imu["acc"].values[:rows, index] * acc_scale, imu["gyr"].values[:rows, index] * gyr_scale
        time = np.arange(len(written)) / 100 * scale
        lines = [delimiter.join(f"{v:.6f}" for v in row) for row in np.column_stack([time, force, rate, written])]
        text = "\n".join([delimiter.join(header), *lines]) + "\n"
        (folder / f"S07_trial3_{segment}.txt").write_text(text.replace(".", ",") if comma else text)
    return {
        "imu.acc.unit": acc_unit, "imu.acc.kind": "specific_force", "imu.acc.frame": "sensor", "imu.gyr.unit": gyr_unit,
        "imu.quat.order": "xyzw" if last else "wxyz", "imu.quat.up": up,
        "imu.quat.maps": "world_to_sensor" if inverted else "sensor_to_world",
        "imu.time": {"column": "t", "unit": unit},
        **{f"imu.sensors.{segment}.segment": segment for segment in segments},
    }  # fmt: skip
