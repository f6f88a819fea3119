"""Analysis of variance as the field's papers report it, over persons.

Where the same persons are in every cell (models, architectures, sensor sets), it is repeated measures that fits:
``repeated_measures``. ``one_way`` and ``two_way`` are for different persons in each cell, and refuse a person who comes
twice. ``mixed_model`` is for persons who lack cells, and needs the extra ``statistics``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import helmert
from scipy.special import chdtrc, fdtrc

from kinbench.errors import DataError, UsageError
from kinbench.statistics._tables import columns_of, frame_of, persons

FloatArray = NDArray[np.float64]
_MANY = 5
"""How many missing or repeated cells a refusal names."""


@dataclass(frozen=True)
class Effect:
    """One factor, or an interaction (``a:b``): F with its degrees of freedom, p, and partial eta squared.

    ``epsilon`` is Greenhouse and Geisser's (1 where sphericity holds, 1 / df at worst; NaN between persons), and
    ``p_corrected`` the p with both degrees of freedom multiplied by it (p itself between persons): the one to report.
    """

    name: str
    sum_of_squares: float
    df: float
    error_sum_of_squares: float
    error_df: float
    f: float
    p: float
    partial_eta_squared: float
    epsilon: float = math.nan
    p_corrected: float = math.nan
    reason: str | None = None


@dataclass(frozen=True)
class Anova:
    """An analysis of variance of n persons: one effect per factor and interaction."""

    kind: str
    n: int
    effects: tuple[Effect, ...]

    def effect(self, name: str) -> Effect:
        """Return one effect; raises ``UsageError`` where there is none of that name."""
        for effect in self.effects:
            if effect.name == name:
                return effect
        raise UsageError(f"This analysis has no effect '{name}'; it has {', '.join(e.name for e in self.effects)}.")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per effect."""
        return frame_of(self.effects, kind=self.kind, n=self.n)


# --- between persons -------------------------------------------------------------------------------------------------


def one_way(groups: Mapping[str, Mapping[str, float]]) -> Anova:
    """Compare the means of groups of different persons (Fisher 1925): ``{group: {person: value}}``; effect ``group``.

    Raises ``DataError`` for fewer than two groups, an empty one, or a person in two groups.
    """
    table = columns_of(groups)
    if len(table) < 2 or not all(table.values()):
        sizes = ", ".join(f"{name}: {persons(len(values))}" for name, values in table.items()) or "none"
        raise DataError(f"A one-way analysis needs two groups or more with a person in each, got {sizes}.")
    rows = [
        {"group": name, "person": person, "value": value}
        for name, values in table.items()
        for person, value in values.items()
    ]
    return _between(pd.DataFrame(rows), ("group",), None)


def two_way(
    table: pd.DataFrame,
    factors: tuple[str, str],
    *,
    value: str = "value",
    person: str = "person",
    compat: Literal["independent_rows"] | None = None,
) -> Anova:
    """Compare the cells of two factors (method x architecture), one row per person, with type II sums of squares.

    Effects: both factors and ``a:b``. A person in more than one row is refused: such a table is
    ``repeated_measures``. ``compat="independent_rows"`` counts every row as a person of its own, as papers do that
    score one group of people with every method; its p are wrong for such data, and it exists only to compare with them.

    Raises ``DataError`` for missing columns, values that are not finite, empty cells, and persons who come twice.
    """
    if compat not in (None, "independent_rows"):
        raise UsageError(f"compat is 'independent_rows' or None, not '{compat}'.")
    _check_columns(table, (*factors, value, person))
    rows = table.rename(columns={value: "value", person: "person"})
    for cell in product(*(sorted(rows[factor].unique(), key=str) for factor in factors)):
        if not (rows[list(factors)] == list(cell)).all(axis=1).any():
            raise DataError(f"A two-way analysis needs a value in every cell; {_cell(factors, cell)} has none.")
    return _between(rows, factors, compat)


def _between(rows: pd.DataFrame, factors: Sequence[str], compat: str | None) -> Anova:
    twice = sorted(map(str, rows["person"][rows["person"].duplicated()].unique()))
    if twice and compat is None:
        raise DataError(
            f"Persons must differ from cell to cell, and {_some(twice)} come more than once: use repeated_measures, "
            "or average each person first."
        )
    y = rows["value"].to_numpy(dtype=np.float64)
    terms = _terms(factors)
    columns = {term: _contrasts(rows, term) for term in terms}
    full = _residual(y, [*columns.values()])
    error_df = y.size - 1 - sum(block.shape[1] for block in columns.values())
    effects = []
    for term in terms:
        others = [block for other, block in columns.items() if not set(term) <= set(other)]
        without = _residual(y, others)
        # Type II: each term beside all that do not contain it, never beside its own interaction.
        beside = _residual(y, [*others, columns[term]])
        effects.append(_effect(":".join(term), without - beside, columns[term].shape[1], full, error_df, y))
    kind = f"{'one' if len(factors) == 1 else 'two'}-way" + (" (rows as persons)" if compat else "")
    return Anova(kind, y.size, tuple(effects))


def _terms(factors: Sequence[str]) -> list[tuple[str, ...]]:
    return [term for size in range(1, len(factors) + 1) for term in combinations(factors, size)]


def _contrasts(rows: pd.DataFrame, term: Sequence[str]) -> FloatArray:
    """Return a term's columns of the design: products of its factors' orthonormal contrasts."""
    block = np.ones((len(rows), 1))
    for factor in term:
        codes, levels = pd.factorize(rows[factor], sort=True)
        if len(levels) < 2:
            raise DataError(f"A factor needs two levels or more; '{factor}' has {len(levels)}.")
        one = helmert(len(levels)).T[codes]
        block = (block[:, :, None] * one[:, None, :]).reshape(len(rows), -1)
    return block


def _residual(y: FloatArray, blocks: Sequence[FloatArray]) -> float:
    design = np.hstack([np.ones((y.size, 1)), *blocks])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    return float(np.sum((y - design @ solution) ** 2))


def _effect(name: str, explained: float, df: int, error: float, error_df: int, y: FloatArray) -> Effect:
    noise = 1e-12 * (float(np.sum(y**2)) or 1.0)
    if error_df < 1:
        return _unknown(name, explained, df, error, error_df, "no person is left to tell the error from the effects")
    if error <= noise:
        return _unknown(name, explained, df, error, error_df, "all persons of a cell are alike: there is no error")
    f = max(0.0, explained) / df / (error / error_df)
    p = float(fdtrc(df, error_df, f))
    return Effect(name, explained, df, error, error_df, f, p, explained / (explained + error), p_corrected=p)


def _unknown(name: str, explained: float, df: float, error: float, error_df: float, reason: str) -> Effect:
    return Effect(name, explained, df, error, error_df, math.nan, math.nan, math.nan, reason=reason)


# --- within persons --------------------------------------------------------------------------------------------------


def repeated_measures(
    table: pd.DataFrame, within: Sequence[str], *, value: str = "value", person: str = "person"
) -> Anova:
    """Compare cells that every person has: one value per person and cell, one within factor or several.

    Each effect is tested against its own interaction with the person (Winer 1971, ch. 7), with Greenhouse and
    Geisser's (1959) correction for unequal covariances. Effects: each factor, and their interactions ``a:b``.

    Raises ``DataError`` for a person without every cell or with two values in one (each is named), for fewer than two
    persons or levels, missing columns and values that are not finite.
    """
    if not within or len(set(within)) != len(within):
        raise UsageError(f"Repeated measures need one within factor or several different ones, got {list(within)}.")
    _check_columns(table, (*within, value, person))
    levels = {factor: sorted(table[factor].unique(), key=str) for factor in within}
    for factor, found in levels.items():
        if len(found) < 2:
            raise DataError(f"A factor needs two levels or more; '{factor}' has {len(found)}.")
    cells = _cells(table, list(within), levels, value, person)
    n = cells.shape[0]
    if n < 2:
        raise DataError(f"Repeated measures need two persons or more, got {n}.")
    effects = []
    for term in _terms(within):
        matrix: FloatArray = np.ones((1, 1))
        for factor in within:
            size = len(levels[factor])
            matrix = np.asarray(np.kron(matrix, helmert(size).T if factor in term else np.full((size, 1), size**-0.5)))
        effects.append(_within(":".join(term), cells @ matrix, cells))
    return Anova("repeated measures", n, tuple(effects))


def _cells(
    table: pd.DataFrame, within: list[str], levels: Mapping[str, list[Any]], value: str, person: str
) -> FloatArray:
    """Return (persons, cells), the last factor fastest; refuse missing and repeated cells by name."""
    names = (person, *within)
    known: dict[tuple[Any, ...], float] = {}
    twice = []
    for key, each in zip(zip(*(table[name] for name in names), strict=True), table[value], strict=True):
        if key in known:
            twice.append(_cell(names, key))
        known[key] = each
    people = sorted(table[person].unique(), key=str)
    wanted = [(one, *cell) for one in people for cell in product(*levels.values())]
    missing = [_cell(names, each) for each in wanted if each not in known]
    problems = []
    if missing:
        problems.append(
            f"Repeated measures need every person in every cell; {_some(missing)} missing: leave those persons out, "
            "or use mixed_model."
        )
    if twice:
        problems.append(f"Repeated measures take one value per person and cell; {_some(twice)} repeated: average them.")
    if problems:
        raise DataError(problems)
    return np.array([known[each] for each in wanted], dtype=np.float64).reshape(len(people), -1)


def _within(name: str, contrasts: FloatArray, cells: FloatArray) -> Effect:
    """Return the effect whose orthonormal contrasts of every person are (persons, df)."""
    n, df = contrasts.shape
    centre = contrasts.mean(axis=0)
    rest = contrasts - centre
    explained, error = n * float(np.sum(centre**2)), float(np.sum(rest**2))
    error_df = df * (n - 1)
    if error <= 1e-12 * float(np.sum(cells**2)):
        return _unknown(name, explained, df, error, error_df, "all persons change alike: there is no error")
    covariance = rest.T @ rest
    epsilon = float(np.trace(covariance) ** 2 / (df * np.sum(covariance**2)))
    f = explained / df / (error / error_df)
    p = float(fdtrc(df, error_df, f))
    corrected = float(fdtrc(epsilon * df, epsilon * error_df, f))
    return Effect(name, explained, df, error, error_df, f, p, explained / (explained + error), epsilon, corrected)


# --- persons who lack cells ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """One factor or interaction of a mixed model: Wald's chi squared with its degrees of freedom and p."""

    name: str
    chi_squared: float
    df: int
    p: float


@dataclass(frozen=True)
class MixedModel:
    """A linear mixed model of n persons: ``terms``, and the SD between persons and of what is left over."""

    n: int
    rows: int
    terms: tuple[Term, ...]
    person_sd: float
    residual_sd: float
    reason: str | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row per term."""
        return frame_of(self.terms, n=self.n, rows=self.rows)


def mixed_model(
    table: pd.DataFrame, factors: Sequence[str], *, value: str = "value", person: str = "person"
) -> MixedModel:
    """Compare cells that not every person has: factors and interactions fixed, each person an offset of their own.

    Fitted by restricted maximum likelihood; each term is tested with Wald's chi squared, which is a little too ready
    to find something with few persons (below about 15). NaN with a reason where the fit does not converge.

    Raises ``UsageError`` where the extra is not installed, ``DataError`` for missing columns, values that are not
    finite, an empty cell, and fewer than three persons.
    """
    _check_columns(table, (*factors, value, person))
    n = table[person].nunique()
    if n < 3:
        raise DataError(f"A mixed model needs three persons or more, got {n}.")
    terms = _terms(factors)
    blocks = [_contrasts(table, term) for term in terms]
    design = np.hstack([np.ones((len(table), 1)), *blocks])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise DataError("A mixed model needs every combination of its factors in some person; one has no value at all.")
    api = _statsmodels()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            fit = api.MixedLM(table[value].to_numpy(dtype=np.float64), design, groups=table[person].to_numpy()).fit()
        except np.linalg.LinAlgError:
            fit = None
    if fit is None or not fit.converged:
        reason = "the mixed model's fit did not converge" + (f": {told[0].message}" if told else "")
        unknown = tuple(Term(":".join(t), math.nan, b.shape[1], math.nan) for t, b in zip(terms, blocks, strict=True))
        return MixedModel(n, len(table), unknown, math.nan, math.nan, reason)
    at, found = 1, []
    for term, block in zip(terms, blocks, strict=True):
        chosen = slice(at, at + block.shape[1])
        at += block.shape[1]
        effect, covariance = fit.fe_params[chosen], np.asarray(fit.cov_params())[chosen, chosen]
        chi = float(effect @ np.linalg.solve(covariance, effect))
        found.append(Term(":".join(term), chi, block.shape[1], float(chdtrc(block.shape[1], chi))))
    sd = math.sqrt(max(0.0, float(np.asarray(fit.cov_re).item())))
    return MixedModel(n, len(table), tuple(found), sd, math.sqrt(float(fit.scale)))


def _statsmodels() -> Any:
    try:
        from statsmodels.regression import mixed_linear_model
    except ImportError as error:
        raise UsageError("A mixed model needs statsmodels; run: pip install 'kinbench[statistics]'.") from error
    return mixed_linear_model


# --- what is asked of a table ----------------------------------------------------------------------------------------


def _check_columns(table: pd.DataFrame, names: Sequence[str]) -> None:
    absent = [name for name in names if name not in table]
    if absent:
        raise DataError(f"The table has no column {', '.join(absent)}; it has {', '.join(map(str, table.columns))}.")
    value = names[-2]
    if not np.isfinite(table[value].to_numpy(dtype=np.float64)).all():
        raise DataError(f"An analysis of variance needs finite values; the column '{value}' has others.")
    if table.empty:
        raise DataError("An analysis of variance needs rows; the table has none.")


def _cell(names: Sequence[str], cell: Sequence[Any]) -> str:
    return " ".join(f"{name}={level}" for name, level in zip(names, cell, strict=True))


def _some(names: Sequence[str]) -> str:
    listed = "; ".join(names[:_MANY])
    return f"{listed} and {len(names) - _MANY} more" if len(names) > _MANY else listed
