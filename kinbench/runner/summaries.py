"""What additive models learn from, person by person, as much of it as fits into a process's memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 512 << 20
"""How much a process keeps; beyond it what was used longest ago is dropped, and read again when it is wanted."""


@dataclass(frozen=True)
class Part:
    """The summary of one person's ``windows``; ``person`` is the number that batches know the person by."""

    person: int
    windows: int
    summary: Any


class Summaries:
    """Parts by what they depend on; the last one used is kept in any case."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._parts: OrderedDict[Hashable, Part] = OrderedDict()

    def take(self, key: Hashable, make: Callable[[], Part]) -> Part:
        """Return what is kept under a key, made now where it is not."""
        if key not in self._parts:
            self._parts[key] = made = make()
            self._bytes += made.summary.nbytes
            while self._bytes > self._most_bytes and len(self._parts) > 1:
                _, dropped = self._parts.popitem(last=False)
                self._bytes -= dropped.summary.nbytes
        self._parts.move_to_end(key)
        return self._parts[key]
