"""What became of a paper's claims here: held, the other way, not told apart, or not testable, each with its numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kinbench.literature.measures import Measured, measured
from kinbench.publications import Claim, Contrast, commands
from kinbench.results import Result
from kinbench.statistics import MIN_PERSONS, Interval, paired_difference

Outcome = Literal["held", "the other way", "not told apart", "too few persons", "no results", "not testable here"]


@dataclass(frozen=True)
class Verdict:
    """What some results say to one contrast of a claim on one dataset.

    ``difference`` is the first measure minus the second, over the ``persons`` who have both, with its 95 % interval;
    ``reason`` says what is missing where nothing can be said.
    """

    paper: str
    claim: str
    where: str
    contrast: str
    outcome: Outcome
    data: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    persons: int = 0
    unit: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values."""
        return asdict(self)


def verdicts(paper: str, claim: Claim, results: Iterable[Result]) -> list[Verdict]:
    """Return one verdict for each contrast and dataset, or the reason why there is none.

    Results that never rank play no part: nothing shows that those tested were not learnt from.
    """
    if claim.untestable:
        return [Verdict(paper, claim.statement, claim.where, "", "not testable here", reason=claim.untestable)]
    listed = [result for result in results if result.unranked is None]
    return [verdict for contrast in claim.contrasts for verdict in _verdicts(paper, claim, contrast, listed)]


def _verdicts(paper: str, claim: Claim, contrast: Contrast, results: list[Result]) -> list[Verdict]:
    worse = measured(results, contrast.worse)
    found = [
        _verdict(paper, claim, contrast, one, other)
        for one in measured(results, contrast.better)
        for other in worse
        if one.source == other.source and one.persons.keys() & other.persons.keys()
    ]
    if found:
        return found
    needed = " and ".join(commands((contrast.better, contrast.worse)))
    return [Verdict(paper, claim.statement, claim.where, contrast.label, "no results", reason=f"make some: {needed}")]


def _verdict(paper: str, claim: Claim, contrast: Contrast, one: Measured, other: Measured) -> Verdict:
    apart = paired_difference(one.persons, other.persons)
    outcome = _outcome(apart, one.better == "lower", contrast.within)
    models = one.model if one.model == other.model else f"{one.model}, {other.model}"
    return Verdict(
        paper, claim.statement, claim.where, contrast.label, outcome, f"{one.source}: {models}", apart.mean, apart.low,
        apart.high, apart.n, one.unit,
    )  # fmt: skip


def _outcome(apart: Interval, lower_is_better: bool, within: float | None) -> Outcome:
    """Return what an interval of differences says; ``within`` shifts what counts as worse."""
    if apart.n < MIN_PERSONS or apart.low is None or apart.high is None:
        return "too few persons"
    low, high = (apart.low, apart.high) if lower_is_better else (-apart.high, -apart.low)
    bound = within or 0.0
    if high < bound:
        return "held"
    return "the other way" if low > bound else "not told apart"
