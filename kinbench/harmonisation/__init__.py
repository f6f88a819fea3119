"""What is done to recorded numbers, each deed a pure function that leaves a step in ``history``.

``harmonise`` turns declared units, axes, orders and signs into the schema's, and conversion does no more than that. The
other steps are on request: ``resample``, ``remove_spikes``, ``smooth_savgol``, ``equalise_noise``,
``straight_walking``, ``label_activities``. Each takes a recording in schema form and returns another; what it was
asked, and what it found, stands in the step, so that the history run again gives the same bytes. No step joins what a
gap or a mask parts.
"""

from kinbench.harmonisation._activities import LABELS, label_activities
from kinbench.harmonisation._cleaning import remove_spikes, smooth_savgol
from kinbench.harmonisation._declared import UNITS, WORLD, harmonise
from kinbench.harmonisation._noise import equalise_noise
from kinbench.harmonisation._resampling import resample
from kinbench.harmonisation._straight import straight_walking

__all__ = [
    "LABELS",
    "UNITS",
    "WORLD",
    "equalise_noise",
    "harmonise",
    "label_activities",
    "remove_spikes",
    "resample",
    "smooth_savgol",
    "straight_walking",
]
