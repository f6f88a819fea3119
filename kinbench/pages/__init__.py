"""Reports as pages: one HTML file each, numbers first and plots second, that needs nothing from anywhere else.

A page holds no script, font or picture from outside, prints, and is read without colours or eyes: verdicts have words
and shapes, plots have descriptions. What came from data is escaped. The same input gives the same bytes.
"""

from kinbench.pages.pictures import require
from kinbench.pages.proposals import proposal
from kinbench.pages.reports import report

__all__ = ["proposal", "report", "require"]
