"""The command line: parses, calls ``kinbench.api``, prints. Every heavy import waits for the command that needs it."""

from kinbench.cli import checks, models, new, papers, studies, training, weights  # their commands attach themselves
from kinbench.cli.app import main

__all__ = ["checks", "main", "models", "new", "papers", "studies", "training", "weights"]
