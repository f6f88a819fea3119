"""Plan the cells, run those not done, keep one result per cell the moment it is scored."""

from kinbench.runner.alignment import Aligned, align, mean_reference
from kinbench.runner.cells import Cell, ModelChoice, Skipped
from kinbench.runner.checking import Check, Checked, check
from kinbench.runner.execution import Finished, run
from kinbench.runner.planning import SEEDS, Plan, plan
from kinbench.runner.scoring import data_of, rescore
from kinbench.runner.workspace import Workspace

__all__ = [
    "SEEDS", "Aligned", "Cell", "Check", "Checked", "Finished", "ModelChoice", "Plan", "Skipped", "Workspace", "align",
    "check", "data_of", "mean_reference", "plan", "rescore", "run",
]  # fmt: skip
