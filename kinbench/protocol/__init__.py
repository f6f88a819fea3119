"""Blocks, folds and the leak check: who may be learnt from, who is scored, and proof that the two never meet."""

from kinbench.protocol.folds import (
    FIT_ROLES,
    LEAKS,
    ROLES,
    SEEN_ROLES,
    Fold,
    Leak,
    ProtocolCard,
    Role,
    fit_digest,
    fold_digest,
)
from kinbench.protocol.leaks import Transform, check_leaks
from kinbench.protocol.timelines import BLOCKS, blocks, cut, embargo, timelines, windows_in

__all__ = [
    "BLOCKS", "FIT_ROLES", "LEAKS", "ROLES", "SEEN_ROLES", "Fold", "Leak", "ProtocolCard", "Role", "Transform",
    "blocks", "check_leaks", "cut", "embargo", "fit_digest", "fold_digest", "timelines", "windows_in",
]  # fmt: skip
