"""What is done in a sequence, where its file's name follows a rule of its subset that can mean nothing else."""

from __future__ import annotations

import re

RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "ACCAD": ((r"A1_?-_?Stand", "standing"), (r"B\d+_-_walk\d*", "walking")),
    "BMLrub": (
        (r"\d{4}_treadmill_(norm|slow|fast)", "walking_treadmill"), (r"\d{4}_treadmill_jog", "running_treadmill"),
        (r"\d{4}_normal_walk\d*", "walking"), (r"\d{4}_normal_jog\d*", "running"),
    ),
    "HumanEva": ((r"Walking_\d+", "walking"),),
    "KIT": (
        (r"walking_(slow|medium|fast)\d+", "walking"), (r"WalkingStraightForwards\d+", "walking"),
        (r"walking_run\d+", "running"), (r"(up|down)stairs\d+", "stairs"),
    ),
    "SFU": ((r"\d{4}_Walking\d+", "walking"),),
    "TotalCapture": ((r"walking\d+", "walking"),),
}  # fmt: skip
"""Per subset: the whole name of a motion, and our word for it. A name that begins or ends like one is none."""


def activity_of(subset: str, motion: str) -> str:
    """Return the activity of ``schema.ACTIVITIES`` that a motion's name stands for, ``unknown`` where no rule fits."""
    name = re.sub(r"\s", "_", motion)  # SMPL-X archives write underscores where SMPL+H ones have spaces
    for pattern, activity in RULES.get(subset, ()):
        if re.fullmatch(pattern, name, re.IGNORECASE):
            return activity
    return "unknown"
