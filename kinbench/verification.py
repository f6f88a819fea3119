"""Check a store from its bytes to its physics: damage, breaches of the schema, findings. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kinbench import inspection, store
from kinbench.errors import DataError
from kinbench.inspection import Finding, Pooled, Tip
from kinbench.schema import VARIABLES, Breach

Progress = Callable[[int, int, str], None]
COLUMNS = ("recording", "check", "verdict", "where", "message", "value", "cause")

_SIGNALS = ("imu.time", "reference.time", *(f"{variable.stream}.{name}" for name, variable in VARIABLES.items()))


@dataclass(frozen=True)
class Report:
    """What there is to say about a store.

    ``recordings`` counts the files there, damaged ones too. ``damaged`` are sentences about files, ``breaches``,
    ``findings`` and ``tips`` (warnings, not verdicts) pairs of (recording key, what). ``unread`` are pairs of
    (key, reason) of recordings that could not be opened at all; the files of those stand among ``damaged`` too.
    ``pooled`` is what all recordings say together, one verdict per check.
    """

    store: str
    recordings: int
    damaged: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]
    breaches: tuple[tuple[str, Breach], ...]
    findings: tuple[tuple[str, Finding], ...]
    pooled: tuple[Pooled, ...] = ()
    tips: tuple[tuple[str, Tip], ...] = ()

    @property
    def failures(self) -> tuple[tuple[str, Finding], ...]:
        """The findings whose verdict is FAIL."""
        return tuple((key, finding) for key, finding in self.findings if finding.verdict == "FAIL")

    @property
    def warnings(self) -> tuple[tuple[str, Tip], ...]:
        """The tips that warn. They fail nothing."""
        return tuple((key, tip) for key, tip in self.tips if tip.warns)

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged, unreadable, against the schema or against physics, alone or together."""
        wrong = any(pooled.verdict == "FAIL" for pooled in self.pooled)
        return not (self.damaged or self.unread or self.breaches or self.failures or wrong)

    def counts(self) -> dict[str, int]:
        """Return how many findings there are by verdict."""
        return {
            verdict: sum(finding.verdict == verdict for _, finding in self.findings)
            for verdict in ("PASS", "FAIL", "NOT ASSESSED")
        }

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "store": self.store,
            "ok": self.ok,
            "recordings": self.recordings,
            "damaged": list(self.damaged),
            "unread": [{"recording": key, "reason": reason} for key, reason in self.unread],
            "breaches": [{"recording": key, **asdict(breach)} for key, breach in self.breaches],
            "findings": [{"recording": key, **asdict(finding)} for key, finding in self.findings],
            "pooled": [asdict(pooled) for pooled in self.pooled],
            "tips": [{"recording": key, **asdict(tip)} for key, tip in self.tips],
        }

    def table(self) -> pd.DataFrame:
        """Return one row per problem, finding, pooled verdict and warning, with the columns of ``COLUMNS``.

        Pooled verdicts have no recording; a warning's check is ``tip 1`` to ``tip 7``, its verdict ``WARNING``.
        """
        rows: list[tuple[str, str, str, str, str, float | None, str]] = [
            *(("", "bytes", "FAIL", self.store, sentence, None, "") for sentence in self.damaged),
            *((key, "bytes", "FAIL", "", reason, None, "") for key, reason in self.unread),
            *(
                (key, "schema", "FAIL", breach.path,
                 f"expected {breach.expected}, found {breach.found}; {breach.mend}", None, "")
                for key, breach in self.breaches
            ),
            *(
                (key, finding.check, finding.verdict, finding.where, finding.message, finding.value, finding.cause)
                for key, finding in self.findings
            ),
            *(
                ("", pooled.check, pooled.verdict, ", ".join(pooled.where), pooled.message, None, pooled.cause)
                for pooled in self.pooled
            ),
            *((key, f"tip {tip.number}", "WARNING", tip.where, tip.message, None, "") for key, tip in self.warnings),
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": "float64"})

    def _repr_html_(self) -> str:
        return f"<p>{self.text(findings=False).splitlines()[-1]}</p>{self.table().to_html()}"

    def text(self, *, findings: bool = True) -> str:
        """Return the report for people: every problem, a summary; with ``findings`` too what could not be
        assessed, the verdicts of all recordings together, and warnings.
        """
        lines = [f"damaged  {sentence}" for sentence in self.damaged]
        lines += [f"unread   {key}: {reason}" for key, reason in self.unread]
        lines += [f"schema   {key}: {breach}" for key, breach in self.breaches]
        shown = self.findings if findings else self.failures
        lines += [
            f"{finding.verdict.lower():<12} {key} {finding.where} {finding.check}: {finding.message}"
            for key, finding in shown
            if finding.verdict != "PASS"
        ]
        if findings:
            lines += [f"pooled   {pooled}" for pooled in self.pooled]
            lines += [f"warning  {key} {tip}" for key, tip in self.warnings]
        else:
            lines += [f"pooled   {pooled}" for pooled in self.pooled if pooled.verdict == "FAIL"]
        counts = self.counts()
        lines.append(
            f"{self.store}: {self.recordings} recordings, {len(self.unread)} unread; "
            f"{len(self.damaged)} faults of files, "
            f"{len(self.breaches)} breaches of the schema; physics: {counts['PASS']} passed, {counts['FAIL']} failed, "
            f"{counts['NOT ASSESSED']} not assessed"
        )
        return "\n".join(lines)


def _quiet(done: int, total: int, label: str) -> None:
    """Report no progress."""


def validate(store_path: Path | str, *, on_progress: Progress = _quiet) -> Report:
    """Check every file and every recording of a store. Raises ``StoreError`` where there is no store.

    A recording that cannot be read is reported and the others are checked all the same. Recordings too short to say
    much alone are looked at together as well, person by person; what they say stands under a name of its own.
    """
    opened = store.open(store_path)
    keys = opened.found()  # and not keys(), which refuses a store in which one recording is damaged
    total = len(keys) + 1
    on_progress(0, total, "files")
    damaged = tuple(opened.verify())
    unread: list[tuple[str, str]] = []
    breaches: list[tuple[str, Breach]] = []
    findings: list[tuple[str, Finding]] = []
    warned: list[tuple[str, Tip]] = []
    short = inspection.Short()
    for done, key in enumerate(keys, start=1):
        name = str(key)
        on_progress(done, total, name)
        try:
            recording = opened.read(key)
        except DataError as error:
            unread.append((name, "; ".join(error.problems)))
            continue
        found = recording.validate()
        breaches += [(name, breach) for breach in found]
        if any(breach.path.startswith(_SIGNALS) for breach in found):
            # Physics presumes dims and units, so it would only repeat the breach in worse words.
            findings.append((name, Finding("physics", "NOT ASSESSED", "recording", "its signals breach the schema")))
        else:
            findings += [(name, finding) for finding in inspection.check(recording)]
            warned += [(name, tip) for tip in inspection.tips(recording)]
            short.add(recording)
    findings += [(name, finding) for name, each in inspection.check_joined(short).items() for finding in each]
    on_progress(total, total, "done")
    pooled = inspection.pool(_by_recording(findings))
    return Report(
        opened.name, len(keys), damaged, tuple(unread), tuple(breaches), tuple(findings), tuple(pooled), tuple(warned)
    )


def _by_recording(findings: list[tuple[str, Finding]]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for name, finding in findings:
        found.setdefault(name, []).append(finding)
    return found
