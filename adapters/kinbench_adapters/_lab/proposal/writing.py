"""The proposed manifest as text: what is known stands plainly, guesses and questions say so above their line."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from kinbench.contracts import Guess

HEAD = """\
# Proposed by looking at the files. Read it before you convert:
# - plain lines are what the files say, or what physics leaves no choice about;
# - "guess" is likely, and may be wrong: check it;
# - "QUESTION" is what no file tells: fill in the empty value (or "?") below it. Until then it is refused by name.
"""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+-]+)*|-?\d+(?:\.\d+)?")
_NOT_PLAIN = {"null", "~", "yes", "no", "on", "off", "true", "false"}
_WIDTH = 116
_MAY_BE_ABSENT = ("reader", "rate_hz", "time", "calibrate")


class Text:
    """The lines of a manifest in the making."""

    def __init__(self) -> None:
        self._lines: list[str] = [*HEAD.rstrip().split("\n")]

    def line(self, depth: int, text: str) -> None:
        """Add a line."""
        self._lines.append("  " * depth + text)

    def note(self, depth: int, text: str) -> None:
        """Add a comment, over as many lines as it takes."""
        indent = "  " * depth
        self._lines += textwrap.wrap(
            text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ", break_long_words=False
        )

    def field(self, depth: int, key: str, guess: Guess, *, inline: Mapping[str, Any] | None = None) -> None:
        """Add one key with its value, and above it what speaks for it where it is not known."""
        self.doubt(depth, guess)
        self.line(depth, f"{key}: {self.value(guess)}".rstrip())

    def doubt(self, depth: int, guess: Guess, *, about: str = "") -> None:
        """Add the comment that a guess or a question needs; nothing for what is known."""
        said = f"{about}: {guess.evidence}" if about else guess.evidence
        if guess.verdict == "guessed":
            self.note(depth, f"guess ({guess.confidence:.0%}): {said}")
        elif guess.verdict == "open":
            self.note(depth, f"QUESTION {guess.field}: {said}")

    @staticmethod
    def value(guess: Guess) -> str:
        """Return a guess's value; where it is open nothing, or ``?`` where nothing would be taken for an answer."""
        if guess.verdict == "open":
            return '"?"' if guess.field.rpartition(".")[2] in _MAY_BE_ABSENT else ""
        return plain(guess.value)

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def plain(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{plain(key)}: {plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(plain(item) for item in value) + "]"
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    text = str(value)
    fits = _PLAIN.fullmatch(text) is not None and text.lower() not in _NOT_PLAIN
    return text if fits else json.dumps(text, ensure_ascii=False)
