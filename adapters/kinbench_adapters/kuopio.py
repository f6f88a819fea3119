"""The Kuopio gait dataset (Lavikainen et al. 2024): 51 healthy adults walking over ground, cameras and Xsens MTw.

Read are ``NN/mocap/<l|r>_<slow|comf|fast>_<k>.c3d`` (markers at 100 Hz) with ``NN/imu_extracted/data_<trial>.mat``
(sensors at 100 Hz). The reference is the rigid motion of the marker clusters, with functional joint centres. Which
sensor was worn where is told by the dataset's readme.txt, and by a small table that its user makes of it.

UNTESTED ON THE REAL DOWNLOAD (23 GB): built from the dataset's paper and from what its users wrote of the files, and
tested on folders fabricated in their layout. What those sources leave open is measured on every recording (which axis
of the laboratory points up, the unit, which marker is medial), and refused or flagged where it does not fit.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from kinbench.contracts import DatasetCard, Download, Expected, RawDataset, RawTree, Source
from kinbench.errors import DataError, UsageError
from kinbench_adapters._kuopio.people import PEOPLE, read_people
from kinbench_adapters._kuopio.recording import SYNC, Settings, load
from kinbench_adapters._kuopio.trials import find_trials
from kinbench_adapters._kuopio.wearing import PELVIS, TABLE, read_wearing

_PAGE = "https://doi.org/10.5281/zenodo.10559504"
_FILES = "https://zenodo.org/api/records/10559504/files"


def _download(name: str, md5: str) -> Download:
    return Download(name, f"{_FILES}/{name}/content", f"md5:{md5}", 0)


def _bad_people(path: Path) -> str | None:
    try:
        read_people(path)
    except DataError as error:
        return "; ".join(error.problems)
    return None


def _bad_table(path: Path) -> str | None:
    try:
        read_wearing(path)
    except DataError as error:
        return "; ".join(error.problems)
    return None


class KuopioAdapter:
    """Reads the Kuopio dataset's folders; see the module.

    ``sensors`` is the table of who wore which sensor where, by default ``sensors.csv`` in the raw folder: columns
    ``serial`` and ``segment``, and if wanted ``site`` and ``level``. Without one only the pelvis' sensor, B42DA3, is
    known; sensors that nobody placed are left out, by name. ``sync``: ``estimated`` measures the lag of each trial
    (users found 0 or 1 sample) and fails a trial where it cannot be told; ``same_clock`` measures it and leaves it.
    """

    version: ClassVar[str] = "1"
    card: ClassVar[DatasetCard] = DatasetCard(
        name="kuopio",
        title="Kuopio gait dataset",
        version="zenodo 10559504",
        description=(
            "51 healthy adults walking over ground at slow, comfortable and fast speed; Xsens MTw sensors and optical "
            "marker clusters at 100 Hz. Joint angles are computed from the clusters with functional joint centres; "
            "the pelvis is level on average over each trial by construction. No sensors: persons 11, 14, 37, 49. This "
            "adapter has not been tried on the real download."
        ),
        licence="CC-BY-4.0",
        redistributable=True,
        access=f"Open, no login: {_PAGE}; three archives (23 GB), the readme and a table of the people.",
        citation=(
            "Lavikainen J, Vartiainen P, Stenroth L, Karjalainen PA, Korhonen RK, Liukkonen MK, Mononen ME. Gait data "
            "from 51 healthy participants with motion capture, inertial measurement units, and computer vision. Data "
            "in Brief 56:110841 (2024). doi:10.1016/j.dib.2024.110841"
        ),
        url=_PAGE,
        persons=51,
        sensors="Xsens MTw Awinda: the pelvis, and those that the user's sensors.csv places",
        tier="optical_6dof",
    )
    tree: ClassVar[RawTree] = RawTree(
        expected=(
            Expected("markers, one file a trial", ("**/[0-9][0-9]/mocap/[lr]_*.c3d",)),
            Expected("sensors, one file a trial", ("**/[0-9][0-9]/imu_extracted/data_*.mat",), required=False),
            Expected("who the people are", (f"**/{PEOPLE}",), required=False, check=_bad_people),
            Expected(f"your table of serial and segment, from readme.txt ({PELVIS} is known)", (TABLE,),
                     required=False, check=_bad_table),
        ),
        steps=(
            f"Open {_PAGE} (no account; CC BY 4.0, cite the paper), or run 'kinbench data kuopio RAW --download'.",
            "Unpack the three archives below one folder, so that it holds 01/mocap, 01/imu_extracted and so on; put "
            f"{PEOPLE} beside them.",
            f"Write {TABLE} there from what readme.txt says of the sensors: a line 'serial,segment', then a line a "
            f"sensor, such as '{PELVIS},pelvis'. Segments: trunk, pelvis, thigh_r, shank_r, foot_r and the left ones.",
            "pip install 'kinbench[c3d]', then 'kinbench convert kuopio FOLDER'.",
        ),
        downloads=(
            _download("readme.txt", "347ea503f7a19dd6b4f994b083cee6c3"),
            _download(PEOPLE, "013c2dc43224098bdd9ed94885146e50"),
            _download("measurement_data_1_to_17.zip", "edab84684570169b3f0d239b2d9fa629"),
            _download("measurement_data_18_to_34.zip", "8728c009f535d6198a03e853acc21d21"),
            _download("measurement_data_35_to_51.zip", "200c10674354ce2d052b14816f93f408"),
        ),
    )  # fmt: skip

    def __init__(self, sensors: str | None = None, sync: str = "estimated") -> None:
        if sync not in SYNC:
            raise UsageError(f"adapter 'kuopio': sync must be one of {', '.join(SYNC)}, and is '{sync}'.")
        if sensors is not None and not isinstance(sensors, str):
            raise UsageError(f"adapter 'kuopio': sensors must be the path of a table, and is '{sensors}'.")
        self._table = None if sensors is None else Path(sensors)
        self._sync = sync

    def find(self, raw: Path) -> RawDataset:
        """Return the trials below ``raw``, in natural order; reads directories and the two tables, and no signals.

        Raises ``UsageError`` when the folder or the table asked for is absent, ``DataError`` when the folder holds no
        trial, a trial comes twice, or a table is damaged.
        """
        if not raw.is_dir():
            raise UsageError(f"Expected a folder with the Kuopio dataset, found none at '{raw}'; check the path.")
        raw = raw.resolve()
        if self._table is not None and not self._table.is_file():
            raise UsageError(f"Expected a table of the sensors at '{self._table}', found none; check 'sensors'.")
        trials = find_trials(raw, self.card.name)
        settings = Settings(read_wearing(self._table or raw / TABLE), self._sync)
        table = next(iter(sorted(raw.rglob(PEOPLE))), None)
        people = {} if table is None else read_people(table)
        sources = [
            Source(trial.key, trial.paths, partial(load, trial, settings, people, self.card, self.version))
            for trial in trials
        ]
        return RawDataset(self.card, tuple(sources))
