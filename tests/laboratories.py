"""Every folder of the shared recordings that holds a body: what reads it, what it gives, and which faults it has.

``python tests/laboratories.py`` converts them all and prints the table. ``motive`` is not among them: it holds single
markers on sensor boards, of which no joint angle can be had, and its sensors are not in the file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import kinbench
from kinbench import verification
from kinbench.recording import Recording

MANIFESTS = Path(__file__).parent / "manifests"

AMASS_PLACES = {
    "ACCAD/Female1General_c3d/A1 - Stand": "accad_A1_stand",
    "MPI_mosh/50004/sample": "amass_sample_female_500",
    "SSM_synced/20160330_03333/sample": "amass_sample_ssm_male_601",
}

Fault = tuple[str, str]
"""A check and where it fails."""


@dataclass(frozen=True)
class Laboratory:
    """One dataset: the adapter that reads it, its folder below the shared data, and what is wrong with it.

    ``folder`` None is that of its manifest. ``faults`` are known, real, and named by whoever measured them.
    """

    name: str
    recordings: int
    persons: int
    adapter: str = "lab"
    folder: str | None = None
    faults: frozenset[Fault] = field(default_factory=frozenset)

    def raw(self, shared: Path, scratch: Path) -> Path:
        """Return what is given to the adapter; AMASS' sequences are put where AMASS has them."""
        if self.adapter != "amass":
            return MANIFESTS / self.name if self.folder is None else shared / self.folder
        for place, name in AMASS_PLACES.items():
            target = scratch / "amass_raw" / f"{place}_poses.npz"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(shared / "amass" / f"{name}.npz")
        return scratch / "amass_raw"


def _gravity(*sensors: str) -> frozenset[Fault]:
    return frozenset(("gravity", f"imu.acc[{sensor}]") for sensor in sensors)


_DOUBLED = frozenset({("doubled samples", "imu[L_SHANK]")})
"""Of all steps of one person joined: three rows that repeat the one before in every digit, magnetometers too."""

_CLIPPED = frozenset(("clipping", f"imu.{signal}") for signal in ("acc[mpu1]", "acc[mpu2]", "gyr[mpu1]"))
"""Extremes met up to 638 times a file, on each axis 39.23 m s-2 apart: 4 g, the range of +-2 g. The foot's
gyro stops at 500 deg/s in two of four."""

_LEFT_TIBIA = frozenset(
    {
        ("axes against the reference", "imu.rotation[shank_l, foot_l]"),
        ("angle range", "reference.angle[knee_internal_rotation_l]"),
        ("angle range", "reference.angle[ankle_dorsiflexion_l]"),
        ("angle range", "reference.angle[ankle_internal_rotation_l]"),
        ("swing", "imu.rotation[shank_l]"),
        ("swing", "imu.rotation[foot_l]"),
    }
)
"""Of one person, F2: the marker on the left tibia lies on the line from knee to ankle."""

_MODEL_ANKLE = frozenset({("angle range", "reference.angle[ankle_dorsiflexion_l]")})
"""Of one person: a body model's ankle, whose zero is that of the model and no person's."""

LABORATORIES = (
    Laboratory("neura_sparse", 1, 1),
    Laboratory("fan_knee", 1, 1),
    Laboratory("halilaj_lab", 1, 1),
    Laboratory("capsense_treadmill", 7, 7, faults=_gravity("torso", "toes_l")),
    Laboratory("zare_ankle", 4, 4, faults=_CLIPPED),
    Laboratory("tan_treadmill", 20, 2, faults=_DOUBLED),
    Laboratory("foot_stride", 1, 1),
    Laboratory("xsens_dot", 1, 1),
    Laboratory("realtime_opensense", 1, 1),
    Laboratory("nexus_walk", 9, 5, faults=_LEFT_TIBIA),
    Laboratory("opensim_run", 1, 1),
    Laboratory("opensim_levelground", 1, 1),
    Laboratory("opensim_rajagopal", 1, 1),
    Laboratory("opensim_gait2392", 1, 1),
    Laboratory("opensense", 1, 1, adapter="opensense", folder="opensense/example"),
    Laboratory("opensense_subject07", 1, 1),
    Laboratory("calgary", 3, 3, adapter="calgary", folder="calgary_ric"),
    Laboratory("amass", 3, 3, adapter="amass", folder="amass", faults=_MODEL_ANKLE),
)


@dataclass(frozen=True)
class Converted:
    """One laboratory in a store: its recordings, and what the checks say of them."""

    laboratory: Laboratory
    recordings: tuple[Recording, ...]
    report: verification.Report

    @property
    def faults(self) -> set[Fault]:
        """Every check that fails, and where."""
        return {(finding.check, finding.where) for _, finding in self.report.failures}


def convert(laboratory: Laboratory, shared: Path, data: Path) -> None:
    """Convert one laboratory as a user would; raises where any of its recordings fails."""
    conversion = kinbench.convert(laboratory.adapter, laboratory.raw(shared, data), name=laboratory.name, data=data)
    if conversion.failed:
        raise ValueError(f"{laboratory.name}: {[(outcome.key, outcome.reason) for outcome in conversion.outcomes]}")


def judge(laboratory: Laboratory, data: Path) -> Converted:
    """Return what a conversion gave."""
    store = kinbench.open(laboratory.name, data=data)
    report = verification.validate(data / f"{laboratory.name}.zarr")
    return Converted(laboratory, tuple(store.read(key) for key in store), report)


def row(converted: Converted) -> dict[str, str]:
    """Return the table's row of one laboratory."""
    recordings = converted.recordings
    verdicts = Counter(finding.verdict for _, finding in converted.report.findings)
    return {
        "dataset": converted.laboratory.name,
        "by": converted.laboratory.adapter,
        "persons": str(len({recording.attrs["person"] for recording in recordings})),
        "recordings": str(len(recordings)),
        "minutes": f"{sum(map(_minutes, recordings)):.2f}",
        "sensors": _spread(0 if r.imu is None else r.imu.sizes["sensor"] for r in recordings) + _kind(recordings),
        "DoFs": _spread(_dofs(recording) for recording in recordings),
        "tier": ", ".join(sorted(set(filter(None, map(_tier, recordings))))) or "none",
        "forces": "plates" if any(r.reference is not None and "grf" in r.reference for r in recordings) else "",
        "PASS": str(verdicts["PASS"]),
        "FAIL": str(verdicts["FAIL"]),
        "NOT ASSESSED": str(verdicts["NOT ASSESSED"]),
        "sync": _sync(recordings),
    }


def _minutes(recording: Recording) -> float:
    stream = recording.imu if recording.imu is not None else recording.reference
    return 0.0 if stream is None else float(stream["time"].values[-1] - stream["time"].values[0]) / 60


def _spread(counts: Iterator[int]) -> str:
    found = sorted(set(counts))
    return "-".join(dict.fromkeys((str(found[0]), str(found[-1]))))


def _kind(recordings: Sequence[Recording]) -> str:
    origins = {str(origin) for r in recordings if r.imu is not None for origin in r.imu["origin"].values}
    return " virtual" if origins == {"synthetic"} else ""


def _dofs(recording: Recording) -> int:
    reference = recording.reference
    return 0 if reference is None or "dof" not in reference.sizes else reference.sizes["dof"]


def _tier(recording: Recording) -> str:
    reference = recording.reference
    names = () if reference is None else ("angle", "segment_quat")
    return next((str(reference[name].attrs["tier"]) for name in names if name in reference), "")


def _sync(recordings: Sequence[Recording]) -> str:
    """Return how the clocks stand, with what was measured of it in ms (and r), over the recordings."""
    told = []
    for method in sorted({str(recording.attrs["sync"]["method"]) for recording in recordings}):
        of = [r.attrs["sync"] for r in recordings if r.attrs["sync"]["method"] == method]
        known = [(1e3 * s["measured_shift_s"], s["r"]) for s in of if s["measured_shift_s"] is not None]
        shifts = f" {min(known)[0]:+.1f} to {max(known)[0]:+.1f} ms" if len(known) > 1 else ""
        shifts = shifts or (f" {known[0][0]:+.1f} ms" if known else "")
        least = f", r {min(r for _, r in known):.3f}" if known else ""
        if not known and method != "none":
            least = " by construction" if {s["by"] for s in of} == {"construction"} else " (not measurable)"
        told.append(f"{method}{shifts}{least}")
    return "; ".join(told)


def main(shared: Path) -> None:
    """Print the table as Markdown."""
    os.environ["KINBENCH_SHARED_DATA"] = str(shared)
    with tempfile.TemporaryDirectory() as folder:
        for laboratory in LABORATORIES:
            convert(laboratory, shared, Path(folder))
        rows = [row(judge(laboratory, Path(folder))) for laboratory in LABORATORIES]
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for cells in rows:
        print("| " + " | ".join(cells.values()) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["KINBENCH_SHARED_DATA"]))
