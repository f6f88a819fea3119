"""How fast the store writes, reads and opens, and how near its windows come to memory speed.

Run ``pytest --benchmark-enable benchmarks/speed/test_store_speed.py``; every case also checks what it read, so
without that option this is a correctness test.
"""

import zipfile

import numpy as np
import pytest
import zarr

from kinbench import schema, store
from kinbench.recording import Key, Placement, Recording, angle_dataset, imu_dataset
from kinbench.store import unit

CARD = {"name": "lab"}
WINDOW, BATCH = 128, 256


def recording(trial, *, n=6000, subject="S1"):
    """One minute of 8 IMUs and 10 joint angles at 100 Hz: 1.5 MB."""
    rng = np.random.default_rng(0)
    sensors = [Placement(f"s{place}", segment, "right") for place, segment in enumerate(schema.SEGMENTS)]
    imu = imu_dataset(
        np.arange(n) / 100,
        sensors,
        {
            "acc": (rng.normal(size=(n, 8, 3)), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
            "gyr": (rng.normal(size=(n, 8, 3)), {"units": "rad s-1", "frame": "sensor"}),
        },
        valid=np.ones((n, 8), bool),
    )
    reference = angle_dataset(
        np.arange(n) / 100,
        list(schema.DOFS)[:10],
        rng.normal(size=(n, 10)),
        units="deg",
        convention="isb_zxy",
        tier="simulation",
    )
    return Recording(Key("lab", subject, "1", trial), imu, reference, {"activity": "walking", "person": "lab/S1"})


@pytest.fixture(scope="module")
def minute():
    return recording("walk")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, minute):
    path = tmp_path_factory.mktemp("one") / "lab.zarr"
    with store.create(path, dataset="lab", card=CARD) as writer:
        writer.write(minute)
    return store.open(path)


@pytest.fixture(scope="module", params=[10, 2000])
def many(request, tmp_path_factory):
    """A store of many copies of one recording, each under a key of its own."""
    path = tmp_path_factory.mktemp("many") / "lab.zarr"
    with store.create(path, dataset="lab", card=CARD) as writer:
        writer.write(recording("t0", n=4, subject="S0"))
        first = path / "recordings/S0/1/t0.zarr.zip"
        with zipfile.ZipFile(first) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        for place in range(1, request.param):
            subject, trial = f"S{place // 20}", f"t{place}"
            copy = first.parents[2] / subject / "1" / f"{trial}.zarr.zip"
            copy.parent.mkdir(parents=True, exist_ok=True)
            manifest = members["manifest.json"].replace(b"lab/S0/1/t0", f"lab/{subject}/1/{trial}".encode())
            copy.write_bytes(unit._sealed_zip({**members, "manifest.json": manifest}))
    return path, request.param


def test_write_a_recording(benchmark, tmp_path, minute):
    with store.create(tmp_path / "lab.zarr", dataset="lab", card=CARD) as writer:
        assert benchmark(writer.write, minute) == store.content_digest(minute)


def test_read_a_recording(benchmark, lab, minute):
    assert benchmark(lab.read, minute.key).imu.identical(minute.imu)


def test_read_the_inputs_of_a_recording(benchmark, lab, minute):
    imu, _ = benchmark(lab.read_inputs, minute.key)
    assert imu.identical(minute.imu)


def test_digest_of_a_recording(benchmark, lab, minute):
    assert benchmark(store.content_digest, minute) == lab.entries()[0].digest


def test_open_a_store(benchmark, many):
    path, _ = many
    assert benchmark(store.open, path).name == "lab"


def test_list_a_store(benchmark, many):
    path, count = many
    assert len(benchmark(lambda: store.open(path).entries())) == count


# --- windows from a task's flat arrays --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "task"
    rng = np.random.default_rng(0)
    store.write_flat(folder, {"x": rng.standard_normal((600_000, 57), dtype=np.float32)}, {})
    starts = rng.integers(0, 600_000 - WINDOW, BATCH)
    return folder, store.open_flat(folder)[0]["x"], starts


def test_memcpy_of_a_batch(benchmark, flat):
    _, x, _ = flat
    block, batch = np.array(x[: BATCH * WINDOW]), np.empty((BATCH * WINDOW, 57), np.float32)
    benchmark(np.copyto, batch, block)
    assert np.array_equal(batch, x[: BATCH * WINDOW])


def test_shuffled_windows_from_the_flat_map(benchmark, flat):
    _, x, starts = flat
    view = np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis=0)
    batch = benchmark(lambda: view[starts])
    assert np.array_equal(batch[0].T, x[starts[0] : starts[0] + WINDOW])


def test_shuffled_windows_through_zarr(benchmark, flat):
    folder, x, starts = flat
    array = zarr.open_array(folder / "x", mode="r")
    batch = benchmark.pedantic(lambda: [array[s : s + WINDOW] for s in starts[:32]], rounds=3)
    assert np.array_equal(batch[0], x[starts[0] : starts[0] + WINDOW])
