"""All of ``kinbench.yaml``: what a lab must say of its recordings so that no Python is needed.

Mistakes are told all at once, each with its line, its key and, where a key or word is misspelt, the likely right one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from kinbench.errors import UsageError, suggest
from kinbench.kinematics import PLUG_IN_GAIT
from kinbench_adapters._formats.vendors import VENDORS
from kinbench_adapters._lab.grammar.dataset import DatasetFacts, Person, PersonNumber, PersonTable
from kinbench_adapters._lab.grammar.files import named_reader
from kinbench_adapters._lab.grammar.imu import Imu
from kinbench_adapters._lab.grammar.recordings import Override, SyncFacts
from kinbench_adapters._lab.grammar.reference import Reference
from kinbench_adapters._lab.grammar.sensors import Sensor
from kinbench_adapters._lab.grammar.values import AUTO, Activity, Facts, Identifier
from kinbench_adapters._lab.grammar.virtual import Virtual
from kinbench_adapters._lab.mistakes import mistakes
from kinbench_adapters._lab.text import ManifestText, Mistake, load_text

FILE_NAME = "kinbench.yaml"
EXAMPLE = """\
kinbench: 1
dataset: {id: my_lab, version: "1", licence: none stated, redistributable: false}
activity: walking

imu:
  files: "{subject}/{trial}_{sensor}.csv"
  rate_hz: 60
  acc: {columns: [ax, ay, az], unit: g, kind: specific_force}
  gyr: {columns: [gx, gy, gz], unit: deg/s}
  sensors:
    thigh: {segment: thigh_r, axes: {x: proximal, z: right}}
    shank: {segment: shank_r, axes: {x: proximal, z: right}}

reference:
  files: "{subject}/{trial}_angles.csv"
  rate_hz: 60
  tier: optical_marker_ik
  convention: opensim_coordinate
  unit: deg
  angles: {knee_flexion_r: knee}

sync: {method: estimated}
"""
"""The shortest complete manifest, for people who have no manual at hand."""


class Manifest(Facts):
    """All of ``kinbench.yaml``."""

    kinbench: Literal["1"] = Field(description="the version of this grammar: 1")
    dataset: DatasetFacts
    root: str | None = None
    simulation: bool = False
    fields: dict[Literal["subject", "session", "trial"], Identifier] = Field(default_factory=dict)
    activity: Activity = "unknown"
    people: dict[str, Person] = Field(default_factory=dict)
    person_table: PersonTable | None = None
    person_columns: dict[PersonNumber, str] = Field(default_factory=dict)
    imu: Imu | None = None
    reference: Reference | None = None
    virtual: Virtual | None = None
    sync: SyncFacts | None = None
    recordings: dict[str, Override] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Manifest:
        problems = [
            *_stream_problems(self),
            *_person_problems(self),
            *_activity_problems(self),
            *_virtual_problems(self),
            *_reference_problems(self),
            *_override_problems(self),
            *_mask_problems(self),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def sensors(self) -> dict[str, Sensor]:
        """The measured sensors, by name; none where there are only virtual ones."""
        return {} if self.imu is None else self.imu.sensors


def _stream_problems(manifest: Manifest) -> Iterator[str]:
    if manifest.imu is None and manifest.reference is None:
        yield "'imu' is missing (the sensors), or a 'reference' for a lab that has none"
    if manifest.imu is None and manifest.reference is not None and not manifest.reference.in_files:
        yield "reference: 'files' is missing: there is no imu in whose files it could stand"
    if manifest.imu is None and manifest.sync is not None:
        yield "'sync' needs an imu: virtual sensors are on the reference's clock"


def _person_problems(manifest: Manifest) -> Iterator[str]:
    imu = manifest.imu
    if manifest.person_columns and (imu is None or imu.vendor is not None or imu.counter is not None):
        yield "person_columns: they stand in the imu's files, row by row; there are no such files, so use 'people'"


def _activity_problems(manifest: Manifest) -> Iterator[str]:
    """What is done when shows in angular rates or orientations, of real sensors or of virtual ones."""
    imu = manifest.imu
    turning = imu is not None and (imu.vendor is not None or imu.gyr is not None or imu.quat is not None)
    if turning or manifest.virtual is not None:
        return
    lacks = "'imu' has neither" if imu is not None else "there are no sensors"
    told = {f"recordings '{pattern}'.activity": override.activity for pattern, override in manifest.recordings.items()}
    for place, activity in {"activity": manifest.activity, **told}.items():
        if activity == AUTO:
            yield f"{place}: 'auto' tells tasks apart by 'gyr' or 'quat', and {lacks}; name the activity, or 'mixed'"


def _virtual_problems(manifest: Manifest) -> Iterator[str]:
    virtual, reference = manifest.virtual, manifest.reference
    if virtual is None:
        return
    if manifest.imu is not None:
        yield "'virtual' sensors are for a lab without real ones; leave out 'imu' or 'virtual'"
    markers = None if reference is None else reference.markers
    if reference is None or (markers is None and not reference.segments):
        yield "'virtual' sensors ride on segments: the reference needs 'markers' or 'segments'"
        return
    if markers is None:
        yield from (f"virtual.sensors.{name}: 'at' needs markers" for name, s in virtual.sensors.items() if s.at)
    told = PLUG_IN_GAIT if markers is not None and markers.set == "plug_in_gait" else None
    segments = told or (reference.segments if markers is None else markers.segments)
    for name, sensor in virtual.sensors.items():
        if sensor.segment not in segments:
            hint = suggest(sensor.segment, tuple(segments))
            yield f"virtual.sensors.{name}: the reference has no segment '{sensor.segment}'.{hint}"


def _reference_problems(manifest: Manifest) -> Iterator[str]:
    reference = manifest.reference
    if reference is None:
        return
    if reference.in_files and manifest.imu is not None and manifest.sync is None:
        yield "'sync' is missing: say how the clocks of imu and reference stand to each other"
    beside = reference.files is None and (reference.angles or reference.segments or reference.markers)
    if manifest.imu is not None and beside and "{sensor}" in (manifest.imu.files or "{sensor}"):
        yield "reference: 'files' is missing: the imu has one file per sensor, so the reference stands elsewhere"
    stream = reference if reference.files is not None else manifest.imu
    reader = None if stream is None else named_reader(stream)
    computed = (reference.angles or reference.segments) and reader in VENDORS
    if computed and reference.tier not in ("imu_fusion", "simulation"):
        yield f"reader '{reader}' gives what the sensors' own software computed: its 'tier' is imu_fusion, not a truth"


def _override_problems(manifest: Manifest) -> Iterator[str]:
    for pattern, override in manifest.recordings.items():
        for sensor in override.sensors:
            if sensor not in manifest.sensors:
                hint = suggest(sensor, tuple(manifest.sensors))
                yield f"recordings '{pattern}': there is no sensor '{sensor}'.{hint}"
        if manifest.reference is None and (override.masks or override.sync is not None):
            yield f"recordings '{pattern}': masks and sync need a reference"


def _mask_problems(manifest: Manifest) -> Iterator[str]:
    """A mask for a DoF that the reference does not give would hide nothing."""
    reference = manifest.reference
    if reference is None:
        return
    masks = {"reference": reference.masks} | {f"recordings '{p}'": o.masks for p, o in manifest.recordings.items()}
    for place, spans in masks.items():
        if (reference.segments or reference.markers) and any(mask.dofs for mask in spans):
            yield f"{place}: a mask of segments holds for all of them; leave out 'dofs'"
            continue
        for name in sorted({dof for mask in spans for dof in mask.dofs} - set(reference.angles)):
            yield f"{place}: a mask names '{name}', which the reference does not give"


def read_manifest(path: Path) -> tuple[Manifest, Path]:
    """Return the manifest at ``path`` and the folder its file patterns are relative to.

    Raises ``UsageError`` with one line per mistake: ``kinbench.yaml:12: imu.sesnors: unknown key. Did you mean ...``.
    """
    text = load_text(path)
    found: list[Mistake] = []
    try:
        manifest = Manifest.model_validate(text.plain)
    except ValidationError as error:
        found = list(mistakes(error.errors(), Manifest, text.lines))
    found += [empty for empty in text.empty() if not _told_already(empty, found)]
    if found:
        raise UsageError(text.told(found))
    return manifest, _root(manifest, text)


def _told_already(empty: Mistake, found: Iterable[Mistake]) -> bool:
    """Whether something better is said of an empty key: what its value is expected to be, or that it is needed."""
    key = empty[1].split(": ")[0]
    above, _, name = key.rpartition(".")
    return any(
        sentence.startswith(f"{key}: ") or (sentence.startswith(f"{above}: ") and f"'{name}'" in sentence)
        for _, sentence in found
    )


def _root(manifest: Manifest, text: ManifestText) -> Path:
    folder = text.path.parent
    if manifest.root is None:
        return folder

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1]) or match[2]
        if not found:
            problem = f"root: the environment variable {match[1]} is not set; set it to the folder of the recordings"
            raise UsageError(text.told([(text.lines[("root",)], problem)]))
        return found

    root = folder / Path(re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, manifest.root)).expanduser()
    if not root.is_dir():
        raise UsageError(text.told([(text.lines[("root",)], f"root: there is no folder '{root}'")]))
    return root
