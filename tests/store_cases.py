"""Small recordings for the tests of the store."""

import numpy as np

from kinbench import schema
from kinbench.recording import Key, Placement, Recording, angle_dataset, imu_dataset

CARD = {"name": "lab", "title": "A lab", "version": "1", "redistributable": True}


def recording(trial="walk", *, subject="S1", n=40, seed=0, imu=True, reference=True, **attrs):
    key = Key("lab", subject, "1", trial)
    rng = np.random.default_rng(seed)
    time = np.arange(n) / 100
    sensors = [
        Placement("a", "thigh_r", "right", rotation=np.eye(3), rotation_origin="declared"),
        Placement("b", "shank_r", "right"),
    ]
    acc = rng.normal(size=(n, 2, 3))
    acc[: n // 4] = np.nan
    return Recording(
        key,
        imu_dataset(
            time,
            sensors,
            {
                "acc": (acc, {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
                "gyr": (rng.normal(size=(n, 2, 3)), {"units": "rad s-1", "frame": "sensor"}),
            },
            valid=~np.isnan(acc[:, :, 0]),
        )
        if imu
        else None,
        angle_dataset(
            time + 0.005,
            ["knee_flexion_r"],
            rng.normal(size=(n, 1)),
            units="deg",
            convention="isb_zxy",
            tier="simulation",
        )
        if reference
        else None,
        {
            "schema_version": schema.SCHEMA_VERSION,
            "dataset": "lab",
            "dataset_version": "1",
            "subject": subject,
            "session": "1",
            "trial": trial,
            "person": f"lab/{subject}",
            "activity": "walking",
            "licence": {"id": "CC0-1.0", "redistributable": True},
            "rates": {"imu": {"nominal_hz": 100.0, "measured_hz": 100.0}, "reference": {"measured_hz": 100.0}},
            "world": "Y up",
            "sync": {"method": "hardware", "offset_s": 0.005, "r": 0.99},
            "source": [{"name": f"{trial}.csv", "sha256": "0" * 64}],
            "adapter": {"name": "lab", "version": "1"},
            "history": [{"step": "read"}],
            "simulation": True,
            **attrs,
        },
    )
