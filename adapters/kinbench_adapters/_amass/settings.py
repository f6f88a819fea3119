"""What a user may ask of the adapter, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from kinbench.errors import UsageError, suggest
from kinbench_adapters._amass.sites import SITE_SETS

ZEROS = ("rest", "anatomical")
FLAVOURS = ("any", "smplh", "smplx")
STILL_BELOW = {"keep": None, "paper": 0.2, "code": 2.0}
"""Below which mean standard deviation of the accelerations (m s-2) a window is still: Tan et al. 2024 print 0.2, their
code has 2."""
COMPAT = (None, "tan2024")

STATURE_M = (0.4, 2.6)
"""What a declared height must lie between: it is metres."""


@dataclass(frozen=True)
class Settings:
    """The adapter's settings; ``kinbench_adapters.amass.AmassAdapter`` explains each.

    Raises ``UsageError`` with every one that cannot be.
    """

    body_model: str | None = None
    height_m: float | None = None
    sites: str = "kinbench"
    zero: str = "rest"
    minimum_hz: float = 50.0
    orientation_variants: int = 0
    seed: int = 0
    cutoff_hz: float | None = None
    still: str = "keep"
    compat: str | None = None
    flavour: str = "any"

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be one of {', '.join(map(_word, known))}, not '{value}'."
            f"{suggest(str(value), tuple(map(_word, known)))}"
            for name, value, known in (
                ("sites", self.sites, tuple(SITE_SETS)), ("zero", self.zero, ZEROS), ("still", self.still, STILL_BELOW),
                ("compat", self.compat, COMPAT), ("flavour", self.flavour, FLAVOURS),
            )
            if value not in known
        ]  # fmt: skip
        problems += self._number_problems()
        if self.body_model and self.height_m is not None:
            problems.append("height_m scales the mean template, and with body_model each person has a shape; give one.")
        if problems:
            raise UsageError("adapter 'amass': " + " ".join(problems))

    def _number_problems(self) -> list[str]:
        problems = []
        low, high = STATURE_M
        if self.height_m is not None and not (_is_number(self.height_m) and low < self.height_m < high):
            problems.append(f"height_m must be a stature in metres, not {self.height_m!r}.")
        if not (_is_number(self.minimum_hz) and self.minimum_hz >= 0):
            problems.append(f"minimum_hz must be a rate of 0 or more, not {self.minimum_hz!r}.")
        if self.cutoff_hz is not None and not (_is_number(self.cutoff_hz) and 0 < self.cutoff_hz < inf):
            problems.append(f"cutoff_hz must be a frequency above 0, not {self.cutoff_hz!r}.")
        if not _is_whole(self.orientation_variants) or not 0 <= self.orientation_variants <= 99:
            problems.append(f"orientation_variants must be a count from 0 to 99, not {self.orientation_variants!r}.")
        if not _is_whole(self.seed) or self.seed < 0:
            problems.append(f"seed must be a whole number of 0 or more, not {self.seed!r}.")
        return problems

    @property
    def swaps_legs(self) -> bool:
        """Whether left and right are to be named the wrong way round, as Tan et al.'s code does."""
        return self.compat == "tan2024"


def _word(value: str | None) -> str:
    return "none" if value is None else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
