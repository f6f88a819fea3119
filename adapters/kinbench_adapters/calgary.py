"""The Running Injury Clinic's runners and walkers (Ferber et al. 2024): marker clusters, and no worn sensor.

Three layouts are read: the release's folders of JSON, its archive as downloaded, and the same content as pairs of C3D
files. The reference is the rigid motion of the clusters with the clinic's own segment frames; the sensors are virtual,
one on each cluster.
"""

from __future__ import annotations

from functools import partial
from math import inf
from pathlib import Path
from typing import ClassVar

from kinbench.contracts import DatasetCard, Download, Expected, RawDataset, RawTree, Source
from kinbench.errors import DataError, UsageError
from kinbench_adapters._calgary.metadata import SPEEDS, TABLES, read_visits
from kinbench_adapters._calgary.rapp2021 import NAME as RAPP2021
from kinbench_adapters._calgary.recording import CONVENTIONS, Settings, load
from kinbench_adapters._calgary.sensors import CUTOFF_HZ
from kinbench_adapters._calgary.sessions import find_trials
from kinbench_adapters._calgary.tracking import Limits
from kinbench_adapters._formats.archive import members

_FILES = "https://ndownloader.figshare.com/files"
_PAGE = "https://doi.org/10.25452/figshare.plus.24255795"
_COMPAT = (None, RAPP2021)


def _problem_of(path: Path) -> str | None:
    """Return what is wrong with a metadata table or an archive, None where nothing is."""
    try:
        if path.suffix.lower() == ".zip":
            members(path)
        else:
            read_visits(path, SPEEDS[next(mode for mode, name in TABLES.items() if name == path.name.lower())])
    except DataError as error:
        return error.problems[0]
    return None


class CalgaryAdapter:
    """Reads the clinic's release and C3D pairs; see the module for the layouts.

    ``convention``: ``isb`` takes joint angles apart as the schema has them (Z-X-Y), from the segments' frames;
    ``clinic`` in the clinic's own order (Y-X-Z), with our signs. ``compat=rapp2021`` gives the virtual sensors of
    Rapp et al. 2021 with their errors, instead of right ones. ``cutoff_hz``: low-pass of the segments' motion ahead
    of the virtual sensors. The rest is the rule on tracking errors, which looks at markers only: what
    breaks it is masked, and a recording that loses more than ``masked_share`` of a segment is refused
    (``_calgary.tracking.Limits`` tells each, and its grounds).
    """

    version: ClassVar[str] = "1"
    card: ClassVar[DatasetCard] = DatasetCard(
        name="calgary",
        title="Running Injury Clinic kinematic dataset",
        version="figshare 24255795 v1",
        description=(
            "Healthy and injured people walking and running on a treadmill, 20 to 60 s a trial, 200 Hz (some 120 Hz); "
            "marker clusters on pelvis, thighs, shanks and feet, and a standing trial with joint markers. Joint angles "
            "are computed from the clusters with the clinic's segment frames; the sensors are virtual ones on them."
        ),
        licence="CC-BY-4.0",
        redistributable=True,
        access=f"Open, no login: {_PAGE}; two tables (0.8 MB) and ric_data.zip (22.75 GB), which is read as it is.",
        citation=(
            "Ferber R, Brett A, Fukuchi RK, Hettinga B, Osis ST. A Biomechanical Dataset of 1,798 Healthy and Injured "
            "Subjects During Treadmill Walking and Running. Scientific Data 11:1232 (2024). "
            "doi:10.1038/s41597-024-04011-7"
        ),
        url=_PAGE,
        persons=1798,
        sensors="none worn; computed from the motion of the marker clusters",
        tier="optical_6dof",
    )
    tree: ClassVar[RawTree] = RawTree(
        expected=(
            Expected("who ran, and how fast", ("**/run_data_meta.csv",), check=_problem_of),
            Expected("who walked, and how fast", ("**/walk_data_meta.csv",), check=_problem_of),
            Expected("the archive as downloaded", ("**/*.zip",), required=False, check=_problem_of),
            Expected(
                "sessions: an archive, folders <sub_id>/<YYYYMMDDThhmmss>.json, or C3D pairs",
                ("**/*.zip", "**/[0-9]*T[0-9]*.json", "**/*static*.c3d"),
            ),
        ),
        steps=(
            f"Open {_PAGE} (no account is needed; CC BY 4.0, cite the paper).",
            "Download run_data_meta.csv and walk_data_meta.csv into one folder.",
            "Download ric_data.zip (22.75 GB) beside them and leave it packed: its members are Deflate64, which most "
            "tools refuse and this adapter reads in place. Unpacked by 7-Zip (48 GB) it is read as well.",
            "pip install 'kinbench[calgary]'",
        ),
        downloads=(
            Download(
                "run_data_meta.csv", f"{_FILES}/42637039",
                "sha256:208d10c266a93c7818018d10e58873d545d68279be49933976b06399d2e1e7f3", 389_355,
            ),
            Download(
                "walk_data_meta.csv", f"{_FILES}/42637045",
                "sha256:327061f557b3fc164bc2ca777515a25b19e41f05e45966cba69a8a6763bfeb21", 427_633,
            ),
            Download("ric_data.zip", f"{_FILES}/42651352", None, 0),
        ),
    )  # fmt: skip

    def __init__(
        self,
        convention: str = "isb",
        compat: str | None = None,
        cutoff_hz: float = CUTOFF_HZ,
        residual_mm: float = Limits.residual_mm,
        residual_sd: float = Limits.residual_sd,
        turn_dps: float = Limits.turn_dps,
        speed_mps: float = Limits.speed_mps,
        margin_s: float = Limits.margin_s,
        masked_share: float = Limits.masked_share,
    ) -> None:
        _require_word("convention", convention, tuple(CONVENTIONS))
        _require_word("compat", compat, _COMPAT)
        numbers = {"residual_mm": residual_mm, "residual_sd": residual_sd, "turn_dps": turn_dps, "speed_mps": speed_mps,
                   "margin_s": margin_s, "masked_share": masked_share}  # fmt: skip
        for name, value in {"cutoff_hz": cutoff_hz, **numbers}.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
                raise UsageError(f"adapter 'calgary': {name} must be a number not below 0, and is '{value}'.")
        if not cutoff_hz > 0:
            raise UsageError(f"adapter 'calgary': cutoff_hz must be a frequency above 0, and is '{cutoff_hz}'.")
        if masked_share > 1:
            raise UsageError(f"adapter 'calgary': masked_share must be a share from 0 to 1, and is {masked_share:g}.")
        self._settings = Settings(convention, compat, cutoff_hz, Limits(**numbers))

    def find(self, raw: Path) -> RawDataset:
        """Return the trials below ``raw``, in natural order; reads directories and the metadata, and no signals.

        Raises ``UsageError`` when the folder is absent, ``DataError`` when it holds no session, a metadata table is
        damaged, or two files would be one recording.
        """
        if not raw.is_dir():
            raise UsageError(f"Expected a folder with the clinic's sessions, found none at '{raw}'; check the path.")
        trials, metadata = find_trials(raw.resolve(), self.card.name)
        sources = [
            Source(trial.key, trial.files, partial(load, trial, metadata, self.card, self.version, self._settings))
            for trial in trials
        ]
        return RawDataset(self.card, tuple(sources))


def _require_word(name: str, value: str | None, known: tuple[str | None, ...]) -> None:
    if value not in known:
        words = ", ".join(word or "none" for word in known)
        raise UsageError(f"adapter 'calgary': {name} must be one of {words}, and is '{value}'.")
