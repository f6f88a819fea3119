"""Angles for people who only want angles: a model fitted on all there is, kept, and put to use on any recording.

A weights folder holds ``card.json`` (what was fitted, on whom, for which task) and ``model/``, what the model itself
wrote. A store that angles are wanted of needs no reference.
"""

from kinbench.prediction.estimation import Angles, estimate
from kinbench.prediction.predicting import FORMATS, Estimated, Prediction, predict
from kinbench.prediction.training import train
from kinbench.prediction.weights import Weights, open_weights

__all__ = [
    "FORMATS", "Angles", "Estimated", "Prediction", "Weights", "estimate", "open_weights", "predict", "train",
]  # fmt: skip
