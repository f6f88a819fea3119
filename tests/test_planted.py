"""Planted mistakes in real recordings: a stratified part of the campaign by default, all of it on request.

``KINBENCH_CAMPAIGN=1`` plants every mistake in every recording; ``python tests/planted.py FOLDER`` prints the tables.
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
SHARE = 6
"""Of the whole campaign, one copy in so many is made by default, the same ones each time."""
KNOWN = {
    "capsense_treadmill": {("gravity", "imu.acc[torso]"), ("gravity", "imu.acc[toes_l]")},
    "zare_ankle": {("clipping", "imu.acc[mpu1]"), ("clipping", "imu.acc[mpu2]"), ("clipping", "imu.gyr[mpu1]"),
                   ("clipping", "imu.gyr[mpu2]")},
}  # fmt: skip
"""Real faults: accelerometers that read 11 to 14 m s-2 at rest, and sensors beyond their range of 2 g and 500 deg/s."""


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
    for dataset, real in found:
        failed = {(f.check, f.where) for f in inspection.check(real) if f.verdict == "FAIL"}
        assert failed <= KNOWN.get(dataset, set()), f"{real.key}: {failed}"


@needs_shared
def test_planted_mistakes_are_found_and_rightly_named(found):
    rows = [row for row in planted.campaign(found, chosen) if row.recording]
    assert len(rows) > (400 if WHOLE else 40)
    informed = [row for row in rows if row.informed]
    named = np.mean([row.outcome == "named" for row in informed if row.outcome != "not assessed"])
    assert named >= 0.8, planted.table(informed)
    assert np.mean([row.outcome == "missed" for row in rows]) <= 0.1, planted.table(rows)


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
