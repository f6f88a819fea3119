"""Both feet teach one, and what was learnt of one motion or quantity is begun from for another."""

import numpy as np
import pytest
import xarray as xr
from kinbench_benchmarks import tasks
from kinbench_benchmarks.models.tan2024 import SslTransformer
from kinbench_benchmarks.models.tan2024.layout import Layout
from safetensors.numpy import load_file

from kinbench import schema, store, windows
from kinbench.kinematics import mirror_acc, mirror_gyr
from kinbench.recording import Key, Placement, Recording, Span, imu_dataset
from kinbench.schema import GRAVITY

RATE_HZ, SAMPLES, MASS_KG = 100.0, 640, 60.0
STEMS = ("thigh", "shank", "foot")


def body(side, *, seed=0, activity="walking_treadmill"):
    """Somebody who steps on one foot's plate, sensors on that leg; the left side is the right one's mirror image."""
    random, letter = np.random.default_rng(seed), side[0]
    acc, gyr = random.standard_normal((2, SAMPLES, 5, 3))
    stands = np.arange(SAMPLES) % 110 < 66
    force = np.abs(random.standard_normal((SAMPLES, 3))) * stands[:, None] * (30.0, 600.0, -20.0)
    if side == "left":
        acc, gyr, force = mirror_acc(acc), mirror_gyr(gyr), force * (1.0, 1.0, -1.0)
    names = ("trunk", "pelvis", *(f"{stem}_{letter}" for stem in STEMS))
    places = [Placement(name, name, side if "_" in name else "midline", rotation=np.eye(3), rotation_origin="declared")
              for name in names]  # fmt: skip
    time = np.arange(SAMPLES) / RATE_HZ
    imu = imu_dataset(time, places, {
        "acc": (acc, {"units": "m s-2", "frame": "sensor", "kind": "specific_force"}),
        "gyr": (gyr, {"units": "rad s-1", "frame": "sensor"}),
    })  # fmt: skip
    grf = xr.Dataset(
        {"grf": (("time", "plate", "axis"), force[:, None].astype(np.float32), {"units": "N", "frame": "world"})},
        coords={"time": ("time", time, {"units": "s"}), "plate": [side], "axis": list(schema.AXES)},
    )
    return Recording(Key("lab", side, "1", "walk"), imu, grf, {
        "schema_version": schema.SCHEMA_VERSION, "dataset": "lab", "dataset_version": "1", "subject": side,
        "session": "1", "trial": "walk", "person": f"lab/{side}", "activity": activity,
        "licence": {"id": "CC0-1.0", "redistributable": True}, "rates": {"imu": {"nominal_hz": RATE_HZ}},
        "world": "Y up", "sync": {"method": "same_clock"}, "source": [{"name": "walk.csv", "sha256": "0" * 64}],
        "adapter": {"name": "toy", "version": "1"}, "history": [], "simulation": True, "absent": {},
        "person_table": {"mass_kg": MASS_KG},
    })  # fmt: skip


def prepared(folder, *recordings, task=tasks.GRF_TREADMILL_EACH_FOOT):
    with store.create(folder / "lab.zarr", dataset="lab", card={"name": "lab", "simulation": True}) as writer:
        for one in recordings:
            writer.write(one)
    return windows.prepare(store.open(folder / "lab.zarr"), task, cache=folder / "cache")


def test_a_left_foot_teaches_what_its_mirror_image_does(tmp_path):
    data = prepared(tmp_path, body("left"), body("right"))
    left, right = (next(piece for piece in data.pieces if data.task.legs[piece.leg] == leg) for leg in "lr")
    for values in (data.signals, data.targets, data.stance):
        np.testing.assert_array_equal(*(values[p.offset : p.offset + p.samples] for p in (left, right)))
    medial, ahead, up = data.targets[right.offset : right.offset + right.samples].T
    assert (medial[medial != 0] > 0).all() and (ahead >= 0).all()
    assert up.max() * MASS_KG * GRAVITY > 600.0


def test_the_right_foots_own_task_never_sees_the_left(tmp_path):
    data = prepared(tmp_path, body("left"), body("right"), task=tasks.GRF_TREADMILL)
    assert [str(entry.key) for entry in data.entries] == ["lab/right/1/walk"]
    both = prepared(tmp_path / "both", body("left"), body("right"))
    spans = [Span(str(entry.key), 0, SAMPLES) for entry in both.entries]
    assert len(both.batches(spans)) == 2 * len(data.batches([spans[-1]])) > 0


def test_running_is_learnt_apart(tmp_path):
    runs = body("right", activity="running_treadmill")
    assert len(prepared(tmp_path, runs, task=tasks.GRF_RUNNING_EACH_FOOT).entries) == 1
    assert not prepared(tmp_path / "walks", runs).entries


@pytest.mark.parametrize("start", [tasks.GRF_RUNNING_EACH_FOOT, tasks.GRF_TREADMILL_EACH_FOOT, tasks.BODY_ACCELERATION])
def test_what_either_foot_taught_is_the_right_foots(start):
    """A leg-agnostic sensor is the right leg's, in the layout that weights are taken over by."""
    first, second = (Layout(()).with_task(_spec(task)) for task in (start, tasks.GRF_TREADMILL))
    assert {*first.names} <= {*second.names}
    assert first.with_task(_spec(tasks.GRF_TREADMILL)) == second
    assert Layout.of(_spec(start).channel_names).with_task(_spec(start)) == Layout.of(_spec(start).channel_names)


def _spec(task):
    return windows.TaskSpec(
        task.name, 1, task.channel_names, task.dofs, task.segments, task.rate_hz, task.window
    )  # fmt: skip


def test_a_model_takes_up_either_foots_weights_for_the_right_foot(tmp_path):
    data = prepared(tmp_path, body("left"), body("right"))
    batches = data.batches([Span(str(entry.key), 0, SAMPLES) for entry in data.entries])
    small = {"patch": 8, "width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "batch": 8, "probe_steps": 2,
             "tune_steps": 2}  # fmt: skip
    taught = SslTransformer(**small)
    taught.fit(batches, batches, seed=0)
    theirs = saved(taught, tmp_path / "weights")
    right = prepared(tmp_path / "right", body("right"), task=tasks.GRF_TREADMILL)
    walk = right.batches([Span(str(right.entries[0].key), 0, SAMPLES)])
    model = SslTransformer(**small, tune_lr=1e-12)
    model.begin(tmp_path / "weights")
    model.fit(walk, walk, seed=0)
    assert "from the encoder of 'grf/treadmill/each-foot'" in model.notes[1]
    names, own = taught.input_scaling.layout.names, model.input_scaling.layout.names
    assert len(own) == 48 and "thigh_r/acc/x" in names and not any("_l/" in name for name in names)
    place = [own.index(name) for name in names]
    mine = saved(model, tmp_path / "mine").reshape(16, 8, 48)
    np.testing.assert_allclose(mine[:, :, place], theirs.reshape(16, 8, 30), atol=1e-8)
    assert model.predict(walk.x).shape == (len(walk), 128, 3)


def saved(model, folder):
    """Save a model and return the weights (width, patch * channel) that its channels enter by."""
    folder.mkdir()
    model.save(folder)
    weights = load_file(folder / "weights.safetensors")
    return next(value for name, value in weights.items() if name.endswith("embedding.weight"))
