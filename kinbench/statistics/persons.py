"""From scores, a row per person, DoF, seed and metric, to one value per person and model."""

from __future__ import annotations

import pandas as pd

from kinbench.errors import DataError, UsageError, suggest

_APART = ("protocol", "task", "train", "dataset", "model", "limited")
"""What two scores must share before their mean is a person's: a column that varies is ``by``, or is chosen."""


def by_person(scores: pd.DataFrame, *, by: str = "model", metric: str = "rmse", view: str = "test") -> pd.DataFrame:
    """Return persons down and models (or what ``by`` names) across: the mean over DoFs, then over seeds.

    ``scores`` is what ``kinbench.run`` returns, or ``leaderboards.frame``. ``by`` may be any of its columns: ``dof``
    leaves DoFs apart, ``protocol`` compares protocols. A value that is missing stays so (NaN) and is never imputed.

    Raises ``UsageError`` for an unknown column, metric or view, and where scores of several protocols, tasks, datasets
    or models would be mixed; ``DataError`` where a person has several values of one kind.
    """
    if by not in scores or by in ("person", "value", "metric", "view"):
        raise UsageError(f"Scores cannot be laid out by '{by}'.{suggest(by, [*_APART, 'dof', 'seed'])}")
    rows = scores
    for column, value in (("metric", metric), ("view", view)):
        rows = rows[rows[column] == value]
        if rows.empty:
            known = sorted(scores[column].unique())
            raise UsageError(f"These scores have no {column} '{value}'.{suggest(value, known)}")
    for column in _APART:
        found = sorted(map(str, rows[column].unique())) if column in rows and column != by else []
        if len(found) > 1:
            raise UsageError(f"Scores of several kinds of {column} ({', '.join(found)}) have no one mean; choose one.")
    each = ["person", by, *(column for column in ("seed", "dof") if column != by)]
    twice = rows.duplicated(each)
    if twice.any():
        told = ", ".join(f"{column} {rows.loc[twice, column].iloc[0]}" for column in each)
        raise DataError(f"There are several values of {told}; choose one fold, or average them first.")
    over_dofs = rows.groupby([column for column in each if column in ("person", by, "seed")])["value"].mean()
    return over_dofs.groupby(level=["person", by]).mean().unstack(by)
