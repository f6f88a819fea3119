"""Tables from results, and from nothing else: no dataset, task, protocol or model need be installed.

``board`` is a pure function of results. Scores are averaged over DoFs and seeds within each person, then over persons;
ranks go by RMSE over what all ranked models share (protocols 1, Scores).
"""

from kinbench.leaderboards.boards import Board, board, frame, write
from kinbench.leaderboards.tables import Table

__all__ = ["Board", "Table", "board", "frame", "write"]
