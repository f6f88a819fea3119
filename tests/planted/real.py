"""The real recordings that mistakes are planted in, as conversion makes them."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from kinbench_adapters.amass import AmassAdapter
from kinbench_adapters.calgary import CalgaryAdapter
from kinbench_adapters.lab import LabAdapter
from kinbench_adapters.opensense import OpenSenseAdapter

from kinbench.conversion import prepare
from kinbench.recording import Recording

DESIGN = ("neura_sparse", "halilaj_lab", "capsense_treadmill", "calgary")
"""Datasets on which thresholds were fixed; all others judge them."""
LABORATORIES = ("neura_sparse", "halilaj_lab", "capsense_treadmill", "fan_knee", "zare_ankle", "xsens_dot",
                "tan_treadmill")  # fmt: skip
CROP_S = 50.0
SPANS_S = {"halilaj_lab": (300.0, 350.0)}
"""A campaign looks at most at so much of a recording; of mixed tasks at where the person walks."""
MOST = 4
SHORT_MOST = {"tan_treadmill": 10}
"""So many recordings of a dataset at most are planted in; of single steps more, which are looked at together."""


def sources(shared: Path, scratch: Path) -> Iterator[tuple[str, object]]:
    """Yield (dataset, source) of every real recording there is a description of."""
    manifests = Path(__file__).parent.parent / "manifests"
    for name in LABORATORIES:
        if (manifests / name).is_dir():
            yield from ((name, source) for source in LabAdapter().find(manifests / name).sources)
    yield from (("opensense", source) for source in OpenSenseAdapter().find(shared / "opensense" / "example").sources)
    yield from (("calgary", source) for source in CalgaryAdapter().find(shared / "calgary_ric").sources)
    places = {
        "ACCAD/Female1General_c3d/A1 - Stand": "accad_A1_stand",
        "MPI_mosh/50004/sample": "amass_sample_female_500",
        "SSM_synced/20160330_03333/sample": "amass_sample_ssm_male_601",
    }
    for place, name in places.items():
        path = scratch / "amass" / f"{place}_poses.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "amass" / f"{name}.npz", path)
    yield from (("amass", source) for source in AmassAdapter(cutoff_hz=15).find(scratch / "amass").sources)


def recordings(shared: Path, scratch: Path, wanted: Iterable[str] | None = None) -> Iterator[tuple[str, Recording]]:
    """Yield (dataset, recording) as conversion makes it, cut to ``CROP_S``, at most ``MOST`` of a dataset."""
    taken: Counter = Counter()
    for dataset, source in sources(shared, scratch):
        if wanted is None or dataset in wanted:
            taken[dataset] += 1
            if taken[dataset] <= SHORT_MOST.get(dataset, MOST):
                yield dataset, prepared(dataset, source)


def prepared(dataset: str, source) -> Recording:
    """Return a recording as conversion makes it, cut to its span."""
    return cut(prepare(source), *SPANS_S.get(dataset, (0.0, CROP_S)))


def cut(recording: Recording, start_s: float, stop_s: float) -> Recording:
    """Return a span of a recording."""

    def piece(stream):
        if stream is None:
            return None
        time_s = stream["time"].values
        return stream.isel(time=np.flatnonzero((time_s >= start_s) & (time_s < stop_s)))

    return replace(recording, imu=piece(recording.imu), reference=piece(recording.reference))
