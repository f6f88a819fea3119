"""From a store's recordings to windows: the grid, the axes, the masks, the cache, and every sample scored once."""

import re
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinbench import store as stores
from kinbench import windows
from kinbench.errors import UsageError
from kinbench.recording import (
    IndexEntry,
    Key,
    Placement,
    Recording,
    SensorEntry,
    Span,
    angle_dataset,
    imu_dataset,
)  # fmt: skip
from kinbench.tasks import Moving, Task
from kinbench.windows import Batches, TaskSpec, applicable, concatenate, prepare

KNEE = Task(
    name="knee", version=1, title="knee", segments=("thigh", "shank"), channels=("acc", "gyr"), dofs=("knee_flexion",),
    rate_hz=100.0, window=16, stride=8, per_leg=True, moving=None, variants=("knee/free",),
)  # fmt: skip
TURN = Rotation.from_euler("zyx", [30, 50, -70], degrees=True).as_matrix()
SEGMENTS = ("thigh_r", "shank_r", "thigh_l", "shank_l")


def tone(time, sensor, axis):
    """A slow, smooth signal, different for every channel, so that interpolation is nearly exact."""
    return np.sin(2 * np.pi * (0.5 + 0.1 * axis) * time + sensor) + 2.0


def knee(time, leg):
    return 30 + 25 * np.sin(2 * np.pi * 0.7 * time + (0 if leg == "r" else 2))


def make(
    key="lab/S1/1/walk", *, time=None, segments=SEGMENTS, legs="rl", reference_time=None, rotation=TURN, valid=None,
    reference_valid=None, clock_offset_s=0.0, kind="specific_force", activity="walking",
):  # fmt: skip
    time = np.arange(1000) / 100.0 if time is None else time
    rotation = dict.fromkeys(segments, rotation) if not isinstance(rotation, dict) else rotation
    placements = [
        Placement(
            f"s_{segment}", segment, "right" if segment.endswith("_r") else "left", rotation=rotation[segment],
            rotation_origin="unknown" if rotation[segment] is None else "declared", clock_offset_s=clock_offset_s,
        )
        for segment in segments
    ]  # fmt: skip
    at = time[:, None] + clock_offset_s
    acc = np.stack([np.stack([tone(at[:, 0], s, a) for a in range(3)], 1) for s in range(len(segments))], 1)
    gyr = np.stack([np.stack([tone(at[:, 0], s + 9, a) for a in range(3)], 1) for s in range(len(segments))], 1)
    if valid is not None:
        acc[~valid], gyr[~valid] = np.nan, np.nan
    frame = {"frame": "sensor"}
    imu = imu_dataset(
        time, placements,
        {"acc": (acc, {"units": "m s-2", "kind": kind, **frame}), "gyr": (gyr, {"units": "rad s-1", **frame})},
        valid=valid,
    )  # fmt: skip
    reference_time = time if reference_time is None else reference_time
    angle = np.stack([knee(reference_time, leg) for leg in legs], 1)
    reference = angle_dataset(
        reference_time, [f"knee_flexion_{leg}" for leg in legs], angle, units="deg", convention="isb_zxy",
        tier="optical_marker_ik", valid=reference_valid,
    )  # fmt: skip
    return Recording(Key.parse(key), imu, reference, {"activity": activity})


def index_entry(recording, digest="0" * 64, **changes):
    imu = recording.imu
    entry = IndexEntry(
        key=recording.key, person=recording.key.person, digest=digest, activity=recording.attrs["activity"],
        duration_s=float(imu["time"].values[-1]), imu_rate_hz=100.0, reference_rate_hz=100.0,
        sensors=tuple(
            SensorEntry(str(s), str(g), "right", str(o), "measured")
            for s, g, o in zip(imu["sensor"].values, imu["segment"].values, imu["rotation_origin"].values, strict=True)
        ),
        signals=("acc", "gyr"), acc_kind=imu["acc"].attrs["kind"],
        dofs=tuple(str(d) for d in recording.reference["dof"].values), convention="isb_zxy", tier="optical_marker_ik",
        simulation=False,
    )  # fmt: skip
    return replace(entry, **changes)


@dataclass
class FakeStore:
    """The doors of a store that ``prepare`` uses, and how often a recording was read."""

    recordings: list
    name: str = "lab"
    digest: str = "ab" * 32
    changes: dict = field(default_factory=dict)
    reads: int = 0

    def entries(self):
        return [index_entry(recording, **self.changes) for recording in self.recordings]

    def read(self, key):
        self.reads += 1
        return next(recording for recording in self.recordings if recording.key == key)


def prepared(tmp_path, *recordings, task=KNEE, **options):
    return prepare(FakeStore(list(recordings)), task, cache=tmp_path, **options)


def all_of(data):
    return [Span(str(entry.key), 0, 10**6) for entry in data.entries]


def leg_of(data, leg, entry=0):
    piece = next(p for p in data.pieces if p.entry == entry and data.task.legs[p.leg] == leg)
    rows = slice(piece.offset, piece.offset + piece.samples)
    return piece, data.signals[rows], data.targets[rows], data.labelled[rows]


def expected(segment, name, time):
    sensor = SEGMENTS.index(segment)
    return np.stack([tone(time, sensor + (9 if name == "gyr" else 0), a) for a in range(3)], 1) @ TURN.T


# --- the grid --------------------------------------------------------------------------------------------------------


def test_signals_stand_in_segment_axes_and_the_left_leg_is_mirrored(tmp_path):
    data = prepared(tmp_path, make())
    time = np.arange(1000) / 100.0
    _, right, target, _ = leg_of(data, "r")
    np.testing.assert_allclose(right[:, 0:3], expected("thigh_r", "acc", time), atol=1e-5)
    np.testing.assert_allclose(right[:, 9:12], expected("shank_r", "gyr", time), atol=1e-5)
    np.testing.assert_allclose(target[:, 0], knee(time, "r"), atol=1e-4)
    _, left, target, _ = leg_of(data, "l")
    np.testing.assert_allclose(left[:, 0:3], expected("thigh_l", "acc", time) * [1, 1, -1], atol=1e-5)
    np.testing.assert_allclose(left[:, 9:12], expected("shank_l", "gyr", time) * [-1, -1, 1], atol=1e-5)
    np.testing.assert_allclose(target[:, 0], knee(time, "l"), atol=1e-4)


def test_a_whole_body_task_mirrors_nothing(tmp_path):
    task = replace(KNEE, per_leg=False, segments=("thigh_l",), dofs=("knee_flexion_l",))
    data = prepared(tmp_path, make(), task=task)
    np.testing.assert_allclose(data.signals[:, :3], expected("thigh_l", "acc", np.arange(1000) / 100.0), atol=1e-5)


def test_sensor_axes_are_left_as_they_are_and_need_no_rotation(tmp_path):
    data = prepared(tmp_path, make(rotation=None), task=replace(KNEE, axes="sensor"))
    time = np.arange(1000) / 100.0
    np.testing.assert_allclose(leg_of(data, "r")[1][:, 1], tone(time, 0, 1), atol=1e-5)
    np.testing.assert_allclose(leg_of(data, "l")[1][:, 2], tone(time, 2, 2), atol=1e-5)  # not mirrored either


def test_norms_are_channels_of_their_own(tmp_path):
    data = prepared(tmp_path, make(), task=replace(KNEE, channels=("acc", "acc_norm", "gyr", "gyr_norm")))
    signals = leg_of(data, "l")[1]
    assert signals.shape[1] == len(data.task.channel_names) == 16
    np.testing.assert_allclose(signals[:, 3], np.linalg.norm(signals[:, 0:3], axis=1), rtol=1e-6)
    np.testing.assert_allclose(signals[:, 15], np.linalg.norm(signals[:, 12:15], axis=1), rtol=1e-6)


@pytest.mark.parametrize("rate_hz", [100.0, 60.0, 40.0, 128.0, 148.148148, 204.8, 200.0, 500.0, 97.1])
def test_any_native_rate_reaches_the_grid_at_the_right_instants(tmp_path, rate_hz):
    time = np.arange(round(10 * rate_hz)) / rate_hz
    data = prepared(tmp_path, make(time=time))
    _, signals, target, _ = leg_of(data, "r")
    grid = np.arange(signals.shape[0]) / 100.0
    assert abs(grid[-1] - time[-1]) < 0.0101
    inner = slice(30, -30)  # a filter has transients at the two ends
    np.testing.assert_allclose(signals[inner, :3], expected("thigh_r", "acc", grid)[inner], atol=0.01)
    np.testing.assert_allclose(target[inner, 0], knee(grid, "r")[inner], atol=0.1)
    assert data.entries[0].upsampled == (rate_hz < 90)


def test_a_rate_above_the_tasks_is_filtered_before_it_falls(tmp_path):
    time = np.arange(4000) / 400.0
    recording = make(time=time)
    recording.imu["acc"].values[:] += np.sin(2 * np.pi * 130 * time)[:, None, None]  # would fold to 30 Hz
    signals = leg_of(prepared(tmp_path, recording), "r")[1]
    grid = np.arange(signals.shape[0]) / 100.0
    np.testing.assert_allclose(signals[30:-30, :3], expected("thigh_r", "acc", grid)[30:-30], atol=0.02)


@pytest.mark.parametrize("rate_hz", [97.0, 300.0])
def test_an_uneven_clock_is_interpolated_by_its_own_times(tmp_path, rate_hz):
    generator = np.random.default_rng(1)
    count = round(10 * rate_hz)
    time = (np.arange(count) + generator.uniform(-0.4, 0.4, count)) / rate_hz
    time[0] = 0.0
    signals = leg_of(prepared(tmp_path, make(time=time)), "r")[1]
    grid = np.arange(signals.shape[0]) / 100.0
    np.testing.assert_allclose(signals[30:-30, :3], expected("thigh_r", "acc", grid)[30:-30], atol=0.02)


def test_a_sensor_with_a_clock_of_its_own_is_read_at_the_common_one(tmp_path):
    signals = leg_of(prepared(tmp_path, make(clock_offset_s=0.004)), "r")[1]
    grid = np.arange(signals.shape[0]) / 100.0
    np.testing.assert_allclose(signals[5:-5, :3], expected("thigh_r", "acc", grid)[5:-5], atol=2e-3)


def test_the_reference_keeps_its_own_times_and_is_never_filtered(tmp_path):
    reference_time = np.arange(-20, 700) / 80.0 + 0.013
    recording = make(reference_time=reference_time)
    recording.reference["angle"].values[:, 0] = (np.arange(720) % 2) * 10.0  # a filter would flatten this
    _, _, target, labelled = leg_of(prepared(tmp_path, recording), "r")
    grid = np.arange(1000) / 100.0
    inside = grid <= reference_time[-1]
    assert (labelled[:, 0] == inside).all()
    expectation = np.interp(grid, reference_time, (np.arange(720) % 2) * 10.0)
    np.testing.assert_allclose(target[inside, 0], expectation[inside], atol=1e-4)


def test_angles_are_interpolated_on_the_circle(tmp_path):
    recording = make(reference_time=np.arange(500) / 50.0)
    recording.reference["angle"].values[:, 0] = np.where(np.arange(500) % 2, 179.0, -179.0)
    target = leg_of(prepared(tmp_path, recording), "r")[2]
    assert (np.abs(target[np.isfinite(target)]) >= 179.0).all()


# --- gaps, masks, motion ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lost", "bridged"), [(1, True), (5, True), (6, False), (40, False)])
def test_short_gaps_are_bridged_and_long_ones_part_the_runs(tmp_path, lost, bridged):
    valid = np.ones((1000, 4), dtype=bool)
    valid[300 : 300 + lost, 0] = False
    data = prepared(tmp_path, make(valid=valid))
    piece, signals, _, _ = leg_of(data, "r")
    if bridged:
        assert piece.runs == ((0, 1000),)
        grid = np.arange(1000) / 100.0
        np.testing.assert_allclose(signals[:, :3], expected("thigh_r", "acc", grid), atol=0.02)
    else:
        assert piece.runs == ((0, 300), (300 + lost, 1000))
        assert np.isnan(signals[300 : 300 + lost]).all()
    assert leg_of(data, "l")[0].runs == ((0, 1000),)
    assert data.entries[0].runs == ((0, 1000),)  # the other leg still has it


def test_missing_rows_are_gaps_too(tmp_path):
    time = np.delete(np.arange(1000) / 100.0, np.r_[200:204, 600:630])
    piece = leg_of(prepared(tmp_path, make(time=time)), "r")[0]
    assert piece.runs == ((0, 600), (630, 1000))


def test_a_masked_reference_is_never_bridged_and_a_missing_value_is(tmp_path):
    reference_valid = np.ones((1000, 2), dtype=bool)
    reference_valid[400:402, 0] = False
    recording = make(reference_valid=reference_valid)
    recording.reference["angle"].values[700:703, 0] = np.nan
    piece, _, target, labelled = leg_of(prepared(tmp_path, recording), "r")
    assert piece.runs == ((0, 400), (402, 1000))
    assert not labelled[400:402].any() and np.isnan(target[400:402]).all()
    assert labelled[700:703].all() and np.isfinite(target[700:703]).all()


def test_moving_is_a_rule_of_the_task(tmp_path):
    recording = make()
    still = np.r_[0:200, 400:450, 600:1000]  # a pause of 0.5 s is kept, the rest is stillness
    recording.imu["gyr"].values[still] = 0.0
    rule = Moving(floor_rad_s=0.5, smooth_s=0.02, at_least_s=1.0)
    (entry,) = prepared(tmp_path, recording, task=replace(KNEE, moving=rule)).entries
    assert len(entry.runs) == 1
    assert entry.runs[0] == pytest.approx((200, 600), abs=2)


def test_a_short_burst_is_not_moving(tmp_path):
    recording = make()
    recording.imu["gyr"].values[np.r_[0:500, 560:1000]] = 0.0
    data = prepared(tmp_path, recording, task=replace(KNEE, moving=Moving(smooth_s=0.02)))
    assert data.entries == ()
    assert data.excluded == (("lab/S1/1/walk", "nobody moves in it, by the task's rule"),)


def test_the_embargo_is_the_longest_of_window_second_and_filter(tmp_path):
    assert prepared(tmp_path, make()).entries[0].embargo == 100
    assert prepared(tmp_path, make(), task=replace(KNEE, window=128)).entries[0].embargo == 128
    slow = make(time=np.arange(200) / 10.0)
    assert prepared(tmp_path, slow, task=replace(KNEE, max_gap_s=0.2)).entries[0].embargo == 200


# --- applicability ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"acc_kind": "gravity_removed"}, "acceleration is 'gravity_removed'.*'knee/free' would fit"),
        ({"signals": ("acc",)}, "no 'gyr'"),
        ({"dofs": ()}, "unlabelled"),
        ({"dofs": ("hip_flexion_r",)}, "no reference of knee_flexion_r"),
        ({"activity": "squat"}, "activity is 'squat'"),
        ({"imu_rate_hz": None}, "no imu"),
        ({"sensors": (SensorEntry("a", "thigh_r", "right", "declared", "measured"),)}, "no sensor on shank_r"),
    ],
)
def test_what_cannot_feed_a_task_says_why(tmp_path, changes, says):
    task = replace(KNEE, activities=("walking",))
    store = FakeStore([make()], changes=changes)
    data = prepare(store, task, cache=tmp_path)
    assert data.entries == () and store.reads == 0
    ((key, reason),) = data.excluded
    assert key == "lab/S1/1/walk"
    assert re.search(says, reason), reason
    assert len(data.batches([Span(key, 0, 1000)])) == 0


def labelled(*spans, activity="mixed"):
    """A recording of ten seconds with labelled spans (activity, start, stop)."""
    one = make(activity=activity)
    return replace(
        one,
        attrs={
            **one.attrs,
            "activities": [{"activity": a, "start_s": b, "stop_s": c, "confidence": 1.0} for a, b, c in spans],
        },
    )


@pytest.mark.parametrize("activity", ["mixed", "unknown"])
def test_of_a_mixed_recording_a_task_takes_what_it_admits(tmp_path, activity):
    one = labelled(("still", 0.0, 2.0), ("walk", 2.0, 5.0), ("turn", 5.0, 6.0), ("run", 6.0, 9.99), activity=activity)
    for number, (activities, runs) in enumerate(
        [
            (("walking",), ((200, 500),)),
            (("walking_treadmill", "squat"), ((200, 500),)),
            (("running", "standing"), ((0, 200), (600, 999))),
            (None, ((0, 1000),)),
        ]
    ):
        (entry,) = prepared(tmp_path / str(number), one, task=replace(KNEE, activities=activities)).entries
        assert entry.runs == runs


def test_what_is_declared_as_a_whole_counts_as_a_whole(tmp_path):
    one = labelled(("still", 0.0, 9.0), ("other", 9.0, 9.99), activity="walking")
    (entry,) = prepared(tmp_path, one, task=replace(KNEE, activities=("walking",))).entries
    assert entry.runs == ((0, 1000),)


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        ((), "nobody says what is done when.*--activities"),
        ((("still", 0.0, 5.0), ("turn", 5.0, 9.99)), "nothing in it is walking: its activities are still, turn"),
    ],
)
def test_a_mixed_recording_without_what_a_task_admits_says_so(tmp_path, spans, says):
    data = prepared(tmp_path, labelled(*spans), task=replace(KNEE, activities=("walking",)))
    assert data.entries == ()
    assert re.search(says, data.excluded[0][1])


def test_only_variants_that_fit_are_named():
    entry = index_entry(make(), acc_kind="gravity_removed")
    fits, not_known = replace(KNEE, name="knee/free", acc_kind="gravity_removed"), replace(KNEE, name="other")
    assert applicable(entry, KNEE, [fits, not_known]).endswith("; 'knee/free' would fit")
    assert "would fit" not in applicable(entry, KNEE, [not_known])
    assert applicable(entry, fits) is None


def test_an_unknown_rotation_excludes_a_recording_or_a_leg(tmp_path):
    (excluded,) = prepared(tmp_path, make(rotation=None)).excluded
    assert "no known rotation" in excluded[1] and "'knee/free' would fit" in excluded[1]
    one_leg = {**dict.fromkeys(SEGMENTS, TURN), "shank_l": None}
    data = prepared(tmp_path, make(rotation=one_leg))
    assert [data.task.legs[piece.leg] for piece in data.pieces] == ["r"]


# --- windows ---------------------------------------------------------------------------------------------------------


def test_training_windows_lie_inside_spans_and_runs(tmp_path):
    valid = np.ones((1000, 4), dtype=bool)
    valid[300:340, :2] = False  # the right leg
    data = prepared(tmp_path, make(valid=valid))
    batches = data.batches([Span("lab/S1/1/walk", 100, 400), Span("lab/S1/1/walk", 400, 500)])
    found = set()
    rows = {row.tobytes(): at for at, row in enumerate(data.signals)}
    for x in batches.x:
        start = rows[x[0].tobytes()]
        np.testing.assert_array_equal(x, data.signals[start : start + 16])
        piece = next(p for p in data.pieces if p.offset <= start < p.offset + p.samples)
        first = start - piece.offset
        found.add((data.task.legs[piece.leg], first))
        inside = [(100, 300), (340, 400), (400, 500)] if piece.leg == 0 else [(100, 400), (400, 500)]
        assert any(a <= first and first + 16 <= b for a, b in inside)
    assert {first for leg, first in found if leg == "l"} == {*range(100, 385, 8), *range(400, 485, 8)}
    assert np.isfinite(batches.x).all() and batches.valid.all() and np.isfinite(batches.y).all()
    assert batches.present.all() and batches.present.shape == (len(batches), 2)


def test_what_a_model_is_handed_holds_nothing_of_any_other_span(tmp_path):
    data = prepared(tmp_path, make())
    batches = data.batches([Span("lab/S1/1/walk", 100, 400)])
    inside = {row.tobytes() for piece in data.pieces for row in data.targets[piece.offset + 100 : piece.offset + 400]}
    assert {row.tobytes() for row in batches.targets} <= inside
    for array in (batches.signals, batches.targets, batches.labelled):
        assert array.base is None, "a view gives the whole store away"


def test_spans_of_other_stores_are_left_to_them(tmp_path):
    data = prepared(tmp_path, make())
    assert len(data.batches([Span("elsewhere/S1/1/walk", 0, 1000)])) == 0
    assert len(data.test_windows([Span("elsewhere/S1/1/walk", 0, 1000)])) == 0


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 400), min_size=2, max_size=8, unique=True),
    window=st.integers(2, 40),
    stride=st.integers(1, 50),
)
def test_every_covered_sample_is_scored_once_and_an_identity_gives_the_signal_back(cuts, window, stride):
    spans = [Span("lab/S1/1/walk", a, b) for a, b in zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False)]
    data = whole_body(400, window, min(stride, window))
    test = data.test_windows(spans)
    table = test.assemble(test.x[:, :, :1])
    assert table["sample"].tolist() == [k for span in spans for k in range(span.start, span.stop)]
    np.testing.assert_array_equal(table["prediction"][:, 0], data.signals[table["sample"], 0])
    assert test.padded == sum(span.stop - span.start < window for span in spans)
    reference, valid = data.truth(table)
    np.testing.assert_array_equal(reference, data.targets[table["sample"]])
    assert valid.all()


def whole_body(samples, window, stride):
    """Task data made by hand: one recording, one leg, one run."""
    task = replace(KNEE, per_leg=False, segments=("thigh_r",), dofs=("knee_flexion_r",), window=window, stride=stride)
    values = np.random.default_rng(0).standard_normal((samples, 6)).astype(np.float32)
    entry = windows.preparation._entry(
        {
            "key": "lab/S1/1/walk", "person": "lab/S1", "activity": "walking", "digest": "", "rate_hz": 100.0,
            "window": window, "embargo": 100, "runs": [[0, samples]], "convention": None, "simulation": False,
            "upsampled": False, "strides": [], "sensor_origin": "measured",
        }
    )  # fmt: skip
    return windows.TaskData(
        task, "lab", (entry,), (), (windows.Piece(0, 0, 0, samples, ((0, samples),)),), values, values[:, :1].copy(),
        np.ones((samples, 1), dtype=bool), (), np.empty(0), np.empty(0, dtype=np.uint64),
    )  # fmt: skip


def test_overlaps_are_averaged():
    data = whole_body(24, 16, 8)
    test = data.test_windows([Span("lab/S1/1/walk", 0, 24)])
    predictions = np.stack([np.full((16, 1), 1.0), np.full((16, 1), 4.0)])
    averaged = test.assemble(predictions)["prediction"][:, 0]
    assert averaged.tolist() == [1.0] * 8 + [2.5] * 8 + [4.0] * 8


def test_a_short_run_is_padded_at_its_edge_and_counted():
    data = whole_body(30, 16, 8)
    test = data.test_windows([Span("lab/S1/1/walk", 5, 10)])
    assert (len(test), test.padded) == (1, 1)
    np.testing.assert_array_equal(test.x[0], data.signals[[5, 6, 7, 8, *[9] * 12]])


def test_predictions_of_another_shape_are_refused():
    test = whole_body(40, 16, 8).test_windows([Span("lab/S1/1/walk", 0, 40)])
    with pytest.raises(UsageError, match=r"expected \(4, 16, dof\)"):
        test.assemble(np.zeros((4, 15, 1)))


def test_both_legs_are_scored_apart(tmp_path):
    data = prepared(tmp_path, make())
    test = data.test_windows(all_of(data))
    table = test.assemble(np.zeros((len(test), 16, 1)))
    assert np.bincount(table["leg"]).tolist() == [1000, 1000]
    reference, _ = data.truth(table)
    np.testing.assert_allclose(reference[table["leg"] == 1, 0], knee(np.arange(1000) / 100.0, "l"), atol=1e-4)


def test_taking_windows_equals_slicing(tmp_path):
    data = prepared(tmp_path, make())
    batches = data.batches(all_of(data))
    x, y, valid = batches.take(np.array([3, 0]))
    for row, index in enumerate((3, 0)):
        start = int(batches.starts[index])
        np.testing.assert_array_equal(x[row], batches.signals[start : start + 16])
        np.testing.assert_array_equal(y[row], batches.targets[start : start + 16])
    assert x.flags["C_CONTIGUOUS"] and valid.all()
    shuffled = [b[0] for b in batches.iterate(7, np.random.default_rng(0))]
    assert sum(map(len, shuffled)) == len(batches)
    assert sorted(np.concatenate(shuffled)[:, 0, 0]) == sorted(batches.x[:, 0, 0])


def test_windows_of_two_stores_are_joined(tmp_path):
    first = prepared(tmp_path, make())
    second = prepare(FakeStore([make("other/S1/1/walk")], digest="cd" * 32), KNEE, cache=tmp_path)
    parts = [data.batches(all_of(data)) for data in (first, second)]
    joined = concatenate(parts)
    np.testing.assert_array_equal(joined.x, np.concatenate([part.x for part in parts]))
    np.testing.assert_array_equal(joined.y, np.concatenate([part.y for part in parts]))
    assert np.unique(joined.person).size == 2
    assert concatenate(parts[:1]) is parts[0]


def test_windows_of_different_tasks_are_not_joined(tmp_path):
    some = prepared(tmp_path, make())
    other = prepared(tmp_path, make(), task=replace(KNEE, window=20))
    with pytest.raises(UsageError, match="specs differ"):
        concatenate([some.batches([]), other.batches([])])
    with pytest.raises(UsageError, match="at least one"):
        concatenate([])


def test_a_set_shorter_than_a_window_is_empty():
    empty = Batches(
        np.zeros((3, 6), np.float32), np.zeros((3, 1), np.float32), np.ones((3, 1), bool), np.empty(0, np.int64),
        np.empty(0, np.int64), np.ones((0, 1), bool), TaskSpec("t", 1, ("c",) * 6, ("d",), ("s",), 100.0, 16),
    )  # fmt: skip
    assert empty.x.shape == (0, 16, 6) and empty.y.shape == (0, 16, 1)


# --- the cache -------------------------------------------------------------------------------------------------------


def test_the_cache_is_made_once_and_equal_to_what_made_it(tmp_path):
    store = FakeStore([make(), make("lab/S2/1/walk")])
    fresh = prepare(store, KNEE, cache=tmp_path)
    assert store.reads == 2
    again = prepare(store, KNEE, cache=tmp_path)
    assert store.reads == 2
    assert again.entries == fresh.entries and again.pieces == fresh.pieces and again.excluded == fresh.excluded
    for name in ("signals", "targets", "labelled", "native_time_s", "native_hashes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fresh, name))


@pytest.mark.parametrize("name", ["signals", "targets", "labelled", "native_time_s", "native_hashes"])
def test_a_rotten_cache_is_made_again_and_never_gives_other_windows(tmp_path, name):
    store, names = FakeStore([make()]), ("signals", "targets", "labelled", "native_time_s", "native_hashes")
    data = prepare(store, KNEE, cache=tmp_path)
    fresh = {array: getattr(data, array).copy() for array in names}  # a copy, as maps would show the rot as well
    shard = next(path for path in next(tmp_path.glob(f"*/{name}/c")).rglob("*") if path.is_file())
    whole = shard.read_bytes()
    shard.write_bytes(bytes([whole[0] ^ 0x41]) + whole[1:])
    for _ in range(2):
        again = prepare(store, KNEE, cache=tmp_path)
        assert store.reads == 2  # made again once, then found whole
        for array in names:
            np.testing.assert_array_equal(getattr(again, array), fresh[array])
    assert shard.read_bytes() == whole


@pytest.mark.parametrize("change", [{"digest": "ef" * 32}, {"changes": {"person": "known/P1"}}])
def test_another_store_or_another_index_makes_another_cache(tmp_path, change):
    prepare(FakeStore([make()]), KNEE, cache=tmp_path)
    store = FakeStore([make()], **change)
    data = prepare(store, KNEE, cache=tmp_path)
    assert store.reads == 1
    assert data.entries[0].person == change.get("changes", {}).get("person", "lab/S1")


def test_another_task_makes_another_cache(tmp_path):
    store = FakeStore([make()])
    prepare(store, KNEE, cache=tmp_path)
    prepare(store, replace(KNEE, window=20), cache=tmp_path)
    assert store.reads == 2


def test_progress_counts_recordings(tmp_path):
    told = []
    prepared(tmp_path, make(), on_progress=lambda done, total, label: told.append((done, total, label)))
    assert told == [(0, 1, "lab/S1/1/walk"), (1, 1, "done")]


def test_a_real_store_feeds_a_task(tmp_path):
    recording = make()
    attrs = {
        "schema_version": "1", "dataset": "lab", "dataset_version": "1", "subject": "S1", "session": "1",
        "trial": "walk", "person": "lab/S1", "activity": "walking", "licence": {"id": "CC0", "redistributable": True},
        "rates": {"imu": {"measured_hz": 100.0}, "reference": {"measured_hz": 100.0}}, "world": "y up",
        "sync": {"method": "same_clock"}, "source": [], "adapter": {"name": "t", "version": "1"}, "history": [],
        "simulation": False,
    }  # fmt: skip
    with stores.create(tmp_path / "lab.zarr", dataset="lab", card={"name": "lab"}) as writer:
        writer.write(Recording(recording.key, recording.imu, recording.reference, attrs))
    from_disk = prepare(stores.open(tmp_path / "lab.zarr"), KNEE, cache=tmp_path / "cache")
    in_memory = prepared(tmp_path / "other", recording)
    np.testing.assert_array_equal(from_disk.signals, in_memory.signals)
    np.testing.assert_array_equal(from_disk.targets, in_memory.targets)
    assert from_disk.entries[0].runs == in_memory.entries[0].runs


def test_native_samples_are_known_by_key(tmp_path):
    data = prepared(tmp_path, make(), make("lab/S2/1/walk", time=np.arange(500) / 50.0))
    assert data.samples("lab/S1/1/walk").runs.shape == (985, 5)
    assert data.samples("lab/S2/1/walk").time_s.size == 500
    with pytest.raises(UsageError, match="does not feed task 'knee'"):
        data.samples("lab/S3/1/walk")


def test_task_digests_tell_definitions_apart():
    assert windows.task_digest(KNEE) == windows.task_digest(replace(KNEE))
    assert windows.task_digest(KNEE) != windows.task_digest(replace(KNEE, moving=Moving()))
