"""How long the parts of a cell took: for the reader of a result, never part of its identity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from kinbench.results import Timings

Part = Literal["fit", "adapt", "predict", "leak_check"]


class Stopwatch:
    """Runs from the moment it is made; parts may be timed more than once and add up."""

    def __init__(self) -> None:
        self._begin = perf_counter()
        self._parts: dict[Part, float] = {}

    @contextmanager
    def time(self, part: Part) -> Iterator[None]:
        """Add the time spent inside to a part."""
        begin = perf_counter()
        try:
            yield
        finally:
            self._parts[part] = self._parts.get(part, 0.0) + perf_counter() - begin

    def read(self) -> Timings:
        """Return the parts, and as overhead all that was spent on none of them."""
        total = perf_counter() - self._begin
        return Timings(
            fit_s=self._parts.get("fit"), adapt_s=self._parts.get("adapt"), predict_s=self._parts.get("predict"),
            leak_check_s=self._parts.get("leak_check"), overhead_s=total - sum(self._parts.values()),
        )  # fmt: skip
