"""What kinbench can do, by name: the command line and a notebook call the same functions.

Names of plugins and stores become objects here; nothing is computed. Paths: stores lie in ``$KINBENCH_DATA`` (else
``./data``), results in ``$KINBENCH_RESULTS`` (else ``./results``), a dataset's raw files in ``./raw/<name>``.
"""

from kinbench.api.catalogue import info, listing, manifest_schema
from kinbench.api.checks import check_guards, check_model, check_protocol, check_results
from kinbench.api.datasets import compare, convert, data, export, inspect, page, page_path, validate
from kinbench.api.literature import papers
from kinbench.api.models import fetch_weights, finetune, predict, pretrain, search, train, weights
from kinbench.api.places import data_folder, open, results_folder
from kinbench.api.runs import execute, leaderboard, plan, plot, rescore, run, study
from kinbench.api.tour import demo
from kinbench.scaffolds import new_model

__all__ = [
    "check_guards", "check_model", "check_protocol", "check_results", "compare", "convert", "data", "data_folder",
    "demo", "execute", "export", "fetch_weights", "finetune", "info", "inspect", "leaderboard", "listing",
    "manifest_schema", "new_model", "open", "page", "page_path", "papers", "plan", "plot", "predict", "pretrain",
    "rescore", "results_folder", "run", "search", "study", "train", "validate", "weights",
]  # fmt: skip
