"""A planting library: copies of sound recordings with one known mistake each, and how well inspection names it.

Thresholds were fixed on ``DESIGN`` and are judged on the other datasets.
"""

from planted.plants import PLANTS, Plant
from planted.real import DESIGN, LABORATORIES, prepared, sources
from planted.scoring import UNDER, anywhere, campaign, joined, outcome, pooled_outcome
from planted.table import table

__all__ = ["DESIGN", "LABORATORIES", "PLANTS", "UNDER", "Plant", "anywhere", "campaign", "joined", "outcome",
           "pooled_outcome", "prepared", "sources", "table"]  # fmt: skip
