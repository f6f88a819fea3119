"""Spans of time to batches: resampling and slicing, the only lossy step (protocols 1, Resampling, Gaps)."""

from kinbench.windows.applicability import applicable
from kinbench.windows.batches import Batches, TaskSpec, concatenate
from kinbench.windows.fingerprints import Samples, samples_of
from kinbench.windows.preparation import Recordings, prepare, task_digest
from kinbench.windows.taskdata import Piece, TaskData, TestWindows

__all__ = [
    "Batches", "Piece", "Recordings", "Samples", "TaskData", "TaskSpec", "TestWindows", "applicable", "concatenate",
    "prepare", "samples_of", "task_digest",
]  # fmt: skip
