"""Virtual sensors where real ones sit: the table of sites, and the request that copies a store's sensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinbench import schema
from kinbench.errors import UsageError
from kinbench.recording import Body, Dynamics, Hardware, Placement, VirtualImu, VirtualPlacement
from kinbench.virtual_imu import at_sites, site_offset

LEGS = ("thigh_r", "thigh_l", "shank_r", "shank_l")
levels = st.sampled_from(("proximal", "mid", "distal"))
sites = st.sampled_from(("anterior", "posterior", "lateral", "medial", "anteromedial"))
lengths = st.floats(0.2, 0.6)


def side_of(segment):
    return {"r": "right", "l": "left"}.get(segment[-1] if "_" in segment else "", "midline")


@given(st.sampled_from(("thigh", "shank")), sites, levels, lengths)
def test_the_left_leg_is_the_right_ones_mirror_image_and_length_scales_all(stem, site, level, length_m):
    right = site_offset(f"{stem}_r", "right", site, level, length_m)
    left = site_offset(f"{stem}_l", "left", site, level, length_m)
    np.testing.assert_allclose(left, right * [1, 1, -1])
    np.testing.assert_allclose(site_offset(f"{stem}_r", "right", site, level, 2 * length_m), 2 * right)


@given(st.sampled_from(LEGS), sites, levels, lengths)
def test_a_site_lies_on_the_skin_between_the_joints(segment, site, level, length_m):
    offset = site_offset(segment, side_of(segment), site, level, length_m)
    assert -length_m < offset[1] < 0
    assert 0.08 < np.hypot(offset[0], offset[2]) / length_m < 0.25


@pytest.mark.parametrize("segment", LEGS)
def test_sites_and_levels_lie_where_their_names_say(segment):
    outward = 1.0 if segment.endswith("r") else -1.0
    at = {site: site_offset(segment, side_of(segment), site, "mid", 0.4) for site in ("anterior", "lateral", "medial")}
    assert at["anterior"][0] > 0 and at["lateral"][2] * outward > 0 > at["medial"][2] * outward
    heights = [
        site_offset(segment, side_of(segment), "lateral", level, 0.4)[1] for level in ("proximal", "mid", "distal")
    ]
    assert heights == sorted(heights, reverse=True)


def test_the_trunk_counts_from_its_upper_end_and_the_foot_and_pelvis_have_places_of_their_own():
    high, low = (site_offset("trunk", "midline", "posterior", level, 0.5)[1] for level in ("proximal", "distal"))
    assert high > low > 0
    assert site_offset("trunk", "midline", "sternum", "unknown", 0.5)[0] > 0
    sacrum = site_offset("pelvis", "midline", "sacrum", "unknown", 0.15)
    assert sacrum[0] < 0 < sacrum[1] and sacrum[2] == 0
    toe, heel = (site_offset("foot_r", "right", site, "unknown", 0.13)[0] for site in ("dorsum", "heel"))
    assert heel < 0 < toe


@pytest.mark.parametrize("segment", schema.SEGMENTS)
@pytest.mark.parametrize("site", schema.SITES)
@pytest.mark.parametrize("level", schema.LEVELS)
def test_every_site_has_a_place_or_is_refused_in_one_sentence(segment, site, level):
    try:
        offset = site_offset(segment, "left", site, level, 0.4)
    except UsageError as error:
        assert "\n" not in str(error) and segment in str(error)
        assert site == "unknown" or level == "unknown" or repr(site) in str(error)
    else:
        assert offset.shape == (3,) and np.isfinite(offset).all()


@pytest.mark.parametrize(
    ("segment", "side", "site", "level", "length_m", "said"),
    [
        ("thigh", "right", "lateral", "mid", 0.4, "no segment"),
        ("thigh_r", "right", "unknown", "mid", 0.4, "no place is known for a sensor on the site 'unknown' of thigh_r"),
        ("thigh_r", "right", "heel", "mid", 0.4, "no place is known"),
        ("thigh_r", "right", "lateral", "unknown", 0.4, "needs a level"),
        ("thigh_r", "midline", "lateral", "mid", 0.4, "needs a side"),
        ("thigh_r", "right", "lateral", "mid", 0.0, "must be positive"),
        ("thigh_r", "right", "lateral", "mid", np.nan, "must be positive"),
    ],
)
def test_what_has_no_place_is_refused(segment, side, site, level, length_m, said):
    with pytest.raises(UsageError, match=said):
        site_offset(segment, side, site, level, length_m)


# --- a real store's sensors -------------------------------------------------------------------------------------------

TURN = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
REAL = (
    Placement("00B4", "thigh_r", "right", "lateral", "mid", TURN, "functional", "strap", "measured", "MTw", 0.02),
    Placement("00B5", "trunk", "midline", "sternum", "mid", None, "unknown", "strap"),
)


def request(**length_m):
    own = VirtualPlacement(Placement("own", "pelvis", "midline"))
    return VirtualImu(Body("measured", length_m), (own,), Dynamics(cutoff_hz=12.0), Hardware(rate_hz=100.0))


def test_sensors_are_put_where_the_real_ones_sit_and_say_that_they_are_virtual():
    asked = request(thigh_r=0.41, trunk=0.5)
    there = at_sites(asked, REAL)
    assert (there.body, there.dynamics, there.hardware) == (asked.body, asked.dynamics, asked.hardware)
    thigh, trunk = there.placements
    np.testing.assert_allclose(thigh.offset_m, site_offset("thigh_r", "right", "lateral", "mid", 0.41))
    copy = thigh.placement
    assert (copy.sensor, copy.segment, copy.site, copy.level) == ("00B4", "thigh_r", "lateral", "mid")
    assert (copy.origin, copy.attachment, copy.device, copy.clock_offset_s) == ("synthetic", "virtual", "virtual", 0.0)
    np.testing.assert_array_equal(copy.rotation, TURN)
    assert copy.rotation_origin == "functional"
    assert trunk.placement.rotation is None
    assert there.left_out == {} and "left_out" not in there.plain()


def test_a_sensor_on_a_segment_that_the_body_has_not_is_left_out_and_named():
    there = at_sites(request(thigh_r=0.41), REAL)
    assert [virtual.placement.sensor for virtual in there.placements] == ["00B4"]
    assert list(there.left_out) == ["00B5"] and "trunk" in there.left_out["00B5"]
    assert there.plain()["left_out"] == there.left_out


def test_unknown_places_are_all_told_at_once():
    vague = [Placement(name, "thigh_r", "right") for name in ("a", "b")]
    with pytest.raises(UsageError) as caught:
        at_sites(request(thigh_r=0.41), vague)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2 and "'a'" in lines[0] and "'b'" in lines[1]


def test_a_body_on_which_no_sensor_has_a_place_is_refused():
    with pytest.raises(UsageError, match="none of these sensors sits on a segment whose length the body gives"):
        at_sites(request(foot_l=0.13), REAL)
