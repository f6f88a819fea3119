"""The figures of studies, as a paper prints them: matplotlib is loaded when the first one is drawn.

Every figure is made from an ``Answer``'s tables alone, says in itself what it is of, how many persons, and whether they
were simulated or their sensors virtual, and comes out with the same bytes every time.
"""

from kinbench.figures.drawing import FIGURES, check, draw

__all__ = ["FIGURES", "check", "draw"]
