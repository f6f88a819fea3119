"""The OpenSense validation study (Al Borno et al. 2022), and any folder of MTw exports with an OpenSim sensor mapping.

Three layouts are known: the study's own ``SubjectNN/<trial>/{IMU,Mocap}``, its re-release (MAJIC) with ``imu data/``
and ``<trial>.trc``, and a plain folder with a mapping XML and the exports beside it or in ``IMUData/`` (OpenSim's own
example). Inputs are Xsens MTw signals. The reference is OpenSim's inverse kinematics of optical markers with the
Rajagopal 2015 model; where there is none, the orientations of the marker plates that the sensors rode on. The two
were not synchronised by hardware: the shift is to be estimated.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import ClassVar

from kinbench import schema
from kinbench.contracts import DatasetCard, RawDataset, RawTree, Source
from kinbench.errors import UsageError
from kinbench_adapters._opensense.inventory import STUDY_PAGE, TREE
from kinbench_adapters._opensense.recording import load
from kinbench_adapters._opensense.trials import find_trials

SIMULATED = "SIMULATED.json"
"""A file of this name at the root marks a folder as simulated: {"simulation": true, "name", "version", "seed"}."""


class OpenSenseAdapter:
    """Reads the OpenSense study's folders; see the module for the layouts."""

    version: ClassVar[str] = "2"
    tree: ClassVar[RawTree] = TREE
    card: ClassVar[DatasetCard] = DatasetCard(
        name="opensense",
        title="OpenSense validation data",
        version="study 20",
        description=(
            "11 people, walking and a sequence of lower-limb tasks of 10 minutes each; 8 Xsens MTw on trunk, pelvis, "
            "thighs, shanks and feet at 100 Hz (two people 40 Hz); joint angles by OpenSim inverse kinematics of "
            "optical markers (Rajagopal 2015), or marker plates on the sensors, at 100 Hz, not synchronised with them. "
            "This adapter has not been tried on the full download."
        ),
        licence="unconfirmed",
        redistributable=False,
        access=(
            "By hand: download study20-latest.tar.gz (5.5 GB) from SimTK's DataShare, accept its terms there, and "
            "unpack it; 'kinbench data opensense' shows the tree."
        ),
        citation=(
            "Al Borno M, O'Day J, et al. OpenSense: An open-source toolbox for inertial-measurement-unit-based "
            "measurement of lower extremity kinematics over long durations. J NeuroEng Rehabil 19:22 (2022). "
            "doi:10.1186/s12984-022-01001-x"
        ),
        url=STUDY_PAGE,
        persons=11,
        sensors="8 Xsens MTw Awinda on straps: trunk, pelvis, both thighs, shanks and feet",
        tier="optical_marker_ik",
    )

    def find(self, raw: Path) -> RawDataset:
        """Return the trials below ``raw``, in natural order; opens the mapping XMLs and no signals.

        A trial whose mapping XML is missing is a source as well, one that fails alone with the reason.

        Raises ``UsageError`` when the folder is absent or its ``SIMULATED.json`` is wrong, ``DataError`` when it
        holds no trial of a known layout or two trials would have one name.
        """
        if not raw.is_dir():
            raise UsageError(f"Expected a folder with OpenSense recordings, found none at '{raw}'; check the path.")
        raw = raw.resolve()
        card = _card(raw, self.card)
        trials, unmapped = find_trials(raw, card.name)
        sources = [Source(trial.key, trial.paths, partial(load, trial, card, self.version)) for trial in trials]
        sources += [Source(trial.key, trial.paths, trial.refuse) for trial in unmapped]
        return RawDataset(card, tuple(sorted(sources, key=lambda source: source.key)))


def _card(raw: Path, study: DatasetCard) -> DatasetCard:
    """Return the study's card, or the simulation's where the folder says that it is one."""
    path = raw / SIMULATED
    if not path.exists():
        return study
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: expected JSON: {error}.") from error
    if not isinstance(told, dict) or told.get("simulation") is not True:
        raise UsageError(f'{path}: expected {{"simulation": true, "name": ..., "version": ..., "seed": ...}}.')
    name = str(told.get("name", ""))
    if not schema.IDENTIFIER.fullmatch(name):
        raise UsageError(f"{path}: expected 'name' of letters, digits and . _ + -, found '{name}'.")
    return DatasetCard(
        name=name,
        title=f"Simulated cohort '{name}'",
        version=f"{told.get('version', 'unknown')} (seed {told.get('seed', 'unknown')})",
        description="A simulation in the OpenSense study's layout. Nobody was measured.",
        licence="none (simulated)",
        redistributable=True,
        access="Written by a demo.",
        citation="",
        simulation=True,
    )
