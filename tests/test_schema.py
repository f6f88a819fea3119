"""The vocabulary as a law: every kind of breach is found, all at once, each with its place and its mend."""

from dataclasses import replace

import numpy as np
import pytest
from store_cases import recording

from kinbench import schema
from kinbench.recording import labels


def told(found, **changes):
    return [str(breach) for breach in replace(found, **changes).validate()]


def test_a_sound_recording_has_no_breach():
    assert recording().validate() == []
    assert recording(imu=False).validate() == []
    assert recording(reference=False).validate() == []


def with_attr(name, **attrs):
    found = recording()
    return {"imu": found.imu.assign({name: found.imu[name].assign_attrs(attrs)})}


def with_coord(name, value):
    imu = recording().imu
    return {"imu": imu.assign_coords({name: ("sensor", labels([value, str(imu[name].values[1])]))})}


def with_attrs(**attrs):
    return {"attrs": {**recording().attrs, **attrs}}


def with_time(change):
    imu = recording().imu
    time = imu["time"].values.copy()
    change(time)
    return {"imu": imu.assign_coords(time=("time", time, {"units": "s"}))}


def stand_still(time):
    time[3] = time[2]


def lose(time):
    time[3] = np.nan


MIRROR = np.stack([np.diag([1.0, 1.0, -1.0]), np.full((3, 3), np.nan)])
FAULTS = {
    "a unit": (with_attr("acc", units="g"), "imu.acc.units"),
    "a kind": (with_attr("acc", kind="kinematic"), "imu.acc.kind"),
    "a frame": (with_attr("gyr", frame=""), "imu.gyr.frame"),
    "a type": ({"imu": recording().imu.assign(gyr=recording().imu["gyr"].astype("float64"))}, "imu.gyr"),
    "an order of dims": (
        {"imu": recording().imu.assign(acc=recording().imu["acc"].transpose("sensor", "time", "axis"))}, "imu.acc",
    ),
    "a stranger": ({"imu": recording().imu.assign(temperature=("time", np.zeros(40)))}, "imu.temperature"),
    "a mask": (
        {"imu": recording().imu.assign(valid=recording().imu["valid"].astype("int8"))}, "imu.valid",
    ),
    "a clock that stands": (with_time(stand_still), "imu.time"),
    "a clock that is lost": (with_time(lose), "imu.time"),
    "a unit of time": (
        {"imu": recording().imu.assign_coords(time=("time", recording().imu["time"].values, {"units": "ms"}))},
        "imu.time.units",
    ),
    "a segment": (with_coord("segment", "femur"), "imu.segment[a]"),
    "a side": (with_coord("side", "dexter"), "imu.side[a]"),
    "a site": (with_coord("site", "pocket"), "imu.site[a]"),
    "a rotation that is none": (
        {"imu": recording().imu.assign_coords(rotation=(("sensor", "segment_axis", "axis"), MIRROR))},
        "imu.rotation[a]",
    ),
    "an origin of nothing": (with_coord("rotation_origin", "unknown"), "imu.rotation[a]"),
    "a DoF": (
        {"reference": recording().reference.assign_coords(dof=("dof", labels(["knee_bend"])))},
        "reference.dof[knee_bend]",
    ),
    "a convention": (
        {"reference": recording().reference.assign(
            angle=recording().reference["angle"].assign_attrs(convention="ours"))}, "reference.angle.convention",
    ),
    "an activity": (with_attrs(activity="dancing"), "attrs.activity"),
    "a version": (with_attrs(schema_version="0"), "attrs.schema_version"),
    "a licence": (with_attrs(licence=None), "attrs.licence"),
    "a sync": (with_attrs(sync={"method": "by eye"}), "attrs.sync.method"),
    "a name": (with_attrs(trial="walk 1/2"), "attrs.trial"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_breach_is_found_and_nothing_else(fault):
    changes, path = FAULTS[fault]
    breaches = replace(recording(), **changes).validate()
    assert [breach.path for breach in breaches] == [path]
    assert breaches[0].expected
    assert breaches[0].mend


def test_all_breaches_are_told_at_once():
    changes = {**with_attr("acc", units="g"), **with_attrs(activity="dancing", licence=None)}
    assert len(told(recording(), **changes)) == 3


def test_a_recording_of_nothing_is_a_breach():
    assert any("neither" in sentence for sentence in told(recording(), imu=None, reference=None))


def test_other_activities_are_written_out():
    assert recording(activity="other:dancing").validate() == []


def test_every_dof_names_its_neighbours_and_both_sides_mirror():
    for name, dof in schema.DOFS.items():
        assert dof.name == name
        assert dof.distal in schema.SEGMENTS
        assert dof.proximal in (*schema.SEGMENTS, "world")
        if dof.side == "left":
            right = schema.DOFS[f"{name[:-1]}r"]
            assert dof.sign == (right.sign if dof.component == 0 else -right.sign)


def test_aliases_lead_to_the_vocabulary():
    assert set(schema.SEGMENT_ALIASES.values()) <= set(schema.SEGMENTS)
    assert set(schema.DOF_ALIASES.values()) <= set(schema.DOFS)
    assert "subtalar_angle_r" not in schema.DOF_ALIASES, "an oblique axis is not inversion"
