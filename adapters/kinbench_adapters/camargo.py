"""Camargo et al. (2021): 22 people on treadmill, level ground, ramps and stairs; four sensors and OpenSim angles.

The files are MATLAB ``table`` objects, ``<AB>/<MM_DD_YY>/<mode>/<what>/<trial>.mat``, which only the package mat-io
reads. Four sensors were worn, on the trunk and the right leg. The reference is OpenSim's inverse kinematics of optical
markers, on the sensors' clock.

UNTESTED ON THE REAL DOWNLOAD (22 GB): built from the dataset's paper and from what its users wrote of the files, and
tested on folders fabricated in their layout, whose tables mat-io itself wrote; of tables that MATLAB wrote, only those
of mat-io's own tests were read. What those sources leave open or disagree on is measured on every recording (the unit
and the axis of gravity, the knee's sign), and refused or flagged where it does not fit.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from kinbench.contracts import DatasetCard, Expected, RawDataset, RawTree, Source
from kinbench.errors import UsageError
from kinbench_adapters._camargo.recording import ANGLES, Settings, load
from kinbench_adapters._camargo.trials import find_trials

_PARTS = {"AB06 to AB14": "fcgm3chfff", "AB15 to AB25": "k9kvm5tn3f", "AB27, AB28, AB30": "jj3r5f9pnf"}


class CamargoAdapter:
    """Reads the dataset's folders; see the module.

    ``angles`` is which of the two published sets of joint angles is the reference: ``ik`` as OpenSim found them, or
    ``ik_offset`` with the authors' offsets taken off. A store holds one of them, and its recordings say which.
    """

    version: ClassVar[str] = "1"
    card: ClassVar[DatasetCard] = DatasetCard(
        name="camargo",
        title="Lower limb biomechanics in stairs, ramps and level ground (EPIC Lab)",
        version="Mendeley Data fcgm3chfff, k9kvm5tn3f, jj3r5f9pnf",
        description=(
            "22 able-bodied adults on a treadmill, level ground, six ramps and four stairs, with transitions; sensors "
            "at 200 Hz on trunk and right thigh, shank and foot (none on the left leg or the pelvis); OpenSim inverse "
            "kinematics of optical markers at 200 Hz. This adapter has not been tried on the real download."
        ),
        licence="CC-BY-4.0",
        redistributable=True,
        access="Open, no login: three parts on Mendeley Data (22 GB); 'kinbench data camargo' says which.",
        citation=(
            "Camargo J, Ramanathan A, Flanagan W, Young A. A comprehensive, open-source dataset of lower limb "
            "biomechanics in multiple conditions of stairs, ramps, and level-ground ambulation and transitions. "
            "Journal of Biomechanics 119:110320 (2021). doi:10.1016/j.jbiomech.2021.110320"
        ),
        url="https://doi.org/10.17632/fcgm3chfff",
        persons=22,
        sensors="trunk, right thigh, right shank, right foot",
        tier="optical_marker_ik",
    )
    tree: ClassVar[RawTree] = RawTree(
        expected=(
            Expected("sensors, one file a trial", ("**/imu/*.mat",)),
            Expected("joint angles, one file a trial", ("**/ik/*.mat", "**/ik_offset/*.mat")),
            Expected("what was done when", ("**/conditions/*.mat",), required=False),
            Expected("gait cycles of the right leg", ("**/gcRight/*.mat",), required=False),
            Expected("who the people are", ("**/SubjectInfo.mat",), required=False),
        ),
        steps=(
            *(f"Open https://doi.org/10.17632/{part} (no account; CC BY 4.0, cite the paper) for {people}."
              for people, part in _PARTS.items()),
            "Unpack all of them below one folder, so that it holds AB06/10_09_18/treadmill/imu and so on, with "
            "SubjectInfo.mat beside the people. Of each mode only imu, ik (or ik_offset), conditions and gcRight are "
            "used.",
            "pip install 'kinbench[camargo]', then 'kinbench convert camargo FOLDER'.",
        ),
    )  # fmt: skip

    def __init__(self, angles: str = "ik") -> None:
        if angles not in ANGLES:
            raise UsageError(f"adapter 'camargo': angles must be one of {', '.join(ANGLES)}, and is '{angles}'.")
        self._settings = Settings(angles)

    def find(self, raw: Path) -> RawDataset:
        """Return the trials below ``raw``, in natural order; reads directories, and no file.

        Raises ``UsageError`` when the folder is absent, ``DataError`` when it holds no trial, or one twice.
        """
        if not raw.is_dir():
            raise UsageError(f"Expected a folder with the dataset's people, found none at '{raw}'; check the path.")
        trials = find_trials(raw.resolve(), self.card.name, self._settings.angles)
        sources = [
            Source(trial.key, trial.paths, partial(load, trial, self._settings, self.card, self.version))
            for trial in trials
        ]
        return RawDataset(self.card, tuple(sources))
