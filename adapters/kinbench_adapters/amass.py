"""AMASS (Mahmood et al. 2019): optical motion capture of many archives as SMPL bodies, with virtual sensors on them.

Nobody wore a sensor: angles and angular rates come from the fitted body's joint rotations, accelerations from where its
joints are. Where the joints are needs the person's shape, hence a body model with a licence of its own; without one
the mean of the population stands in, and the recording says so.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from kinbench.contracts import DatasetCard, Expected, RawDataset, RawTree, Source
from kinbench.errors import UsageError
from kinbench_adapters._amass.archives import problem_of
from kinbench_adapters._amass.recording import load
from kinbench_adapters._amass.sequences import take_inventory
from kinbench_adapters._amass.settings import Settings

PAGE = "https://amass.is.tue.mpg.de"


class AmassAdapter:
    """Reads AMASS's folders of ``_poses.npz`` (SMPL+H) and ``_stageii.npz`` (SMPL-X) files.

    ``body_model``: the user's own SMPL+H or SMPL-X ``.npz``, or a folder of them by gender (``female/model.npz``,
    ``SMPLX_FEMALE.npz``); then joints are each person's own. Without it ``height_m`` scales the mean template.
    ``sites``: ``kinbench`` (sternum, sacrum, lateral thighs and shanks, insteps), ``tan``, ``transpose``, ``imuposer``.
    ``zero``: ``rest`` leaves the angles as the file's rotations give them, so that no body's geometry enters them;
    ``anatomical`` takes the proximal axes of thighs and shanks through the joints (about 5 degrees of knee flexion
    and ankle dorsiflexion, and of hip abduction, which the rest pose hides; all are in the history).
    ``minimum_hz``: slower sequences are refused. ``flavour``: ``smplh`` or ``smplx`` where a folder holds both.
    ``orientation_variants``: so many recordings of each sequence with sensors misaligned at random (``seed``); 0 is one
    recording with nominal axes. ``cutoff_hz``: low-pass of the motion, none where not given. ``still``: ``paper`` (0.2
    m s-2) or ``code`` (2 m s-2) masks still windows after Tan et al. 2024, ``keep`` none.
    ``compat=tan2024`` repeats what that paper's code does and its text does not say: legs named the wrong way round,
    misalignments of 0 to 10 degrees instead of +-10. Their whole recipe is
    ``amass[sites=tan,compat=tan2024,orientation_variants=5,cutoff_hz=15,still=code]``.
    """

    version: ClassVar[str] = "1"
    card: ClassVar[DatasetCard] = DatasetCard(
        name="amass",
        title="AMASS: Archive of Motion Capture as Surface Shapes",
        version="SMPL+H G, SMPL-X G, SMPL-X N",
        description=(
            "Optical motion capture of some twenty archives (more than 300 people, 11,000 motions and 40 hours when "
            "it was published), fitted with SMPL+H or SMPL-X bodies (MoSh++): joint rotations, translation and shape "
            "at 60 to 250 Hz. The angles are those of the fitted body, not of a marker-based biomechanical model, and "
            "their zero is the body's rest pose; the sensors are computed."
        ),
        licence="AMASS licence: non-commercial research, no redistribution",
        redistributable=False,
        access=f"By hand: register at {PAGE}, accept the licence, download archives of subsets (SMPL+H G or SMPL-X).",
        citation=(
            "Mahmood N, Ghorbani N, Troje NF, Pons-Moll G, Black MJ. AMASS: Archive of Motion Capture as Surface "
            "Shapes. ICCV 2019, 5442-5451. doi:10.1109/ICCV.2019.00554; and the citation of every subset used, as its "
            "page on the site gives it."
        ),
        url=PAGE,
        persons=None,
        sensors="none worn; computed from the motion",
        tier="body_model_fit",
    )
    tree: ClassVar[RawTree] = RawTree(
        expected=(
            Expected(
                "sequences: SMPL+H <subset>/<subject>/<motion>_poses.npz, or SMPL-X <motion>_stageii.npz",
                ("**/*_poses.npz", "**/*_stageii.npz"), check=problem_of,
            ),
            Expected(
                "body shapes (not read, no motion in them)",
                ("**/shape.npz", "**/*_stagei.npz"), required=False,
            ),
        ),
        steps=(
            f"Create an account at {PAGE}, sign in, and accept the AMASS licence (non-commercial research; neither the "
            "data nor what is made of it may be passed on).",
            "On its Download page choose, for every subset you want, 'SMPL+H G' (gendered; read as it is). 'SMPL-X G' "
            "and 'SMPL-X N' are read too; take one flavour only.",
            "Unpack each archive into one folder, so that it holds <SUBSET>/<subject>/<motion>_poses.npz; a doubled "
            "top folder (CMU/CMU/01/...) and the subsets' old names (BioMotionLab_NTroje) are understood.",
            "For sensor positions of each person's own body (optional): register at https://mano.is.tue.mpg.de, "
            "download 'Extended SMPL+H model' (smplh.tar.xz), unpack it anywhere, and give its folder as "
            "amass[body_model=/path/to/smplh]. For SMPL-X: https://smpl-x.is.tue.mpg.de, the folder with "
            "SMPLX_FEMALE.npz and the others.",
        ),
    )  # fmt: skip

    def __init__(
        self,
        body_model: str | None = None,
        height_m: float | None = None,
        sites: str = "kinbench",
        zero: str = "rest",
        minimum_hz: float = 50.0,
        orientation_variants: int = 0,
        seed: int = 0,
        cutoff_hz: float | None = None,
        still: str = "keep",
        compat: str | None = None,
        flavour: str = "any",
    ) -> None:
        self._settings = Settings(
            body_model=body_model, height_m=height_m, sites=sites, zero=zero, minimum_hz=minimum_hz,
            orientation_variants=orientation_variants, seed=seed, cutoff_hz=cutoff_hz, still=still, compat=compat,
            flavour=flavour,
        )  # fmt: skip

    def find(self, raw: Path) -> RawDataset:
        """Return the sequences below ``raw``, in natural order, each with its variants; opens no file.

        Files of body shapes are no recordings and are passed over. A sequence without a frame rate, or too slow, is a
        source that fails alone with the reason.

        Raises ``UsageError`` when the folder or the body model is absent, ``DataError`` when the folder holds no
        sequence or two files would be one recording.
        """
        if not raw.is_dir():
            raise UsageError(f"Expected a folder with AMASS sequences, found none at '{raw}'; check the path.")
        model = self._settings.body_model
        if model and not Path(model).expanduser().exists():
            raise UsageError(f"adapter 'amass': body_model names '{model}', which is neither a file nor a folder.")
        sequences = take_inventory(raw.resolve(), self.card.name, self._settings.flavour).sequences
        count = self._settings.orientation_variants
        variants = range(1, count + 1) if count else (0,)
        sources = [
            Source(
                sequence.key(self.card.name, variant), (sequence.path,),
                partial(load, sequence, variant, self.card, self.version, self._settings),
            )
            for sequence in sequences
            for variant in variants
        ]  # fmt: skip
        return RawDataset(self.card, tuple(sorted(sources, key=lambda source: source.key)))
