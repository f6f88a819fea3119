"""From results to the answer of a study's question: tables and sentences, and no picture.

A study protocol's results are laid out over its conditions (``few_shot``, ``learning_curve``, ``subsets``,
``placement``, ``transfer``, ``conditions``); those of any other protocol are compared (``comparing``), or looked into
through the kept predictions (``slices``, ``agreement``). Persons are the unit everywhere; what cannot be told has a
reason for a value.
"""

from kinbench.studies.answers import Answer, Study
from kinbench.studies.cells import Cells, cells_of
from kinbench.studies.questions import NAMES, study
from kinbench.studies.tracks import Kept, Track

__all__ = ["NAMES", "Answer", "Cells", "Kept", "Study", "Track", "cells_of", "study"]
