"""The errors kinbench raises on purpose: each one is for a person, and none shows a traceback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar


class KinbenchError(Exception):
    """Something a person can act on. The message says what was expected, what came, where, what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(KinbenchError):
    """What the user typed (a name, an option, a path, a manifest) cannot be taken as it stands."""

    exit_code: ClassVar[int] = 2


class DataError(KinbenchError):
    """Recorded data that cannot be read or believed.

    ``problems`` holds one sentence per problem: all those of a file are told at once.
    """

    def __init__(self, problems: str | Iterable[str], *, where: object = None) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        self.where = None if where is None else str(where)
        prefix = "" if self.where is None else f"{self.where}: "
        super().__init__("\n".join(prefix + problem for problem in self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore_data_error, (type(self), self.problems, self.where))


def _restore_data_error(kind: type[DataError], problems: tuple[str, ...], where: str | None) -> DataError:
    return kind(problems, where=where)


class StoreError(DataError):
    """A store that is absent, locked, damaged, or of a version this kinbench does not know."""


class Skipped(DataError):
    """A file that by a declared rule is no recording for us (too slow, no rate). It is told, and is not a failure."""


class NotApplicable(KinbenchError):
    """A cell that has no meaning (no such sensor, wrong kind of acceleration, too few people).

    It is an outcome with a reason, not a failure; the message names the variant that would fit.
    """


class LeakError(KinbenchError):
    """The leak check refused: the test data, or the person, could be known to the model."""


def suggest(name: str, known: Sequence[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest of ``known``, else a list of what there is."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(sorted(known))}." if known else ""
