"""Which sequences a folder holds, under every spelling of AMASS's folders. Opens no file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kinbench.errors import DataError
from kinbench.recording import Key

LAYOUT = (
    "expected <SUBSET>/<subject>/<motion>_poses.npz (SMPL+H) or <SUBSET>/<subject>/<motion>_stageii.npz (SMPL-X), at "
    "any depth below this folder"
)

SUBSETS: dict[str, tuple[str, ...]] = {
    "ACCAD": (), "BMLhandball": (), "BMLmovi": (), "BMLrub": ("BioMotionLab_NTroje",), "CMU": (), "CNRS": (),
    "DFaust": ("DFaust_67",), "DanceDB": (), "EKUT": (), "EyesJapanDataset": ("Eyes_Japan_Dataset",), "GRAB": (),
    "HDM05": ("MPI_HDM05",), "HUMAN4D": (), "HumanEva": (), "KIT": (), "MoSh": ("MPI_mosh",),
    "PosePrior": ("MPI_Limits",), "SFU": (), "SOMA": (), "SSM": ("SSM_synced",), "TCDHands": ("TCD_handMocap",),
    "TotalCapture": (), "Transitions": ("Transitions_mocap",), "WEIZMANN": (),
}  # fmt: skip
"""The subsets' names on AMASS's page today, and what their folders were called before."""

SUFFIXES = {"_poses": "smplh", "_stageii": "smplx"}
"""How the name of a file with poses ends (before .npz), and of which body model it then is."""

SHAPES = re.compile(r"shape|(.*_)?stagei", re.IGNORECASE)
"""Names (without .npz) of files that hold a person's shape and no motion."""

MOTION_LENGTH = 60
"""How much of a motion's name goes into its key, so that a variant's suffix still fits."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_CANONICAL = {_plain(name): subset for subset, old in SUBSETS.items() for name in (subset, *old)}


@dataclass(frozen=True)
class Sequence:
    """One file with poses, before it is opened. ``subset`` is canonical where ``known``, else the folder's name."""

    path: Path
    name: str
    subset: str
    known: bool
    subject: str
    motion: str
    flavour: str

    def key(self, dataset: str, variant: int = 0) -> Key:
        """Return the recording's name; variants of one sequence are recordings of one person."""
        trial = _identifier(self.motion)[:MOTION_LENGTH] + (f"-o{variant}" if variant else "")
        return Key(dataset, _identifier(f"{self.subset}-{self.subject}"), "1", trial)


@dataclass(frozen=True)
class Inventory:
    """What lies below a folder: sequences in natural order of their keys, and how many files hold shapes only."""

    sequences: tuple[Sequence, ...]
    shapes: int


def take_inventory(raw: Path, dataset: str, flavour: str = "any") -> Inventory:
    """Return what is below ``raw``; ``flavour`` is ``any``, ``smplh`` or ``smplx``.

    Raises ``DataError`` when there is no sequence of that flavour, or two files would be one recording.
    """
    files = sorted(raw.rglob("*.npz"))
    found = [_sequence(raw, path, suffix) for path in files for suffix in SUFFIXES if path.stem.endswith(suffix)]
    chosen = [sequence for sequence in found if flavour in ("any", sequence.flavour)]
    shapes = sum(SHAPES.fullmatch(path.stem) is not None for path in files)
    if not chosen:
        raise DataError(_nothing(found, shapes, flavour), where=raw)
    _refuse_twins(chosen, raw, dataset)
    return Inventory(tuple(sorted(chosen, key=lambda sequence: sequence.key(dataset))), shapes)


def _nothing(found: Iterable[Sequence], shapes: int, flavour: str) -> str:
    other = sum(1 for _ in found)
    if other:
        return f"Found {other} sequences, none of flavour '{flavour}'; leave the setting flavour out to take them."
    beside = f", and only {shapes} files of body shapes, which hold no motion" if shapes else ""
    return f"Found no AMASS sequence{beside}; {LAYOUT}."


def _sequence(raw: Path, path: Path, suffix: str) -> Sequence:
    """Return what a file's place says of it. The innermost folder that is called like a subset is the subset."""
    above = max(0, len(raw.parts) - 2)  # raw may itself be a subset's folder, or that of one of its people
    folders = path.parent.parts[above:]
    places = [index for index, folder in enumerate(folders) if _plain(folder) in _CANONICAL]
    name, flavour, motion = path.relative_to(raw).as_posix(), SUFFIXES[suffix], path.stem.removesuffix(suffix)
    if places:
        subject = "-".join(folders[places[-1] + 1 :]) or "unknown"
        return Sequence(path, name, _CANONICAL[_plain(folders[places[-1]])], True, subject, motion, flavour)
    subset = _identifier(folders[-2]) if len(folders) > 1 else "unknown"
    return Sequence(path, name, subset, False, folders[-1], motion, flavour)


def _refuse_twins(sequences: Iterable[Sequence], raw: Path, dataset: str) -> None:
    first: dict[Key, Sequence] = {}
    problems = []
    for sequence in sequences:
        twin = first.setdefault(sequence.key(dataset), sequence)
        if twin is not sequence:
            mend = "keep one"
            if twin.flavour != sequence.flavour:
                mend += ", or give the setting flavour=smplh or flavour=smplx"
            problems.append(f"'{twin.name}' and '{sequence.name}' would both be '{sequence.key(dataset)}'; {mend}.")
    if problems:
        more = [f"... and {len(problems) - 5} more pairs."] if len(problems) > 5 else []
        raise DataError(problems[:5] + more, where=raw)


def _identifier(text: str) -> str:
    """Return a short identifier; SMPL-X archives write underscores where SMPL+H ones have spaces."""
    joined = re.sub(r"\s", "_", text)
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", joined).strip("._+-")[:64] or "unknown"
