"""What was done when: the round's own list of motions, in its own order, under one spelling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from kinbench_adapters._formats.arrays import Tree
from kinbench_adapters._movi.suit import RATE_HZ

_SPELLINGS = {
    "jumping_jack": "jumping_jacks", "jumpingjacks": "jumping_jacks", "crossarms": "cross_arms",
    "crossed_arms": "cross_arms", "crossing_arms": "cross_arms", "throwing_catching": "throw_catch",
    "throw_and_catch": "throw_catch", "cross_legged_sitting": "sitting_cross_legged",
    "crossed_legged_sitting": "sitting_cross_legged", "cross_leg_sitting": "sitting_cross_legged",
    "vertical_jump": "vertical_jumping", "check_watch": "checking_watch", "take_photo": "taking_photo",
    "phone_talk": "phone_talking", "run_in_spot": "running_in_spot", "sit_down": "sitting_down",
    "clapping_hands": "hand_clapping", "waving_hands": "hand_waving", "scratch_head": "scratching_head",
}  # fmt: skip
_RANDOM = "_rm"
"""The motion that each person chose."""


def motion_name(written: str) -> tuple[str, bool]:
    """Return one spelling of a motion's name, and whether it was the person's own choice."""
    plain = re.sub(r"[^a-z0-9]+", "_", written.strip().lower()).strip("_")
    chosen = plain.endswith(_RANDOM)
    plain = plain.removesuffix(_RANDOM)
    return _SPELLINGS.get(plain, plain), chosen


def motions(move: Mapping[str, Tree], samples: int) -> tuple[list[dict[str, Any]], str | None]:
    """Return the motions of a round, and why there are none, or fewer than are listed.

    ``flags120`` (k, 2) are frames counted from 1, both included; here ``start_s`` to ``stop_s`` (excluded), on the
    cameras' own clock. Flags that leave the round belong to another performance: then none of them is believed.
    """
    flags = move.get("flags120")
    if "motions_list" not in move or not isinstance(flags, np.ndarray) or not flags.size:
        return [], "the round's file marks no motions"
    listed = move["motions_list"]
    names = [item for item in listed if isinstance(item, str)] if isinstance(listed, tuple) else []
    if flags.ndim != 2 or flags.shape != (len(names), 2):
        return [], f"the round's file lists {len(names)} motions and marks {' x '.join(map(str, flags.shape))} frames"
    known = np.isfinite(flags).all(axis=1) & (flags > 0).all(axis=1)
    marked = flags[known]
    if (marked[:, 1] < marked[:, 0]).any() or (marked > samples).any():
        return [], (
            f"the marks reach frame {marked.max():.0f} of {samples}, or end before they begin: they are of another "
            "performance"
        )
    found = [_motion(names[index], flags[index]) for index in np.flatnonzero(known)]
    return found, None if known.all() else f"{int((~known).sum())} of {len(names)} motions are not marked"


def _motion(written: str, flags: Any) -> dict[str, Any]:
    name, chosen = motion_name(written)
    first, last = float(flags[0]), float(flags[1])
    return {
        "name": name, "as_written": written, "own_choice": chosen,
        "start_s": round((first - 1) / RATE_HZ, 6), "stop_s": round(last / RATE_HZ, 6),
    }  # fmt: skip
