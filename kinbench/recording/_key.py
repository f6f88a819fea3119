"""The name of a recording, and where each of its sensors sits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that puts ``trial2`` before ``trial10``."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", text))


@dataclass(frozen=True)
class Key:
    """The name of a recording: short ASCII identifiers that print as a path and sort naturally."""

    dataset: str
    subject: str
    session: str
    trial: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.subject}/{self.session}/{self.trial}"

    def __lt__(self, other: Key) -> bool:
        return self.sort_key < other.sort_key

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """The natural order of recordings: by dataset, subject, session, trial."""
        return tuple(natural(part) for part in (self.dataset, self.subject, self.session, self.trial))

    @property
    def person(self) -> str:
        """The person as ``dataset/subject``, where no alias says otherwise."""
        return f"{self.dataset}/{self.subject}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Return the key that prints as ``text``; raises ``ValueError`` unless it has four parts."""
        dataset, subject, session, trial = text.split("/")
        return cls(dataset, subject, session, trial)


@dataclass(frozen=True)
class Placement:
    """Where one sensor sits and how it is turned.

    ``rotation`` (3, 3) maps sensor axes to segment axes: ``v_segment = rotation @ v_sensor``. ``None`` is unknown.
    """

    sensor: str
    segment: str
    side: str
    site: str = "unknown"
    level: str = "unknown"
    rotation: FloatArray | None = None
    rotation_origin: str = "unknown"
    attachment: str = "unknown"
    origin: str = "measured"
    device: str = "unknown"
    clock_offset_s: float = 0.0
