"""What a task is: which sensors and channels go in, which DoFs come out, at what rate, in what windows.

Only the type lives here; the benchmark's own tasks are plugins (``kinbench.tasks``). A task is a frozen, versioned
value: any change is a new version (protocols 1, Tasks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
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
class Around:
    """The rule that cuts time around foot contacts: ``length`` samples, from ``before`` samples ahead of each.

    A contact is where a foot's vertical force rises above ``derivation.STANCE_BW``, of the foot that the task asks for.
    """

    before: int
    length: int


@dataclass(frozen=True)
class Task:
    """A frozen, versioned definition of what is estimated from what.

    ``segments``: in a leg-agnostic task (``per_leg``) bare names ('thigh'), each leg being a sample, the left one
    mirrored onto the right; otherwise full names ('thigh_r'). ``channels`` per segment: ``acc``, ``gyr`` (three
    each), ``acc_norm``, ``gyr_norm``, and ``euler`` (three, rad: the device's own orientation, heading and all).
    ``dofs`` likewise bare ('knee_flexion') or full. ``acc_kind`` must equal the store's. ``axes``: 'segment' applies
    each placement's rotation, 'sensor' leaves raw axes. ``activities``: those admitted, or None for any in which the
    person moves. ``window`` and ``stride`` are samples at ``rate_hz``.

    ``quantity`` says what comes out: joint angles, ground reaction forces (``schema.GROUND_FORCES``), joint moments
    (``schema.MOMENTS``) or the body's acceleration (``schema.BODY_ACCELERATIONS``), in ``metrics.UNITS``; forces and
    moments are scored over stance. ``optional``: sensors that a
    recording may lack, which a model is then told by NaN. ``around``: only the time around contacts counts.
    ``shortest``: stretches of at least so many samples that are shorter than a window are padded to one, by their last
    sample without a label (0: none is). ``straight_deg``: only where the pelvis heads within so many degrees of the
    recording's line of walking, either way; a recording whose reference tells no heading counts whole. ``by_name``: a
    run takes it only where it is asked for, as a variant of a task that is always run. ``orientations``: what a model
    is fitted on holds its segments' orientations too, where the reference has them; what it is tested on never does.
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
    quantity: Literal["angle", "grf", "moment", "acceleration"] = "angle"
    optional: tuple[str, ...] = ()
    around: Around | None = None
    shortest: int = 0
    straight_deg: float | None = None
    by_name: bool = False
    orientations: bool = False

    @property
    def least(self) -> int:
        """How many samples a stretch needs to give a window."""
        return min(self.shortest or self.window, self.window)

    @property
    def loads(self) -> bool:
        """Whether forces or moments come out: what is by the person's mass, and scored over stance."""
        return self.quantity in ("grf", "moment")

    def plain(self) -> dict[str, Any]:
        """Return the definition by field, as identities are made of it: what a task does not do is not in it."""
        values = asdict(self)
        for name, default in _LATER.items():
            if values[name] == default:
                del values[name]
        return values

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


_LATER = {
    field.name: field.default
    for field in fields(Task)
    if field.name in ("quantity", "optional", "around", "shortest", "straight_deg", "by_name", "orientations")
}
"""Fields that came after the first results: a task that leaves them alone is, and stays, what it was."""


def _full(name: str, leg: str) -> str:
    return f"{name}_{leg}" if leg and name not in ("pelvis", "trunk") else name


def from_plain(definition: Mapping[str, Any]) -> Task:
    """Return the task that ``Task.plain`` made ``definition`` of, lists for tuples allowed.

    Raises ``ValueError`` unless it has exactly the fields of a task.
    """
    known = {field.name for field in fields(Task)}
    if not known - _LATER.keys() <= set(definition) <= known:
        raise ValueError("expected exactly the fields of a task")
    try:
        values = {name: _tuples(value) for name, value in definition.items()}
        for name, kind in (("moving", Moving), ("around", Around)):
            if values.get(name) is not None:
                values[name] = kind(**values[name])
        return Task(**values)
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


def selector_of(name: str, settings: Mapping[str, Any]) -> str:
    """Return the selector that ``parse_selector`` takes apart into these: settings by name, no brackets for none."""
    words = {value: word for word, value in _WORDS.items()}
    texts = (
        f"{key}={words[value] if value is None or isinstance(value, bool) else value}"
        for key, value in sorted(settings.items())
    )
    return f"{name}[{','.join(texts)}]" if settings else name


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
