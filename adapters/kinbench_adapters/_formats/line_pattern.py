"""Free text with one sample a line, read by a pattern with named fields.

``"Enc: {_} | Angle: {angle}° || Acc: {acc_x}, {acc_y}, {acc_z} || Time: {time} ms"``: a field is a number, ``{_}`` a
number to be ignored, everything else stands for itself (runs of blanks match runs of blanks). A line that does not fit
is refused unless ``skip_lines`` names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.delimited import read_text

FloatArray = NDArray[np.float64]

_FIELD = re.compile(r"\{([^{}]*)\}")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?[nN][aA][nN]"
_SHOWN = 5


def compile_pattern(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Return the regular expression of a line pattern and its field names, in order.

    Raises ``ValueError`` (one sentence) where the pattern has no field, a repeated or ill-named one, or two fields
    with nothing between them.
    """
    pieces: list[str] = []
    names: list[str] = []
    end = 0
    for match in _FIELD.finditer(pattern):
        literal, name = pattern[end : match.start()], match[1]
        if names and not literal:
            raise ValueError(f"fields {{{names[-1]}}} and {{{name}}} stand with nothing between them")
        if not name.isidentifier():
            raise ValueError(f"'{{{name}}}' is no field name; use letters, digits and _")
        if name != "_" and name in names:
            raise ValueError(f"field {{{name}}} occurs twice")
        pieces += [_literal(literal), f"({_NUMBER})" if name != "_" else f"(?:{_NUMBER})"]
        names.append(name)
        end = match.end()
    named = tuple(name for name in names if name != "_")
    if not named:
        raise ValueError("it has no named field such as {acc_x}")
    pieces.append(_literal(pattern[end:]))
    return re.compile(rf"^[ \t]*{''.join(pieces)}[ \t]*$", re.MULTILINE), named


def _literal(text: str) -> str:
    return r"[ \t]+".join(re.escape(part) for part in re.split(r"[ \t]+", text))


def read_lines(
    path: Path, pattern: str, *, skip_lines: Sequence[str] = (), encoding: str = "utf-8"
) -> dict[str, FloatArray]:
    """Return each named field as (n,) float64, one value a line.

    ``skip_lines`` are texts (``*`` and ``?`` as in file patterns) of lines without a sample; blank lines are skipped
    too. Raises ``DataError`` naming the lines that fit neither.
    """
    expression, names = compile_pattern(pattern)
    text = read_text(path, encoding)
    found = expression.findall(text)
    _refuse_others(path, text, expression, skip_lines, len(found))
    if not found:
        raise DataError(f"no line fits the pattern '{pattern}'", where=path)
    rows = found if len(names) > 1 else [(value,) for value in found]
    values = np.array([float(value) for row in rows for value in row], dtype=np.float64).reshape(len(rows), len(names))
    return {name: values[:, index] for index, name in enumerate(names)}


def _refuse_others(path: Path, text: str, expression: re.Pattern[str], skip_lines: Sequence[str], samples: int) -> None:
    lines = text.split("\n")
    blank = sum(not line.strip() for line in lines)
    if samples + blank == len(lines):
        return
    problems = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or expression.match(line) or any(fnmatchcase(line.strip(), skip) for skip in skip_lines):
            continue
        last = " (the last line: was the file cut short?)" if number == len(lines) else ""
        problems.append(f"line {number} fits neither the pattern nor skip_lines: '{line[:80]}'{last}")
    if problems:
        rest = [f"and {len(problems) - _SHOWN} more lines like it"] if len(problems) > _SHOWN else []
        raise DataError(problems[:_SHOWN] + rest, where=path)
