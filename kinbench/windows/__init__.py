"""Spans of time to batches: resampling and slicing, the only lossy step (protocols 1, Resampling, Gaps)."""

from kinbench.windows.applicability import applicable, input_legs
from kinbench.windows.batches import Batches, TaskSpec, Unlabelled, concatenate
from kinbench.windows.copies import Copy, find_copies
from kinbench.windows.derivation import Inputs, LegInputs, derive_inputs
from kinbench.windows.fingerprints import Samples, samples_of
from kinbench.windows.inputs import StoreInputs, inputs, pool
from kinbench.windows.preparation import Recordings, prepare, task_digest
from kinbench.windows.sketches import sketch_of, sketches
from kinbench.windows.streams import Stream, answered, stream_of
from kinbench.windows.taskdata import Piece, Stretch, TaskData, TestWindows, cover

__all__ = [
    "Batches", "Copy", "Inputs", "LegInputs", "Piece", "Recordings", "Samples", "StoreInputs", "Stream", "Stretch",
    "TaskData", "TaskSpec", "TestWindows", "Unlabelled", "answered", "applicable", "concatenate", "cover",
    "derive_inputs", "find_copies", "input_legs", "inputs", "pool", "prepare", "samples_of", "sketch_of", "sketches",
    "stream_of", "task_digest",
]  # fmt: skip
