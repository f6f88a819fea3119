"""What a task is: which sensors and channels go in, which DoFs come out, at what rate, in what windows.

Only the type lives here; the benchmark's own tasks are plugins (``kinbench.tasks``). A task is a frozen, versioned
value: any change is a new version (protocols 1, Tasks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Moving:
    """The rule that tells motion from stillness, applied before windows are made.

    A sample counts as moving where the mean |gyr| of the task's sensors (gravity plays no part), smoothed over
    ``smooth_s``, exceeds ``floor_rad_s``, in stretches of at least ``at_least_s``; pauses shorter than that are kept.
    """

    floor_rad_s: float = 0.5
    smooth_s: float = 0.5
    at_least_s: float = 1.0


@dataclass(frozen=True)
class Task:
    """A frozen, versioned definition of what is estimated from what.

    ``segments``: in a leg-agnostic task (``per_leg``) bare names ('thigh'), each leg being a sample, the left one
    mirrored onto the right; otherwise full names ('thigh_r'). ``channels`` per segment: ``acc``, ``gyr`` (three
    each), ``acc_norm``, ``gyr_norm``. ``dofs`` likewise bare ('knee_flexion') or full. ``acc_kind`` must equal the
    store's. ``axes``: 'segment' applies each placement's rotation, 'sensor' leaves raw axes. ``activities``: those
    admitted, or None for any in which the person moves. ``window`` and ``stride`` are samples at ``rate_hz``.
    """

    name: str
    version: int
    title: str
    segments: tuple[str, ...]
    channels: tuple[str, ...]
    dofs: tuple[str, ...]
    rate_hz: float
    window: int
    stride: int
    per_leg: bool = False
    acc_kind: Literal["specific_force", "gravity_removed"] = "specific_force"
    axes: Literal["segment", "sensor"] = "segment"
    activities: tuple[str, ...] | None = None
    moving: Moving | None = Moving()
    max_gap_s: float = 0.05
    variants: tuple[str, ...] = ()
    """Names of tasks that would fit a store this one does not (another ``acc_kind``, raw axes)."""

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One name per input channel, in order: ``thigh/acc/x``, ..., ``shank/gyr_norm``."""
        return tuple(
            f"{segment}/{channel}{axis}"
            for segment in self.segments
            for channel in self.channels
            for axis in (("",) if channel.endswith("_norm") else ("/x", "/y", "/z"))
        )

    @property
    def legs(self) -> tuple[str, ...]:
        """The samples one recording gives: both legs of a leg-agnostic task, else one whole body."""
        return ("r", "l") if self.per_leg else ("",)

    def segments_of(self, leg: str) -> tuple[str, ...]:
        """Return full segment names for one of ``legs``; the pelvis and trunk belong to both legs."""
        return tuple(_full(name, leg) for name in self.segments)

    def dofs_of(self, leg: str) -> tuple[str, ...]:
        """Return full DoF names for one of ``legs``."""
        return tuple(_full(name, leg) for name in self.dofs)


def _full(name: str, leg: str) -> str:
    return f"{name}_{leg}" if leg and name not in ("pelvis", "trunk") else name


def from_plain(definition: Mapping[str, Any]) -> Task:
    """Return the task that ``asdict`` made ``definition`` of, lists for tuples allowed.

    Raises ``ValueError`` unless it has exactly the fields of a task.
    """
    if set(definition) != {field.name for field in fields(Task)}:
        raise ValueError("expected exactly the fields of a task")
    moving = definition["moving"]
    try:
        values = {name: _tuples(value) for name, value in definition.items()}
        return Task(**{**values, "moving": None if moving is None else Moving(**moving)})
    except TypeError as error:
        raise ValueError(str(error)) from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list | tuple) else value


_WORDS = {"true": True, "false": False, "none": None}
_SELECTOR = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<settings>[^\[\]]*)\])?")


def parse_selector(text: str) -> tuple[str, dict[str, Any]]:
    """Return (name, settings) of ``'my-lstm[hidden=64,dropout=0.1]'``; raises ``ValueError`` on any other form.

    Values become int, float, true, false or none, or stay text.
    """
    match = _SELECTOR.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected 'name' or 'name[key=value,...]', got '{text}'")
    settings: dict[str, Any] = {}
    for part in filter(None, (match["settings"] or "").split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ValueError(f"expected 'key=value' inside the brackets of '{text}', got '{part}'")
        settings[key.strip()] = _value(value.strip())
    return match["name"].strip(), settings


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
