"""The three verdicts of a field, in a word each."""

from __future__ import annotations

from typing import Any

from kinbench.contracts import Guess
from kinbench.inspection import Estimate
from kinbench_adapters._lab.proposal.questions import question


def known(field: str, value: Any, confidence: float, evidence: str) -> Guess:
    """Return a field that a file says, or about which physics leaves no choice."""
    return Guess(field, value, "known", confidence, evidence)


def guessed(field: str, value: Any, confidence: float, evidence: str) -> Guess:
    """Return a field that is likely, and that a person should look at."""
    return Guess(field, value, "guessed", confidence, evidence)


def asked(field: str, why: str = "", value: Any = None) -> Guess:
    """Return a field that is a question: what is asked, what may be answered, and why nobody could tell.

    ``value`` is the part of it that is known.
    """
    told = f"{question(field)}. {sentence(why)}" if why else question(field)
    return Guess(field, value, "open", 0.0, told)


def estimated(field: str, estimate: Estimate) -> Guess:
    """Return a field as the numbers have it."""
    if estimate.verdict == "open":
        return asked(field, estimate.evidence)
    return Guess(field, estimate.value, estimate.verdict, estimate.confidence, estimate.evidence)


def sentence(text: str) -> str:
    """Return a text that begins with a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def counted(count: int, thing: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
