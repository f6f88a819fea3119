"""Blocks, folds and the leak check: who may be learnt from, who is scored, and proof that the two never meet."""

from kinbench.protocol.answers import check_answers
from kinbench.protocol.causality import check_causal
from kinbench.protocol.folds import (
    FIT_ROLES,
    INPUT_ROLES,
    LEAKS,
    RESERVED,
    ROLES,
    SEEN_ROLES,
    Fold,
    Leak,
    ProtocolCard,
    Role,
    fit_digest,
    fold_digest,
    recordings_of,
)
from kinbench.protocol.identities import cautions
from kinbench.protocol.leaks import Seen, Transform, check_leaks
from kinbench.protocol.soundness import flaws
from kinbench.protocol.splits import SplitManifest, deal, read_manifest, write_manifest
from kinbench.protocol.timelines import BLOCKS, blocks, cut, embargo, length, part, timelines, windows_in

__all__ = [
    "BLOCKS", "FIT_ROLES", "INPUT_ROLES", "LEAKS", "RESERVED", "ROLES", "SEEN_ROLES", "Fold", "Leak",
    "ProtocolCard", "Role", "Seen",
    "SplitManifest", "Transform", "blocks", "cautions", "check_answers", "check_causal", "check_leaks", "cut", "deal",
    "embargo", "fit_digest", "flaws", "fold_digest", "length", "part", "read_manifest", "recordings_of", "timelines",
    "windows_in", "write_manifest",
]  # fmt: skip
