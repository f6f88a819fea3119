"""Who a subject folder stands for: the same human being under several folders, subsets and datasets.

Every row is one rule with its evidence. What no row knows is one person per folder, and the recording says that nobody
has looked whether that person recurs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Folders of ``subsets`` that match ``folder`` whole are ``person``, a template of the pattern's groups."""

    subsets: tuple[str, ...]
    folder: str
    person: str
    evidence: str


@dataclass(frozen=True)
class Identity:
    """The ``person`` of a subject folder, what that rests on, and whether the same human may have other names here."""

    person: str
    evidence: str
    may_recur: bool = False


RULES: tuple[Rule, ...] = (
    Rule(
        ("BMLmovi",), r"Subject_(\d+)(?:_F)?(?:_MoSh)?", r"movi/Subject_\1",
        "BMLmovi is round F of MoVi, under MoVi's own subject numbers (Ghorbani et al. 2021; the MoVi toolbox names "
        "the same fits F_amass_Subject_<N>)",
    ),
    Rule(
        ("DFaust", "MoSh"), r"(5\d{4})", r"amass/MPI_\1",
        "five-digit participant numbers of one institute, 50002 and others in both subsets (Loper et al. 2014, MoSh; "
        "Bogo et al. 2017, DFAUST)",
    ),
    Rule(
        ("ACCAD",), r"(Female\d+|Male\d+)[A-Za-z]+_c3d", r"amass/ACCAD_\1",
        "ACCAD sorts one performer's takes into several folders, each named after the performer and the kind of motion",
    ),
    Rule(
        ("DanceDB",), r"\d{8}_([A-Za-z]+)", r"amass/DanceDB_\1",
        "folders are named by date and performer; the same name on two dates is the same performer",
    ),
)  # fmt: skip

NOT_PERSONS: dict[str, str] = {
    "CMU": "the CMU database says that one person may have several subject numbers, and not which",
    "TCDHands": "its folders are sessions of an experiment, not people",
}
"""Subsets whose folders do not stand for one person each, and why."""


def identify(subset: str, folder: str) -> Identity:
    """Return whose the sequences of a subject ``folder`` of a ``subset`` (its canonical name) are."""
    for rule in RULES:
        match = re.fullmatch(rule.folder, folder) if subset in rule.subsets else None
        if match is not None:
            return Identity(match.expand(rule.person), rule.evidence)
    person = f"amass/{subset}_{folder}"
    if subset in NOT_PERSONS:
        return Identity(person, NOT_PERSONS[subset], may_recur=True)
    return Identity(person, "the folder's name; whether this person recurs under another is not known")
