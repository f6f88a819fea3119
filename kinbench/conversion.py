"""Raw folder to store: every recording read, harmonised, aligned, validated, and written whole, or not at all.

One that cannot be read or believed fails alone; the others convert, and the outcome says which and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd

from kinbench import alignment, harmonisation, kinematics, store, virtual_imu
from kinbench.contracts import Adapter, DatasetCard, RawDataset, Source
from kinbench.errors import DataError, Skipped, UsageError
from kinbench.recording import Declared, Key, Placement, Recording, SensorEntry, placements_of
from kinbench.schema import DOFS, IDENTIFIER, OPEN_ACTIVITIES

Progress = Callable[[int, int, str], None]
_IDENTITY = ("title", "version", "licence", "redistributable", "citation", "simulation", "settings")
"""What must agree before recordings are added to a store: two datasets, or one read in two ways, would pass as one."""


def ignore(done: int, total: int, label: str) -> None:
    """Take no notice of progress."""


@dataclass(frozen=True)
class Sites:
    """Where the sensors of a store sit, for virtual ones to sit there too.

    ``placements`` are the distinct ones by segment, side, site and level; ``taken_from`` names, per sensor, the
    recording whose rotation it has: the first in which that is known.
    """

    dataset: str
    digest: str
    placements: tuple[Placement, ...]
    taken_from: Mapping[str, Key]
    unknown_level: str | None = None
    """What was taken for a level that the store does not know, if anybody said so."""

    def plain(self) -> dict[str, Any]:
        """Return the same as JSON-plain values, for the history."""
        sensors = {
            placement.sensor: {
                "segment": placement.segment, "side": placement.side, "site": placement.site, "level": placement.level,
                "rotation_origin": placement.rotation_origin, "taken_from": str(self.taken_from[placement.sensor]),
            }
            for placement in self.placements
        }  # fmt: skip
        assumed = {} if self.unknown_level is None else {"unknown_level": self.unknown_level}
        return {"dataset": self.dataset, "digest": self.digest, **assumed, "sensors": sensors}


def sites_of(opened: store.Store, *, unknown_level: str | None = None) -> Sites:
    """Return where the measured sensors of a store sit, each named by its segment.

    Of recordings that the index says wear the same sensors, the first is read. ``unknown_level`` is what to take for
    sensors whose level on the segment the store does not know (``proximal``, ``mid``, ``distal``). Raises
    ``UsageError`` where no sensor of the store was measured, and (all at once) for sensors whose site or level has no
    known place on a segment.
    """
    found: dict[tuple[str, str, str, str], tuple[Placement, Key]] = {}
    firsts: dict[tuple[SensorEntry, ...], Key] = {}
    for entry in opened.entries():
        firsts.setdefault(entry.sensors, entry.key)
    for key in firsts.values():
        imu, _ = opened.read_inputs(key)
        for worn in () if imu is None else placements_of(imu):
            placement = worn if unknown_level is None else _with_level(worn, unknown_level)
            place = (placement.segment, placement.side, placement.site, placement.level)
            before = found.get(place)
            unknown = before is None or (before[0].rotation is None and placement.rotation is not None)
            if placement.origin == "measured" and unknown:
                found[place] = (placement, key)
    if not found:
        raise UsageError(f"{opened.path} holds no measured sensor, so it has no sites to put virtual ones at.")
    segments = [segment for segment, *_ in found]
    named = {
        place[0] if segments.count(place[0]) == 1 else "_".join((place[0], *place[2:])): found[place]
        for place in sorted(found)
    }
    _refuse_unknown_places(opened, named)
    placements = tuple(replace(placement, sensor=name) for name, (placement, _) in named.items())
    taken_from = {name: key for name, (_, key) in named.items()}
    return Sites(opened.name, opened.digest, placements, taken_from, unknown_level)


def _with_level(placement: Placement, level: str) -> Placement:
    """Return the placement at this level, if its own is unknown and its site needs one."""
    if placement.level != "unknown" or _no_place(placement) is None:
        return placement
    return replace(placement, level=level)


def _no_place(placement: Placement) -> str | None:
    """Return why nobody knows where on a segment the sensor sits, None where that is known."""
    try:
        virtual_imu.site_offset(placement.segment, placement.side, placement.site, placement.level, 1.0)
    except UsageError as error:
        return str(error)
    return None


def _refuse_unknown_places(opened: store.Store, named: Mapping[str, tuple[Placement, Key]]) -> None:
    problems = [
        f"{opened.path}: sensor '{placement.sensor}' of {key}: {why}"
        for placement, key in named.values()
        if (why := _no_place(placement)) is not None
    ]
    if problems:
        raise UsageError("\n".join(problems))


@dataclass(frozen=True)
class Outcome:
    """What became of one recording. ``reason`` says why one failed, or was skipped by a rule of its adapter.

    Of a converted one: its length, how many sensors and DoFs it has, and how its clocks were brought together
    (``offset_s``: start of the reference minus start of the imu; ``sync_r``: how sure that is, 1 at best).
    """

    key: Key
    status: Literal["converted", "failed", "skipped"]
    digest: str | None = None
    duration_s: float | None = None
    sensors: int | None = None
    dofs: int | None = None
    sync: str | None = None
    offset_s: float | None = None
    sync_r: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Conversion:
    """What became of a raw folder. In a notebook it shows as its table."""

    path: Path
    card: DatasetCard
    outcomes: tuple[Outcome, ...]
    left_over: tuple[Key, ...] = ()
    """Recordings of earlier conversions that stay in the store and are not among these raw files."""
    sites: Sites | None = None
    """Where the virtual sensors were put, if not where the adapter puts them."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The recordings that could not be read or believed."""
        return self._of("failed")

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        """The files that by a rule of the adapter are no recordings."""
        return self._of("skipped")

    def _of(self, status: str) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == status)

    def table(self) -> pd.DataFrame:
        """Return one row per recording, with the fields of ``Outcome``."""
        rows = [{**asdict(outcome), "key": str(outcome.key)} for outcome in self.outcomes]
        return pd.DataFrame(rows, columns=[field.name for field in fields(Outcome)])

    def to_json(self) -> dict[str, Any]:
        """Return the same as JSON-plain values."""
        return {
            "store": str(self.path),
            "dataset": self.card.name,
            "left_over": [str(key) for key in self.left_over],
            "sites_of": None if self.sites is None else self.sites.plain(),
            "recordings": [{**asdict(outcome), "key": str(outcome.key)} for outcome in self.outcomes],
        }

    def _repr_html_(self) -> str:
        return f"<p>{self.path}</p>{self.table().to_html()}"


def convert(
    adapter: Adapter,
    raw: Path,
    folder: Path,
    *,
    name: str | None = None,
    settings: str = "",
    sites: Sites | None = None,
    activities: bool = False,
    on_progress: Progress = ignore,
) -> Conversion:
    """Convert all that ``adapter`` finds below ``raw`` into ``folder/<dataset>.zarr`` and say what became of each.

    Recordings are added to a store of the same dataset that is already there, or replace those of the same key; one
    that fails now takes what was made of it before out of the store. ``name`` overrides the
    dataset's name; ``settings`` says how the adapter was set, ``sites`` puts its virtual sensors where those of a
    store sit, and ``activities`` labels what is done when in recordings that leave it open
    (``schema.OPEN_ACTIVITIES``): a store holds recordings of one setting only. Nothing is left behind when no
    recording converts. Raises ``UsageError`` for a folder or manifest that cannot be taken, and for ``sites`` where
    sensors were measured; ``DataError`` for a folder that holds nothing the adapter knows.
    """
    found = _named(adapter.find(raw), name)
    found = replace(found, card=replace(found.card, settings=_told(settings, sites, activities)))
    if not found.sources:
        raise DataError("expected recordings, found none that this adapter knows; see 'kinbench info'", where=raw)
    path = folder / f"{found.card.name}.zarr"
    before = _keys_before(path, found.card)
    outcomes = []
    with _Target(path, found.card, before) as target:
        for done, source in enumerate(found.sources):
            on_progress(done, len(found.sources), str(source.key))
            try:
                recording = prepare(source, sites, activities=activities)
                outcomes.append(_converted(recording, target.write(recording)))
            except DataError as error:
                status: Literal["failed", "skipped"] = "skipped" if isinstance(error, Skipped) else "failed"
                outcomes.append(Outcome(source.key, status, reason=_why(error, source.key) + target.drop(source.key)))
        on_progress(len(found.sources), len(found.sources), "")
    left_over = tuple(sorted(before - {source.key for source in found.sources}))
    return Conversion(path, found.card, tuple(outcomes), left_over, sites)


def _why(error: DataError, key: Key) -> str:
    """Return what is wrong, without the recording's key, which stands beside it; a file that is to blame is named."""
    where = error.where or ""
    itself = where.partition("/")[2] == str(key).partition("/")[2]  # maybe of a dataset that has another name now
    return ("" if itself or not where else f"{where}: ") + "; ".join(error.problems)


def _told(settings: str, sites: Sites | None, activities: bool) -> str:
    """Return in what way the raw files are read, as the store's card keeps it."""
    placed = f"sites of {sites.dataset}" if sites is not None else ""
    return ", ".join(filter(None, (settings, placed, "activities labelled" if activities else "")))


def _keys_before(path: Path, card: DatasetCard) -> set[Key]:
    """Return what the store holds already; raises ``UsageError`` where that is of another dataset."""
    if not path.exists():
        return set()
    there = store.open(path)
    told_then = {"settings": "", **there.card}
    other = [name for name in _IDENTITY if told_then.get(name) != getattr(card, name)]
    if other:
        told = ", ".join(f"{name} {told_then.get(name)!r} and not {getattr(card, name)!r}" for name in other)
        raise UsageError(
            f"{path} holds another dataset ({told}); give this one another name (--name), or remove that store."
        )
    return set(there.found())  # damaged ones too: converting again is how they are mended


class _Target:
    """The store to be. It is opened by the first good recording, so that a folder of bad ones leaves no empty store."""

    def __init__(self, path: Path, card: DatasetCard, before: set[Key]) -> None:
        self._path, self._card, self._before = path, card, before
        self._open = ExitStack()
        self._writer: store.Writer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def write(self, recording: Recording) -> str:
        """Write one recording and return its digest."""
        return self._writing().write(recording)

    def drop(self, key: Key) -> str:
        """Take out what an earlier conversion made of a recording that is bad now; returns what to say of it."""
        if key not in self._before:
            return ""
        self._writing().remove(key)
        return " (what an earlier conversion made of it has left the store)"

    def _writing(self) -> store.Writer:
        if self._writer is None:
            writer = store.create(self._path, dataset=self._card.name, card=asdict(self._card))
            self._writer = self._open.enter_context(writer)
        return self._writer


def prepare(source: Source, sites: Sites | None = None, *, activities: bool = False) -> Recording:
    """Return one recording in schema form; raises ``DataError`` with every reason why it cannot be believed.

    Its virtual sensors sit at ``sites``, where those are given; ``UsageError`` where its sensors were measured. With
    ``activities``, or where its adapter asks for it, what is done when is labelled from the sensors.
    """
    raw = source.load() if sites is None else _moved(source.load(), sites)
    recording = virtual_imu.synthesise(harmonisation.harmonise(raw))
    if recording.key != source.key:
        recording = _rekeyed(recording, source.key)
    recording = alignment.align(_with_angles(recording))
    if _to_label(raw, activities):
        recording = _with_activities(recording)
    breaches = recording.validate()
    if breaches:
        raise DataError([str(breach) for breach in breaches], where=source.key)
    return recording


def _to_label(raw: Recording, asked: bool) -> bool:
    """Whether activities are to be labelled: by the adapter's word, or on request where they are left open."""
    open_ = raw.attrs.get("activity", "unknown") in OPEN_ACTIVITIES
    return (asked and open_) or (raw.declared is not None and raw.declared.label_activities)


def _with_activities(recording: Recording) -> Recording:
    """Return the recording with its activities labelled, or with the reason why they cannot be."""
    try:
        return harmonisation.label_activities(recording)
    except DataError as error:  # whatever asks for no activity can still use it
        absent = dict(recording.attrs.get("absent") or {})
        return recording.with_attrs(absent={**absent, "activities": "; ".join(error.problems)})


def _moved(recording: Recording, sites: Sites) -> Recording:
    """Return the recording as declared, but with its virtual sensors at these sites."""
    declared = recording.declared or Declared()
    if recording.imu is not None:
        raise UsageError(
            f"{recording.key} has measured sensors, which sit where they sat; leave out the sites (--sites-of)."
        )
    if declared.virtual is None:
        raise DataError("has neither measured nor virtual sensors, so none can be put at other sites")
    try:
        virtual = virtual_imu.at_sites(declared.virtual, sites.placements)
    except UsageError as error:  # the sites are known places: it is this body that cannot take them
        raise DataError(str(error), where=recording.key) from error
    moved = replace(recording, declared=replace(declared, virtual=virtual))
    return moved.with_step("sites_of", **sites.plain())


def _converted(recording: Recording, digest: str) -> Outcome:
    imu, reference, sync = recording.imu, recording.reference, recording.attrs["sync"]
    first = imu if imu is not None else reference
    return Outcome(
        key=recording.key, status="converted", digest=digest,
        duration_s=None if first is None else float(first["time"].values[-1] - first["time"].values[0]),
        sensors=0 if imu is None else imu.sizes["sensor"],
        dofs=0 if reference is None or "dof" not in reference.sizes else reference.sizes["dof"],
        sync=sync["method"], offset_s=sync["offset_s"], sync_r=sync["r"],
    )  # fmt: skip


def _with_angles(recording: Recording) -> Recording:
    """Return the recording with joint angles where its reference gives segment orientations only."""
    reference = recording.reference
    if reference is None or "angle" in reference or "segment_quat" not in reference:
        return recording
    segments = {"world", *(str(name) for name in reference["segment"].values)}
    if not any(dof.proximal in segments and dof.distal in segments for dof in DOFS.values()):
        absent = dict(recording.attrs.get("absent") or {})
        return recording.with_attrs(absent={**absent, "angle": "no two segments of the reference make a joint"})
    convention = (recording.declared or Declared()).convention
    with_angles = kinematics.dofs_from_segments(reference, convention=convention)
    dofs = [str(name) for name in with_angles["dof"].values]
    return replace(recording, reference=with_angles).with_step("joint_angles", convention=convention, dofs=dofs)


def _named(found: RawDataset, name: str | None) -> RawDataset:
    """Return the dataset under another name, in its card and in every key."""
    if name is None:
        return found
    if not IDENTIFIER.fullmatch(name):
        raise UsageError(f"--name: expected letters, digits and . _ + -, got '{name}'.")
    sources = tuple(replace(source, key=replace(source.key, dataset=name)) for source in found.sources)
    return RawDataset(replace(found.card, name=name), sources)


def _rekeyed(recording: Recording, key: Key) -> Recording:
    """Return the recording under another key. Its person stays who it was: a store's name makes nobody anew."""
    named = {"dataset": key.dataset, "subject": key.subject, "session": key.session, "trial": key.trial}
    return replace(recording, key=key, attrs={**recording.attrs, **named})
