"""MoVi (Ghorbani et al. 2021): 90 people, 20 daily motions and one of their own, an inertial suit and cameras.

The suit's file ``imu_Subject_<N>.mat`` holds the rounds S1 and S2, which the cameras saw too
(``S1_v3d_Subject_<N>.mat``, ``S2_...``, segments by Visual3D), and I1 and I2, which they did not: those are kept
without a reference. Round F (``F_v3d_Subject_<N>.mat``) has cameras and no suit.

UNTESTED ON THE REAL DOWNLOAD, which asks for an agreement: built from the dataset's paper and from what its users wrote
of the files, and tested on folders fabricated in their layout. What those sources leave open is measured on every
recording, and refused or flagged where it does not fit (see ``_movi.conventions`` and ``_movi.rest``).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from kinbench.contracts import DatasetCard, Expected, RawDataset, RawTree, Source
from kinbench.errors import DataError, UsageError
from kinbench_adapters._formats.arrays import mat_fields
from kinbench_adapters._movi.mounts import TRUNK
from kinbench_adapters._movi.recording import Settings, load
from kinbench_adapters._movi.rounds import find_rounds

COMPAT = ("tan2024",)


def _damage(path: Path) -> str | None:
    """Return what is wrong with a ``.mat`` as far as its beginning tells, None where nothing is."""
    try:
        fields = mat_fields(path)
    except DataError as error:
        return "; ".join(error.problems)
    return None if fields else "holds no variable"


class MoviAdapter:
    """Reads MoVi's folders; see the module.

    ``trunk`` (``spine1``, ``spine3``) is the spine entry taken for the trunk's sensor. The suit has one sensor there
    and four entries, and users disagree: the default is the uppermost, from which shoulders and neck go out, since a
    measured end of the chain needs no extrapolation; every recording says which entries its numbers show to be
    computed, and is flagged where the one taken is. ``virtual`` adds round F with virtual sensors at the suit's sites.
    ``compat='tan2024'`` leaves accelerations in g as Tan et al. (2024) did; their ``kind`` says so.
    """

    version: ClassVar[str] = "1"
    card: ClassVar[DatasetCard] = DatasetCard(
        name="movi",
        title="MoVi: a large multipurpose motion and video dataset",
        version="1.0",
        description=(
            "90 people (60 women, 30 men), 20 daily motions and one of their own; a 17-sensor suit at 120 Hz in the "
            "rounds S1, S2, I1, I2; optical segments (Visual3D) at 120 Hz in S1, S2 and F. Rounds I1 and I2 have no "
            "reference. This adapter has not been tried on the real download."
        ),
        licence="MoVi terms: non-commercial scientific research only, no redistribution",
        redistributable=False,
        access=(
            "By hand from Borealis (doi:10.5683/SP2/JRHDRN), after accepting its terms; 'kinbench data movi' says "
            "which files and where they go."
        ),
        citation=(
            "Ghorbani S, Mahdaviani K, Thaler A, Kording K, Cook DJ, Blohm G, Troje NF. MoVi: A large multi-purpose "
            "human motion and video dataset. PLoS ONE 16(6): e0253157 (2021). doi:10.1371/journal.pone.0253157"
        ),
        url="https://doi.org/10.5683/SP2/JRHDRN",
        persons=90,
        sensors="Noitom Perception Neuron suit: trunk, pelvis, thighs, shanks and feet used of 17",
        tier="optical_6dof",
    )
    tree: ClassVar[RawTree] = RawTree(
        expected=(
            Expected("the suit, one file a person", ("**/imu_Subject_*.mat",), check=_damage),
            Expected("the cameras' rounds S1 and S2", ("**/S[12]_v3d_Subject_*.mat",), required=False, check=_damage),
            Expected("round F, for virtual sensors", ("**/F_v3d_Subject_*.mat",), required=False, check=_damage),
        ),
        steps=(
            "Open https://doi.org/10.5683/SP2/JRHDRN (Borealis), sign in or go on as a guest, and accept the terms: "
            "non-commercial scientific research, no redistribution.",
            "Download the archive of the suit's MATLAB files (the one whose files are called imu_Subject_<N>.mat; not "
            "the BVH ones) and S_V3D.tar. For virtual sensors also F_Subjects_1_45.tar and F_Subjects_46_90.tar. "
            "Videos, camera parameters and the AMASS archive are not used.",
            "Unpack all of them below one folder; its sub-folders may have any names. A person may lack a round.",
            "Run 'kinbench convert movi FOLDER'.",
        ),
    )

    def __init__(self, trunk: str = "spine3", virtual: bool = False, compat: str | None = None) -> None:
        if trunk not in TRUNK:
            raise ValueError(f"trunk must be one of {', '.join(TRUNK)}, and is {trunk!r}")
        if not isinstance(virtual, bool):
            raise ValueError(f"virtual must be true or false, and is {virtual!r}")
        if compat is not None and compat not in COMPAT:
            raise ValueError(f"compat must be one of {', '.join(COMPAT)}, and is {compat!r}")
        self._settings = Settings(trunk, virtual, compat)

    def find(self, raw: Path) -> RawDataset:
        """Return the rounds below ``raw``, in natural order; reads file names and the names of the suit's fields.

        A suit file that cannot be read is a source as well, one that fails alone with the reason.

        Raises ``UsageError`` when the folder is absent, ``DataError`` when it holds no round or one file twice.
        """
        if not raw.is_dir():
            raise UsageError(f"Expected a folder with MoVi's files, found none at '{raw}'; check the path.")
        rounds, unreadable = find_rounds(raw.resolve(), self.card.name, full=self._settings.virtual)
        sources = [
            Source(found.key, found.paths, partial(load, found, self._settings, self.card, self.version))
            for found in rounds
        ]
        sources += [Source(file.key, (file.path,), file.refuse) for file in unreadable]
        return RawDataset(self.card, tuple(sorted(sources, key=lambda source: source.key)))
