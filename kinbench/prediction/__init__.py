"""Angles for people who only want angles: a model fitted on all there is, kept, and put to use on any recording.

A weights folder holds ``card.json`` (what was fitted, on whom, for which task) and ``model/``, what the model itself
wrote. A store that angles are wanted of needs no reference.
"""

from kinbench.prediction.estimation import Angles, estimate
from kinbench.prediction.predicting import FORMATS, Estimated, Prediction, predict
from kinbench.prediction.pretraining import pretrain
from kinbench.prediction.searching import search
from kinbench.prediction.similarity import Similarity, similarity
from kinbench.prediction.training import finetune, train
from kinbench.provenance import Weights, open_weights

__all__ = [
    "FORMATS", "Angles", "Estimated", "Prediction", "Similarity", "Weights", "estimate", "finetune", "open_weights",
    "predict", "pretrain", "search", "similarity", "train",
]  # fmt: skip
