"""The AMASS adapter on three real sequences, copied into a right layout of the test's own folder."""

import shutil

import numpy as np
import pytest
from kinbench_adapters._amass.skeleton import MEAN_OFFSETS_M, MEAN_STATURE_M, PARENTS, TRUNK_M
from kinbench_adapters.amass import AmassAdapter

from kinbench import conversion, inspection, testing
from kinbench.schema import GRAVITY

PLACES = {
    "stand": ("ACCAD/Female1General_c3d/A1 - Stand", "accad_A1_stand"),
    "moving": ("MPI_mosh/50004/sample", "amass_sample_female_500"),
    "seated": ("SSM_synced/20160330_03333/sample", "amass_sample_ssm_male_601"),
    "again": ("DFaust_67/DFaust_67/50004/sample", "accad_A1_stand"),
}
"""Where each goes; the folders of the last three are chosen for the test and say nothing of who was measured."""


@pytest.fixture
def raw(shared, tmp_path):
    for place, name in PLACES.values():
        path = tmp_path / "raw" / f"{place}_poses.npz"
        path.parent.mkdir(parents=True)
        shutil.copy(shared / "amass" / f"{name}.npz", path)
    return tmp_path / "raw"


@pytest.fixture
def samples(raw):
    """The samples by name, smoothed: as it comes, a standing body's acceleration is noise of 2 to 6 m s-2."""
    names = {"ACCAD": "stand", "MoSh": "moving", "SSM": "seated", "DFaust": "again"}
    found = AmassAdapter(sites="tan", cutoff_hz=15).find(raw).sources
    return {names[source.key.subject.split("-")[0]]: conversion.prepare(source) for source in found}


def in_segment_axes(imu, variable, segment):
    index = list(imu["sensor"].values).index(segment)
    return imu[variable].values[:, index] @ imu["rotation"].values[index].T


def test_they_convert_and_keep_the_contract(raw, tmp_path):
    done = conversion.convert(AmassAdapter(), raw, tmp_path / "stores")
    assert [outcome.status for outcome in done.outcomes] == ["converted"] * 4
    testing.check_adapter(AmassAdapter(orientation_variants=1), raw)


def test_both_spellings_of_gender_and_the_persons(samples):
    assert [samples[name].attrs["person_table"]["sex"] for name in ("stand", "moving", "seated")] == [
        "female", "female", "male",
    ]  # fmt: skip
    assert samples["moving"].attrs["person"] == samples["again"].attrs["person"] == "amass/MPI_50004"
    assert samples["stand"].attrs["activity"] == "standing"


def test_a_standing_body_is_upright_straight_and_as_tall_as_a_body(samples):
    reference = samples["stand"].reference
    angle = reference["angle"].mean("time")
    for dof in ("pelvis_tilt", "pelvis_list", "hip_flexion_l", "hip_flexion_r", "knee_flexion_l", "knee_flexion_r"):
        assert abs(float(angle.sel(dof=dof))) < 12, dof
    place = reference["segment_position"]
    for side in "lr":
        height = (place.sel(segment="pelvis") - place.sel(segment=f"foot_{side}")).values[:, 1]
        assert 0.74 < height.mean() < 0.82
    assert not {"never_upright"} & set(samples["stand"].attrs["quality"])


def test_still_bodies_feel_gravity_upwards_in_segment_axes(samples):
    for segment in ("trunk", "pelvis", "thigh_l", "thigh_r", "shank_l", "shank_r", "foot_l", "foot_r"):
        acc = np.nanmedian(in_segment_axes(samples["stand"].imu, "acc", segment), axis=0)
        assert acc[1] > 0.97 * GRAVITY and abs(np.linalg.norm(acc) - GRAVITY) < 0.2, segment
    for segment in ("thigh_l", "thigh_r"):  # sitting: the front of the thigh is up
        acc = np.nanmean(in_segment_axes(samples["seated"].imu, "acc", segment), axis=0)
        assert acc[0] > 0.85 * GRAVITY and abs(np.linalg.norm(acc) - GRAVITY) < 0.05


def test_a_seated_body_has_its_hips_and_knees_flexed(samples):
    angle = samples["seated"].reference["angle"].median("time")
    for side in "lr":
        assert 40 < float(angle.sel(dof=f"hip_flexion_{side}")) < 60
        assert 65 < float(angle.sel(dof=f"knee_flexion_{side}")) < 85
    assert float(angle.sel(dof="pelvis_tilt")) > 10  # it leans back: posterior tilt is positive


def test_the_leg_that_moves_is_the_leg_whose_sensor_moves(samples, shared):
    with np.load(shared / "amass" / "amass_sample_female_500.npz") as file:
        poses, rate = file["poses"], float(file["mocap_framerate"])
    imu, angle = samples["moving"].imu, samples["moving"].reference["angle"]
    for side, joint, other in (("l", 4, "r"), ("r", 5, "l")):
        bend = np.gradient(poses[:, 3 * joint]) * rate  # about model x: flexion of the knee is positive
        knee = {
            s: -(in_segment_axes(imu, "gyr", f"shank_{s}") - in_segment_axes(imu, "gyr", f"thigh_{s}"))[:, 2]
            for s in (side, other)
        }
        known = np.isfinite(knee[side]) & np.isfinite(knee[other])  # but where the fit jumps
        assert known.mean() > 0.75
        own, swapped = (np.corrcoef(bend[known], knee[s][known])[0, 1] for s in (side, other))
        assert own > 0.9 and swapped < 0.5, (side, own, swapped)
        raw = np.degrees(poses[:, 3 * joint])
        bent = angle.sel(dof=f"knee_flexion_{side}").values
        assert np.corrcoef(raw[np.isfinite(bent)], bent[np.isfinite(bent)])[0, 1] > 0.95


def test_inspection_finds_no_fault_of_axes_units_or_sides(samples):
    for name in ("stand", "moving", "seated"):
        findings = inspection.check(samples[name])
        failed = [str(finding) for finding in findings if finding.verdict == "FAIL"]
        assert all("ankle_dorsiflexion_l" in one for one in failed), failed  # its fit jumps there, and is flagged
    assert [flag for flag in samples["moving"].attrs["quality"] if flag.startswith("jumps")] == ["jumps:foot_l"]


def test_the_template_is_the_published_one(shared):
    with np.load(shared / "amass" / "skel_smpl_neutral.npz") as file:
        offsets, parents = file["offsets"], file["parents"]
    np.testing.assert_allclose(MEAN_OFFSETS_M, offsets[:12], atol=6e-5)
    assert tuple(parents[:12]) == PARENTS
    joint = offsets.copy()
    for index in range(1, 24):
        joint[index] += joint[parents[index]]
    shoulders, ankles = joint[[16, 17], 1].mean(), joint[[7, 8], 1].mean()
    assert (shoulders - ankles) / (0.818 - 0.039) == pytest.approx(MEAN_STATURE_M, abs=0.005)
    assert np.linalg.norm(joint[12] - joint[3]) == pytest.approx(TRUNK_M, abs=0.005)
