"""Virtual sensors where a real store's sensors sit: which they are, what is refused, and what the store then says."""

import json
from dataclasses import replace

import numpy as np
import pytest
from raw_folders.bodies import walker
from store_cases import CARD, recording

import kinbench
from kinbench import schema, store, virtual_imu
from kinbench.contracts import DatasetCard, RawDataset, Source
from kinbench.conversion import convert, sites_of
from kinbench.errors import UsageError
from kinbench.kinematics import quaternions
from kinbench.recording import (
    Body,
    Declared,
    Key,
    Placement,
    Recording,
    Sync,
    VirtualImu,
    VirtualPlacement,
    imu_dataset,
    segment_dataset,
)

TILTED = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
SEGMENTS = ("pelvis", "thigh_r", "shank_r")
LENGTHS = {"thigh_r": 0.43, "shank_r": 0.42}


def sensor(name, segment, site="lateral", level="mid", rotation=None, origin="measured"):
    known = "unknown" if rotation is None else "static"
    side = "midline" if segment == "pelvis" else "right"
    return Placement(name, segment, side, site, level, rotation=rotation, rotation_origin=known, origin=origin)


@pytest.fixture
def real(tmp_path):
    """Write a store of recordings that wear these sensors: real([sensor, ...], [sensor, ...])."""

    def real(*worn):
        with store.create(tmp_path / "real.zarr", dataset="lab", card=CARD) as writer:
            for number, sensors in enumerate(worn):
                made = recording(f"walk{number}")
                time = made.imu["time"].values
                gravity = np.broadcast_to([0.1, 9.8, 0.1], (len(time), len(sensors), 3))
                signals = {"acc": (gravity, {"units": "m s-2", "kind": "specific_force", "frame": "sensor"})}
                absent = {"gyr": "not recorded"}
                writer.write(
                    replace(made, imu=imu_dataset(time, sensors, signals), attrs={**made.attrs, "absent": absent})
                )
        return store.open(tmp_path / "real.zarr")

    return real


class Walkers:
    """An adapter of people who walked without sensors."""

    version = "1"
    card = DatasetCard("walkers", "Walkers", "1", "", "CC0-1.0", True, "here", "none")

    def __init__(self, lengths=LENGTHS, change=lambda recording: recording):
        self.lengths, self.change = lengths, change

    def find(self, raw):
        key = Key("walkers", "P1", "1", "walk")
        return RawDataset(self.card, (Source(key, (), lambda: self.change(self.load(key))),))

    def load(self, key):
        person = walker(3, length_s=6.0, rate_hz=100.0)
        quat = np.stack([quaternions(person.rotation[name]) for name in SEGMENTS], axis=1)
        position = np.stack([person.position[name] for name in SEGMENTS], axis=1)
        made = recording(imu=False)
        facts = {name: value for name, value in made.attrs.items() if name != "sync"}
        own = VirtualPlacement(sensor("own", "thigh_r", rotation=np.eye(3), origin="synthetic"), (0.0, -0.1, 0.05))
        return Recording(
            key, None,
            segment_dataset(person.time, SEGMENTS, quat, tier="simulation", position=position, exact=True),
            {**facts, "dataset": "walkers", "subject": "P1", "person": "walkers/P1", "trial": "walk"},
            Declared(reference_up="y", reference_forward="x", sync=Sync("same_clock"),
                     virtual=VirtualImu(Body("measured", self.lengths), (own,))),
        )  # fmt: skip


def test_sites_are_the_distinct_ones_with_the_first_rotation_known(real):
    sites = sites_of(real(
        [sensor("00A1", "thigh_r"), sensor("00A2", "shank_r", "anterior", "distal", np.eye(3))],
        [sensor("00B1", "thigh_r", rotation=TILTED), sensor("00B2", "shank_r", "anterior", "distal", TILTED)],
        [sensor("00C1", "thigh_r", "anterior"), sensor("00C3", "foot_r", "dorsum", "mid", origin="synthetic")],
    ))  # fmt: skip
    found = {placement.sensor: placement for placement in sites.placements}
    assert sorted(found) == ["shank_r", "thigh_r_anterior_mid", "thigh_r_lateral_mid"]
    np.testing.assert_array_equal(found["thigh_r_lateral_mid"].rotation, TILTED)
    np.testing.assert_array_equal(found["shank_r"].rotation, np.eye(3))
    assert {name: key.trial for name, key in sites.taken_from.items()} == {
        "shank_r": "walk0", "thigh_r_lateral_mid": "walk1", "thigh_r_anterior_mid": "walk2",
    }  # fmt: skip


def test_a_site_without_a_place_is_refused_with_all_others(real):
    opened = real([sensor("00A1", "thigh_r", "unknown"), sensor("00A2", "shank_r", "lateral", "unknown")])
    with pytest.raises(UsageError) as caught:
        sites_of(opened)
    for word in ("00A1", "'unknown'", "00A2", "needs a level", "lab/S1/1/walk0"):
        assert word in str(caught.value)


def test_a_level_nobody_wrote_down_may_be_said_and_is_recorded(real):
    worn = [
        sensor("00A1", "thigh_r", level="unknown"),
        sensor("00A2", "shank_r", level="distal"),
        sensor("00A3", "pelvis", "sacrum", "unknown"),
    ]
    sites = sites_of(real(worn), unknown_level="mid")
    levels = {placement.sensor: placement.level for placement in sites.placements}
    assert levels == {"thigh_r": "mid", "shank_r": "distal", "pelvis": "unknown"}, "the sacrum is one place"
    assert sites.plain()["unknown_level"] == "mid"


def test_a_store_without_measured_sensors_has_no_sites(real):
    with pytest.raises(UsageError, match="holds no measured sensor"):
        sites_of(real([sensor("V", "thigh_r", origin="synthetic")]))


def test_virtual_sensors_move_to_the_sites_and_the_history_says_so(real, tmp_path):
    opened = real([sensor("00A1", "thigh_r", rotation=TILTED), sensor("00A2", "pelvis", "sacrum", "mid")])
    sites = sites_of(opened)
    done = convert(Walkers(), tmp_path, tmp_path / "data", sites=sites)
    assert [outcome.reason for outcome in done.outcomes] == [None]
    assert done.to_json()["sites_of"]["sensors"]["thigh_r"]["taken_from"] == "lab/S1/1/walk0"
    kept = store.open(done.path).read("walkers/P1/1/walk")
    assert kept.imu["sensor"].values.tolist() == ["thigh_r"], "this body gives no length for its pelvis"
    assert (kept.imu["site"].values[0], kept.imu["origin"].values[0]) == ("lateral", "synthetic")
    np.testing.assert_array_equal(kept.imu["rotation"].values[0], TILTED)
    steps = {step["step"]: step for step in kept.attrs["history"]}
    assert steps["sites_of"]["dataset"] == "lab"
    assert steps["sites_of"]["digest"] == opened.digest
    expected = virtual_imu.site_offset("thigh_r", "right", "lateral", "mid", LENGTHS["thigh_r"])
    np.testing.assert_allclose(steps["virtual_imu"]["placements"]["thigh_r"]["offset_m"], expected)
    assert "pelvis" in json.dumps(steps["virtual_imu"]["left_out"])
    assert not schema.validate(kept.imu, kept.reference, kept.attrs)


def test_another_site_gives_other_accelerations_and_the_same_rates(real, tmp_path):
    usual = store.open(convert(Walkers(), tmp_path, tmp_path / "usual").path).read("walkers/P1/1/walk").imu
    sites = sites_of(real([sensor("00A1", "thigh_r", rotation=np.eye(3))]))
    moved = store.open(convert(Walkers(), tmp_path, tmp_path / "moved", sites=sites).path).read("walkers/P1/1/walk").imu
    np.testing.assert_allclose(moved["gyr"].values, usual["gyr"].values, atol=1e-5)
    assert np.nanmax(np.abs(moved["acc"].values - usual["acc"].values)) > 0.5


def test_measured_sensors_stay_where_they_sat(real, tmp_path):
    sites = sites_of(real([sensor("00A1", "thigh_r")]))
    worn = recording()
    adapter = Walkers(change=lambda made: replace(made, imu=worn.imu))
    with pytest.raises(UsageError, match=r"walkers/P1/1/walk has measured sensors.*--sites-of"):
        convert(adapter, tmp_path, tmp_path / "data", sites=sites)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        (Walkers(lengths={}), "none of these sensors sits on a segment whose length"),
        (Walkers(change=lambda made: replace(made, declared=replace(made.declared, virtual=None))), "neither measured"),
    ],
)
def test_a_body_that_cannot_take_the_sites_fails_alone(real, tmp_path, adapter, words):
    done = convert(adapter, tmp_path, tmp_path / "data", sites=sites_of(real([sensor("00A1", "thigh_r")])))
    assert words in done.failed[0].reason


def test_the_door_takes_the_store_by_name(real, tmp_path, install):
    real([sensor("00A1", "thigh_r", rotation=TILTED)])
    module = "from test_conversion_sites import Walkers\n"
    install("walk-data", [("kinbench.adapters", "walkers = walk_data:Walkers")], {"walk_data": module})
    done = kinbench.convert("walkers", tmp_path, sites_of="real", data=tmp_path)
    assert done.sites.dataset == "lab"
    for wrong in ({"sites_of": "real", "unknown_level": "middle"}, {"unknown_level": "mid"}):
        with pytest.raises(UsageError, match="--level goes with --sites-of, and is one of proximal, mid, distal"):
            kinbench.convert("walkers", tmp_path, data=tmp_path, **wrong)
    with pytest.raises(UsageError, match=r"no dataset 'reel'.*Did you mean 'real'"):
        kinbench.convert("walkers", tmp_path, sites_of="reel", data=tmp_path)
