"""What can be said of the reference: which files hold joint angles, which column is which joint, sign, unit, clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench import inspection, schema
from kinbench.contracts import Guess
from kinbench_adapters._lab.proposal.folder import Family
from kinbench_adapters._lab.proposal.looks import Look
from kinbench_adapters._lab.proposal.sensing import DEG, Sensing, gyr_unit, time_column
from kinbench_adapters._lab.proposal.verdicts import asked, counted, estimated, guessed, known
from kinbench_adapters._lab.proposal.vocabulary import (
    COMPUTED_WORDS,
    ENCODER_WORDS,
    OPTICAL_WORDS,
    Joint,
    read_angle_unit,
    read_joint,
    words_of,
)

FloatArray = NDArray[np.float64]

_MARKER_GROUPS = 6
"""So many triples of x, y and z in one table are markers, whatever their names."""
_WIDEST_DEG = 400.0
_NARROWEST_RAD = 0.05
_SAME_LENGTH = 0.01


@dataclass(frozen=True)
class Column:
    """One column that holds a joint's angle: as the manifest calls it, what its name says, and its numbers (n,)."""

    name: str
    joint: Joint
    values: FloatArray
    opensim: str | None = None
    """The DoF, where the name is one of OpenSim's coordinates."""


@dataclass(frozen=True)
class Truth:
    """The reference's part of a proposal. ``family`` is None where it stands in the sensors' own files."""

    family: Family | None
    look: Look
    columns: Mapping[str, Column]
    """By DoF, or by the coordinate without side where the side is not told."""
    guesses: Mapping[str, Guess]
    others: tuple[str, ...]
    """Patterns of other files with angles, and why they are not it."""


def look_at_truth(raw: Path, families: Sequence[Family], sensing: Sensing | None) -> Truth | None:
    """Return what can be said of joint angles in the folder; None where no column is one."""
    own = [] if sensing is None else [sensing.main]
    candidates: list[tuple[float, Family, dict[str, Column]]] = []
    for family in families:
        if family.signals and family not in own:
            continue
        columns = _angle_columns(family.first, raw, beside=family in own)
        if columns:
            candidates.append((_worth(family.first, columns), family, columns))
    if not candidates:
        return None
    candidates.sort(key=lambda entry: -entry[0])
    _, family, columns = candidates[0]
    others = tuple(other.naming.pattern or other.first.name for _, other, _ in candidates[1:])
    beside = family in own
    guesses: dict[str, Guess] = {}
    if not beside:
        told = f"{counted(len(family.naming.fields), 'file')} with {counted(len(columns), 'joint angle')}"
        told += f"; also there: {', '.join(others)}" if others else ""
        confidence = 0.9 if not others else 0.75
        guesses["reference.files"] = guessed("reference.files", family.naming.pattern, confidence, told)
        reader = dict(family.first.reader)
        guesses["reference.reader"] = known("reference.reader", reader if len(reader) > 1 else reader["name"], 0.98,
            f"'{family.first.name}' was read with it, {family.first.rows} rows",
        )  # fmt: skip
        _guess_rate(family, sensing, guesses)
    _guess_unit(family.first, columns, sensing, guesses)
    _guess_angles(family.first, columns, guesses)
    _guess_origin(raw, family.first, columns, guesses)
    return Truth(None if beside else family, family.first, columns, guesses, others)


# --- which columns ---------------------------------------------------------------------------------------------------


def _angle_columns(look: Look, raw: Path, *, beside: bool) -> dict[str, Column]:
    """Return the columns that are joint angles, by DoF or coordinate."""
    if look.length_unit is not None or _is_markers(look):
        return {}
    found: dict[str, list[Column]] = {}
    for name, values in look.columns.items():
        label = look.labels.get(name) or name
        aliased = schema.DOF_ALIASES.get(name.rpartition("/")[2]) if look.reader["name"] == "sto" else None
        aliased = aliased or (_bare(name) if look.reader["name"] == "sto" else None)
        joint = read_joint(label)
        if aliased is not None:
            joint = joint or Joint(
                aliased.removesuffix("_r").removesuffix("_l"), aliased[-1] if aliased[-2] == "_" else ""
            )
        if joint is None or (values.ndim == 2 and values.shape[1] not in (1, 3, 6)):
            continue
        column = Column(
            name if values.ndim == 1 else f"{name}[0]", joint, values if values.ndim == 1 else values[:, 0], aliased
        )
        if _moves_like_a_joint(column.values):
            found.setdefault(aliased or joint.dof or joint.coordinate, []).append(column)
    if not found:
        found = _by_the_files_name(look, raw, beside=beside)
    return {dof: max(columns, key=lambda c: float(np.nanstd(c.values))) for dof, columns in found.items()}


def _bare(name: str) -> str | None:
    """Return the DoF of OpenSim 4's long names, ``/jointset/knee_r/knee_angle_r/value``."""
    parts = name.strip("/").split("/")
    return schema.DOF_ALIASES.get(parts[-2]) if len(parts) > 2 and parts[-1] == "value" else None


def _by_the_files_name(look: Look, raw: Path, *, beside: bool) -> dict[str, list[Column]]:
    """A file of one angle, or of one joint's three, may say in its name alone which joint that is."""
    joint = read_joint(look.path.stem)
    plain = {name: values for name, values in look.columns.items() if values.ndim == 1}
    if beside:
        angle = {name: values for name, values in plain.items() if "angle" in words_of(look.labels.get(name) or name)}
        joint = joint or next((found for part in (raw.name, raw.parent.name) if (found := read_joint(part))), None)
        return (
            {joint.dof or joint.coordinate: [Column(n, joint, v) for n, v in angle.items()]} if joint and angle else {}
        )
    counting = {name for name, values in plain.items() if _counts(values)}
    left = {name: values for name, values in plain.items() if name not in counting and _moves_like_a_joint(values)}
    if joint is None or not 1 <= len(plain) - len(counting) <= 3 or not left:
        return {}
    return {joint.dof or joint.coordinate: [Column(name, joint, values) for name, values in left.items()]}


def _counts(values: FloatArray) -> bool:
    steps = np.diff(values[np.isfinite(values)])
    return bool(len(steps)) and bool((steps > 0).all())


def _is_markers(look: Look) -> bool:
    ends = [label.split()[-1].lower() for label in look.labels.values() if label.split()]
    return ends.count("x") >= _MARKER_GROUPS and ends.count("x") == ends.count("y") == ends.count("z")


def _moves_like_a_joint(values: FloatArray) -> bool:
    known = values[np.isfinite(values)]
    if len(known) < 20:
        return False
    low, high = np.percentile(known, (1, 99))
    return bool(_NARROWEST_RAD < high - low < _WIDEST_DEG and abs(known).max() <= _WIDEST_DEG)


def _worth(look: Look, columns: Mapping[str, Column]) -> float:
    """Rank candidates: measured before computed, more joints before fewer, longer before shorter."""
    words = set(words_of(look.name))
    computed = bool(words & COMPUTED_WORDS)
    optical = bool(words & OPTICAL_WORDS)
    return 100.0 * (not computed) + 20.0 * optical + min(len(columns), 15) + min(look.rows, 99_999) / 1e5


# --- clock and unit --------------------------------------------------------------------------------------------------


def _guess_rate(family: Family, sensing: Sensing | None, guesses: dict[str, Guess]) -> None:
    look = family.first
    if look.time_s is not None and len(look.time_s) > 1:
        rate_hz = round(float(1 / np.median(np.diff(look.time_s))), 3)
        guesses["reference.rate_hz"] = known("reference.rate_hz", rate_hz, 0.98, "the file's own clock")
        return
    column = time_column(look)
    if column is not None:
        name, reading = column
        value: dict[str, Any] = {"column": name, "unit": reading.value.unit}
        if not reading.value.regular:
            value["regular"] = False
        guesses["reference.time"] = known("reference.time", value, reading.confidence, reading.evidence)
        guesses["reference.rate_hz"] = known(
            "reference.rate_hz", round(reading.value.rate_hz, 3), 0.95, f"the column '{name}': {reading.evidence}"
        )
        return
    if look.rate_hz is not None:
        guesses["reference.rate_hz"] = known("reference.rate_hz", look.rate_hz, 0.9, look.rate_told)
        return
    guesses["reference.rate_hz"] = _rate_by_length(look, sensing)


def _rate_by_length(look: Look, sensing: Sensing | None) -> Guess:
    """As many rows as the sensors have speak for the sensors' rate; nothing else is assumed."""
    field = "reference.rate_hz"
    if sensing is not None and sensing.rate_hz is not None and sensing.rows:
        rows = next(iter(sensing.rows.values()))
        if abs(look.rows / rows - 1) <= _SAME_LENGTH:
            told = f"{look.rows} rows, the sensors have {rows} at {sensing.rate_hz:g} Hz"
            return guessed(field, sensing.rate_hz, 0.85, told)
        return asked(field, f"the file has no clock; {look.rows} rows, the sensors have {rows}")
    return asked(field, "the file has neither a clock nor a rate")


def _guess_unit(look: Look, columns: Mapping[str, Column], sensing: Sensing | None, guesses: dict[str, Guess]) -> None:
    """By the file's flag, by the range of a knee, and by how fast the sensors turn; a contradiction is a question."""
    bending = [column for dof, column in columns.items() if dof.startswith(("knee", "hip_flexion", "ankle"))]
    widest = max(bending or columns.values(), key=lambda column: _span(column.values))
    estimate = inspection.estimate_angle_unit(widest.values)
    said, where = _said_unit(look, columns)
    by_gyro = _unit_by_gyro(columns, sensing, guesses)
    if by_gyro is not None and estimate.verdict != "known":
        estimate = by_gyro
    field = "reference.unit"
    if said is None:
        guesses[field] = estimated(field, estimate)
    elif estimate.value in (None, said):
        sure = known if estimate.verdict == "known" else guessed
        guesses[field] = sure(field, said, 0.98 if sure is known else 0.9, f"{where} {said}, and {estimate.evidence}")
    else:
        guesses[field] = asked(field, f"{where} {said}, but {estimate.evidence}")
    if sensing is not None and "gyr" in sensing.families and guesses[field].value is not None:
        rate = _joint_rate(columns, guesses, 1.0 if guesses[field].value == "rad" else DEG)
        doubtful = sensing.guesses["imu.gyr.unit"].verdict != "known" and guesses[field].verdict == "known"
        if rate is not None and doubtful:
            guesses["imu.gyr.unit"] = gyr_unit(sensing, rate)


def _said_unit(look: Look, columns: Mapping[str, Column]) -> tuple[str | None, str]:
    """Return the unit that the header says, or else the names of all columns, and which of them says it."""
    if look.in_degrees is not None:
        return "deg" if look.in_degrees else "rad", "the header says"
    named = {read_angle_unit(look.labels.get(column.name) or column.name) for column in columns.values()}
    return (named.pop() if len(named) == 1 else None), "the columns' names say"


def _span(values: FloatArray) -> float:
    low, high = np.nanpercentile(values, (1, 99))
    return float(high - low)


def _joint_rate(columns: Mapping[str, Column], guesses: Mapping[str, Guess], scale: float) -> float | None:
    """Return the 90th percentile of the fastest joint's rate in rad/s, with ``scale`` units to the radian."""
    guess = guesses.get("reference.rate_hz")
    if guess is None or guess.value is None:
        return None
    fastest = [np.nanpercentile(np.abs(np.diff(c.values)), 90) * guess.value / scale for c in columns.values()]
    return float(max(fastest))


def _unit_by_gyro(
    columns: Mapping[str, Column], sensing: Sensing | None, guesses: Mapping[str, Guess]
) -> inspection.Estimate | None:
    if sensing is None or "gyr" not in sensing.families or sensing.guesses["imu.gyr.unit"].verdict != "known":
        return None
    scale = DEG if sensing.guesses["imu.gyr.unit"].value == "deg/s" else 1.0
    gyr = [values / scale for values in sensing.pooled("gyr") if values is not None]
    fastest = max(float(np.nanpercentile(np.linalg.norm(values, axis=1), 90)) for values in gyr)
    rate = _joint_rate(columns, guesses, 1.0)
    if rate is None or rate <= 0 or fastest < 0.3:
        return None
    told = f"read as rad its fastest joint turns {rate / fastest:.2g} times as fast as the fastest gyro (p90)"
    for unit, factor in (("rad", 1.0), ("deg", DEG)):
        if 0.25 < rate / factor / fastest < 3.0:
            return inspection.Estimate(unit, "known", 0.95, told)
    return None


# --- joints ----------------------------------------------------------------------------------------------------------


def _guess_angles(look: Look, columns: Mapping[str, Column], guesses: dict[str, Guess]) -> None:
    scale = DEG if guesses["reference.unit"].value == "rad" else 1.0
    unit_known = guesses["reference.unit"].value is not None
    for dof, column in columns.items():
        field = f"reference.angles.{dof}"
        where = f"column '{column.name}'"
        if dof not in schema.DOFS:
            guesses[field] = asked(field, where)
            continue
        if dof.startswith("knee_flexion"):
            sign = inspection.estimate_knee_sign(column.values * scale) if unit_known else None
            if sign is None or sign.value is None:
                told = where if sign is None else f"{where}; {sign.evidence}"
                guesses[field] = asked(field, told, {"column": column.name, "sign": None})
            else:
                value = {"column": column.name, "sign": -1} if sign.value < 0 else column.name
                # The sign is known by how knees bend, but which leg's knee it is by its name alone.
                guesses[field] = guessed(field, value, min(sign.confidence, 0.95), f"{where}; {sign.evidence}")
        elif column.opensim is not None:
            told = f"OpenSim's coordinate '{column.name}', whose sign is ours"
            guesses[field] = guessed(field, column.name, 0.9, told)  # a name: models of one vocabulary differ in sign
        else:
            guesses[field] = _by_word(field, dof, column)


def _by_word(field: str, dof: str, column: Column) -> Guess:
    """Return a hip or an ankle by the words in its name; without a word for the direction it is a question."""
    words = set(words_of(column.name))
    if column.joint.extension:
        value: Any = {"column": column.name, "sign": -1}
        return guessed(field, value, 0.7, f"by its name '{column.name}' extension is positive")
    if words & {"flexion", "flex", "dorsi", "dorsiflexion", "df"} or any("flex" in word for word in words):
        return guessed(field, column.name, 0.8, f"by its name '{column.name}' flexion is positive")
    return asked(field, f"column '{column.name}'", {"column": column.name, "sign": None})


# --- how it was measured ---------------------------------------------------------------------------------------------


def _guess_origin(raw: Path, look: Look, columns: Mapping[str, Column], guesses: dict[str, Guess]) -> None:
    words = set(words_of(f"{raw.name}/{look.name}"))
    own = set(words_of(look.name))
    text = " ".join(look.columns) + " ".join(look.labels.values())
    opensim = any(column.opensim for column in columns.values())
    v3d = look.reader["name"] == "v3d_text"
    told, tier, sure = "no file tells", None, 0.0
    if own & COMPUTED_WORDS:
        tier, sure, told = "imu_fusion", 0.6, f"'{look.name}' speaks of {', '.join(sorted(own & COMPUTED_WORDS))}"
    elif v3d:
        tier, sure, told = "optical_marker_ik", 0.8, "Visual3D makes angles of markers"
    elif set(words_of(text)) & ENCODER_WORDS:
        tier, sure, told = "encoder", 0.8, "the columns speak of an encoder"
    elif words & OPTICAL_WORDS:
        tier, sure, told = "optical_marker_ik", 0.6, f"the name speaks of {', '.join(sorted(words & OPTICAL_WORDS))}"
    guesses["reference.tier"] = guessed("reference.tier", tier, sure, told) if tier else asked("reference.tier", told)
    convention, sure, told = None, 0.0, "no file tells it"
    if opensim:
        convention, sure, told = "opensim_coordinate", 0.95, "OpenSim's coordinates by name"
    elif v3d:
        convention, sure, told = "visual3d", 0.9, "exported by Visual3D"
    elif tier == "encoder":
        convention, sure, told = "encoder_pin", 0.7, "an encoder's axis"
    field = "reference.convention"
    guesses[field] = guessed(field, convention, sure, told) if convention else asked(field, told)
