"""The field's papers beside our results: what was reported, what was measured here, and what differs.

Reads results and what plugins say of papers, and nothing else.
"""

from kinbench.literature.claims import Verdict, verdicts
from kinbench.literature.comparison import Comparison, compare
from kinbench.literature.tables import Line, TypesetTable, typeset

__all__ = ["Comparison", "Line", "TypesetTable", "Verdict", "compare", "typeset", "verdicts"]
