"""Planted mistakes in real recordings: a stratified part of the campaign by default, all of it on request.

``KINBENCH_CAMPAIGN=1`` plants every mistake in every recording; ``python tests/planted FOLDER`` prints the tables.
"""

import os
import zlib

import numpy as np
import planted
import pytest
from conftest import SHARED, needs_shared
from test_inspection import recording

from kinbench import inspection

WHOLE = bool(os.environ.get("KINBENCH_CAMPAIGN"))
SHARE = 10
"""Of the whole campaign, one copy in so many is made by default, the same ones each time."""
KNOWN = {
    "capsense_treadmill": {("gravity", "imu.acc[torso]"), ("gravity", "imu.acc[toes_l]")},
    "zare_ankle": {("clipping", "imu.acc[mpu1]"), ("clipping", "imu.acc[mpu2]")},
    "tan_treadmill": {("doubled samples", "imu[L_SHANK]")},
    "amass": {("angle range", "reference.angle[ankle_dorsiflexion_l]")},
}
"""Real faults: accelerometers that read 11 to 14 m s-2 at rest, whose range of 2 g was too small, packets doubled, and
a body model's ankle."""
HELD = {"named": 0.85, "first": 0.8, "missed": 0.02}
WHOLE_HELD = {(True, "copy"): 0.95, (True, "anywhere"): 0.99, (False, "copy"): 0.75, (False, "anywhere"): 0.85}
"""Of what is assessed of all copies: by whether there is an orientation or reference, and whether per recording or
anywhere in a dataset."""


def chosen(recording, plant):
    return WHOLE or (recording == 0 and zlib.crc32(f"{plant}".encode()) % SHARE == 0)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The first recording of every dataset; of all datasets all of them where the whole campaign is asked for."""
    if SHARED is None:
        pytest.skip("the shared recordings are not here: set KINBENCH_SHARED_DATA to their folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
        taken, first = [], set()
        for dataset, source in planted.sources(SHARED, tmp_path_factory.mktemp("raw")):
            if WHOLE or dataset not in first:
                first.add(dataset)
                taken.append((dataset, planted.prepared(dataset, source)))
        return taken


@needs_shared
def test_untouched_recordings_raise_no_alarm(found):
    by_dataset = {}
    for dataset, real in found:
        by_dataset.setdefault(dataset, []).append(real)
    for dataset, each in by_dataset.items():
        told = {str(real.key): inspection.check(real) for real in each} | planted.joined(each)
        for key, findings in told.items():
            failed = {(f.check, f.where) for f in findings if f.verdict == "FAIL"}
            assert failed <= KNOWN.get(dataset, set()), f"{key}: {failed}"
        pooled = {one.check for one in inspection.pool(told) if one.verdict == "FAIL"}
        assert pooled <= {check for check, _ in KNOWN.get(dataset, set())}


@needs_shared
def test_planted_mistakes_are_found_and_rightly_named(found):
    rows = [row for row in planted.campaign(found, chosen) if row.kind != planted.UNDER]
    single = [row for row in rows if row.level == "copy"]
    assert len(single) > (400 if WHOLE else 25)
    informed = [row for row in single if row.informed]
    assert share(informed, lambda row: row.outcome == "named") >= HELD["named"], planted.table(informed)
    assert share(informed, lambda row: row.told.first) >= HELD["first"], planted.table(informed)
    assert np.mean([row.outcome == "missed" for row in rows]) <= HELD["missed"], planted.table(rows)
    if WHOLE:
        for (known, level), aim in WHOLE_HELD.items():
            part = [row for row in rows if row.informed == known and row.level == level]
            assert share(part, lambda row: row.outcome == "named") >= aim, planted.table(part)


def share(rows, holds):
    """Return the share of what was assessed for which something holds."""
    assessed = [row for row in rows if row.outcome != "not assessed"]
    return np.mean([holds(row) for row in assessed])


def test_what_cannot_be_told_is_not_counted_as_missed():
    plant = next(p for p in planted.PLANTS if p.name == "0.25 samples")
    within = inspection.Finding("sync", "PASS", "attrs.sync", "", 0.0, within=0.01)
    assert planted.outcome(plant, [], [within], "", 0.0025).outcome == "not assessed"
    assert planted.outcome(plant, [], [within], "", 0.02).outcome == "missed"


def test_the_first_cause_and_the_only_one_are_told_apart():
    plant = next(p for p in planted.PLANTS if p.name == "0.25 samples")

    def failed(*causes):
        return [inspection.Finding(cause, "FAIL", "", "", cause=cause) for cause in causes]

    orders = (["sync"], ["sync", "axes"], ["axes", "sync"])
    told = [planted.outcome(plant, [], failed(*causes), "") for causes in orders]
    assert [(one.outcome, one.first, one.alone) for one in told] == [
        ("named", True, True), ("named", True, False), ("named", False, False)
    ]  # fmt: skip
    known = planted.outcome(plant, failed("sync"), failed("sync"), "")
    assert (known.outcome, known.causes) == ("not assessed", ())


def test_a_pool_names_what_it_names_and_a_reader_what_any_copy_does():
    plant = next(p for p in planted.PLANTS if p.name == "0.25 samples")
    late, turned, sound = (inspection.Finding("sync", verdict, "attrs.sync", "", cause=cause)
                           for verdict, cause in (("FAIL", "sync"), ("FAIL", "axes"), ("PASS", "")))  # fmt: skip
    before = {name: [sound] for name in "abc"}
    pooled = planted.pooled_outcome(plant, before, {"a": [late], "b": [turned], "c": [turned]}, ["named", "found"])
    assert (pooled.outcome, pooled.causes) == ("found", ("axes",)), "most copies say so"
    assert planted.anywhere(pooled, ["named", "found"]).outcome == "named"
    assert planted.pooled_outcome(plant, before, before, ["missed", "not assessed"]).outcome == "missed"


@pytest.mark.parametrize("plant", [p for p in planted.PLANTS if p.name in ("both legs", "12 samples", "x, y, z, w")],
                         ids=lambda plant: plant.name)  # fmt: skip
def test_a_plant_changes_a_copy_and_leaves_the_original(plant):
    original = recording(segments=True)
    before = original.imu.copy(deep=True), original.reference.copy(deep=True)
    made = plant.make(original, np.random.default_rng(0))
    assert made is not None
    assert original.imu.identical(before[0])
    assert original.reference.identical(before[1])
    copy, _ = made
    assert not (copy.imu.identical(original.imu) and copy.reference.identical(original.reference))


@pytest.mark.parametrize("plant", planted.PLANTS, ids=lambda plant: f"{plant.kind}: {plant.name}")
def test_plants_are_the_same_every_time(plant):
    made = [plant.make(recording(), np.random.default_rng(5)) for _ in range(2)]
    if made[0] is None:
        assert made[1] is None
        return
    (one, who), (other, whom) = made
    assert who == whom
    assert one.imu.identical(other.imu)
    assert one.reference.identical(other.reference)
