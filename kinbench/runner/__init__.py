"""Plan the cells, run those not done, keep one result per cell the moment it is scored."""

from kinbench.runner.cells import Cell, ModelChoice, Skipped
from kinbench.runner.execution import Finished, run
from kinbench.runner.planning import SEEDS, Plan, plan
from kinbench.runner.scoring import rescore

__all__ = ["SEEDS", "Cell", "Finished", "ModelChoice", "Plan", "Skipped", "plan", "rescore", "run"]
