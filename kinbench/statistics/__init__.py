"""What a table of errors can say about the people and the models behind it, and what it cannot.

The person is the unit everywhere: windows, legs and seeds of one person are averaged before they come here. Tables go
in as ``{model: {person: value}}`` (or the DataFrame of the same shape: persons down, models across), frozen dataclasses
come out, each with ``to_frame()``. What cannot be known is NaN with a ``reason``; what makes no sense is a
``DataError``.

Means and their intervals are here; each other question has a module of its own (which loads SciPy's statistics):

- ``persons``: one value per person and model, out of scores
- ``comparisons``: which of several models differ (paired Wilcoxon with Holm, Bonferroni paired t, effect sizes)
- ``ranks``: critical-difference ranks and groups that are not told apart
- ``variance``: one-way, two-way and repeated-measures ANOVA; a mixed model where cells are missing
- ``equivalence``: whether a difference lies within a stated margin
- ``agreement``: Bland-Altman limits; ``reliability``: intraclass correlations
- ``curves``: how error falls with data, and how much data a target needs
- ``slices``: whether an error depends on sex, side, speed, age
- ``distances``: whether a loss grows with a distance between datasets
"""

from kinbench.statistics.intervals import (
    LEVEL,
    MIN_PERSONS,
    RESAMPLES,
    Estimate,
    Interval,
    bootstrap,
    bootstrap_statistic,
    mean,
    paired_difference,
    standard_deviation,
)

__all__ = [
    "LEVEL",
    "MIN_PERSONS",
    "RESAMPLES",
    "Estimate",
    "Interval",
    "bootstrap",
    "bootstrap_statistic",
    "mean",
    "paired_difference",
    "standard_deviation",
]
