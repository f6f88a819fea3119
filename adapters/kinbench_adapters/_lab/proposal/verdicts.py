"""The three verdicts of a field, in a word each."""

from __future__ import annotations

from typing import Any

from kinbench.contracts import Guess
from kinbench.inspection import Estimate


def known(field: str, value: Any, confidence: float, evidence: str) -> Guess:
    """Return a field that a file says, or about which physics leaves no choice."""
    return Guess(field, value, "known", confidence, evidence)


def guessed(field: str, value: Any, confidence: float, evidence: str) -> Guess:
    """Return a field that is likely, and that a person should look at."""
    return Guess(field, value, "guessed", confidence, evidence)


def asked(field: str, evidence: str, value: Any = None) -> Guess:
    """Return a field that is a question; ``value`` is the part of it that is known."""
    return Guess(field, value, "open", 0.0, evidence)


def estimated(field: str, estimate: Estimate) -> Guess:
    """Return a field as the numbers have it."""
    return Guess(field, estimate.value, estimate.verdict, estimate.confidence, estimate.evidence)
