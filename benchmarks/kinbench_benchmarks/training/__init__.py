"""How every network of the benchmark is trained: stages of an optimiser, samplers, validation, one loop, checkpoints.

The same data, settings and seed give the same bytes on the same machine, whether or not the training was interrupted:
one thread, a random state of its own, samplers that can tell and take up where they are, and no clock.
"""

from kinbench_benchmarks.training.devices import check_device, device_of, on_device, quiet_torch
from kinbench_benchmarks.training.loop import Course, train
from kinbench_benchmarks.training.losses import masked_mse
from kinbench_benchmarks.training.published import load_into, read_published, read_saved
from kinbench_benchmarks.training.samplers import Crops, Everything, Sampler, Shuffled, Source
from kinbench_benchmarks.training.stages import Stage
from kinbench_benchmarks.training.validation import Validation
from kinbench_benchmarks.weights import read_weights, write_weights

__all__ = [
    "Course",
    "Crops",
    "Everything",
    "Sampler",
    "Shuffled",
    "Source",
    "Stage",
    "Validation",
    "check_device",
    "device_of",
    "load_into",
    "masked_mse",
    "on_device",
    "quiet_torch",
    "read_published",
    "read_saved",
    "read_weights",
    "train",
    "write_weights",
]
