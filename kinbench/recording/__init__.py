"""One recording: its key, its sensors' placement, the two signal streams, and the index entry without signals.

The same type serves before and after harmonisation. An adapter fills ``declared`` with what it knows of the raw
numbers (units stand in ``attrs["units"]``); ``kinbench.harmonisation`` acts on it and leaves it empty. Nothing else
multiplies or rotates recorded numbers.
"""

from kinbench.recording._declared import Calibration, Declared, Mask, Sync
from kinbench.recording._identities import canonical_person, identities, names_of, not_a_person
from kinbench.recording._index import IndexEntry, SensorEntry, Span, TaskEntry
from kinbench.recording._key import Key, Placement, natural
from kinbench.recording._recording import Recording
from kinbench.recording._streams import (
    angle_dataset,
    imu_dataset,
    labels,
    placements_of,
    segment_dataset,
    with_rotations,
    with_valid,
)
from kinbench.recording._virtual import (
    Body,
    Dynamics,
    Hardware,
    SoftTissue,
    VirtualImu,
    VirtualPlacement,
)

__all__ = [
    "Body",
    "Calibration",
    "Declared",
    "Dynamics",
    "Hardware",
    "IndexEntry",
    "Key",
    "Mask",
    "Placement",
    "Recording",
    "SensorEntry",
    "SoftTissue",
    "Span",
    "Sync",
    "TaskEntry",
    "VirtualImu",
    "VirtualPlacement",
    "angle_dataset",
    "canonical_person",
    "identities",
    "imu_dataset",
    "labels",
    "names_of",
    "natural",
    "not_a_person",
    "placements_of",
    "segment_dataset",
    "with_rotations",
    "with_valid",
]
