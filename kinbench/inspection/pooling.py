"""What the recordings of a dataset say together: one sensor in one recording may not have turned enough to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kinbench.inspection.findings import Finding, Verdict

LEAD = 0.2
"""A mistake is named when, of all that the data could say, it is supported by so much more than what was declared,"""
SOUND = 0.8
"""and by at least this. What was declared passes with as much support and lead over every mistake."""


@dataclass(frozen=True)
class Pooled:
    """One check over all sensors and recordings of a dataset.

    ``failed``, ``passed`` and ``not_assessed`` count findings; ``cause`` is the mistake named most often, or by the
    sum of evidence; ``where`` are the places that failed; ``recordings`` are those in which they did.
    """

    check: str
    verdict: Verdict
    message: str
    failed: int
    passed: int
    not_assessed: int
    cause: str = ""
    mend: str = ""
    where: tuple[str, ...] = ()
    recordings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.verdict} {self.check}: {self.message}"


def pool(findings: Mapping[str, Sequence[Finding]]) -> list[Pooled]:
    """Return one verdict per check over the findings of many recordings, by recording, in the order of the checks.

    FAIL where any recording fails, or where evidence does that is summed over recordings, place by place; PASS where
    something passed, in a finding or by the sum, and nothing fails; else NOT ASSESSED, which no number of findings
    turns into a pass.
    """
    checks = dict.fromkeys(finding.check for each in findings.values() for finding in each)
    return [
        _pooled(check, [(key, finding) for key, each in findings.items() for finding in each if finding.check == check])
        for check in checks
    ]


def _pooled(check: str, found: Sequence[tuple[str, Finding]]) -> Pooled:
    failed = [(key, finding) for key, finding in found if finding.verdict == "FAIL"]
    passed = sum(finding.verdict == "PASS" for _, finding in found)
    counts = (len(failed), passed, len(found) - len(failed) - passed)
    recordings = len({key for key, _ in found})
    told = f"{counts[0]} failed, {counts[1]} passed, {counts[2]} not assessed, in {recordings} recordings"
    summed = list(_summed(found))
    if failed:
        causes = [finding.cause for _, finding in failed if finding.cause]
        cause = max(dict.fromkeys(causes), key=causes.count) if causes else ""
        first = next(finding for _, finding in failed if finding.cause == cause or not cause)
        return Pooled(
            check, "FAIL", f"{told}; {first.message}", *counts, cause, first.mend,
            tuple(dict.fromkeys(finding.where for _, finding in failed)),
            tuple(dict.fromkeys(key for key, _ in failed)),
        )  # fmt: skip
    wrong = [(where, cause, share) for where, verdict, cause, share in summed if verdict == "FAIL"]
    if wrong:
        _, cause, share = max(wrong, key=lambda one: one[2])
        message = f"{told}; together {share:.0%} of what they say speaks for {cause}"
        return Pooled(check, "FAIL", message, *counts, cause, "", tuple(where for where, _, _ in wrong))
    if passed:
        return Pooled(check, "PASS", told, *counts)
    if any(verdict == "PASS" for _, verdict, _, _ in summed):
        return Pooled(check, "PASS", f"{told}; together they pass", *counts)
    return Pooled(check, "NOT ASSESSED", told, *counts)


def _summed(found: Sequence[tuple[str, Finding]]) -> Iterator[tuple[str, Verdict, str, float]]:
    """Yield (where, verdict, cause, share) of the evidence summed up by place, and over all places.

    Of one recording alone nothing is summed: its own findings have said what it tells.
    """
    told = [(key, finding) for key, finding in found if finding.evidence.get("of")]
    places = dict.fromkeys(finding.where for _, finding in told)
    groups = [(place, [one for one in told if one[1].where == place]) for place in places]
    if len(groups) > 1:
        groups.append(("all", told))
    for place, group in groups:
        if len({key for key, _ in group}) < 2:
            continue
        total: dict[str, float] = {}
        for _, finding in group:
            for cause, amount in finding.evidence.items():
                total[cause] = total.get(cause, 0.0) + amount
        yield place, *_decided(total)


def _decided(total: Mapping[str, float]) -> tuple[Verdict, str, float]:
    full = total["of"]
    shares = {cause: amount / full for cause, amount in total.items() if cause != "of"}
    asis = shares.pop("", 0.0)
    if not shares:
        return "NOT ASSESSED", "", asis
    best = max(shares, key=lambda cause: shares[cause])
    if shares[best] - asis >= LEAD and shares[best] >= SOUND:
        return "FAIL", best, shares[best]
    if asis - shares[best] >= LEAD and asis >= SOUND:
        return "PASS", "", asis
    return "NOT ASSESSED", "", max(asis, shares[best])
