"""AMASS's ``.npz`` files: zip archives of arrays, of which only those we know are read, and none as Python objects.

SMPL+H files (Romero et al. 2017) have 52 joints and ``mocap_framerate``, SMPL-X files (Pavlakos et al. 2019) 55 and
``mocap_frame_rate``; their first 22 joints are the same.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from kinbench.errors import DataError, Skipped

FloatArray = NDArray[np.float64]

LOWER_BODY = 10
"""Joints 0 to 9: pelvis, legs to the ankles, spine. They are alike in SMPL, SMPL+H and SMPL-X."""

FORMATS = {156: "SMPL+H", 165: "SMPL-X"}
"""The width of ``poses`` tells the body model: 52 or 55 joints of three numbers."""

RATES = ("mocap_framerate", "mocap_frame_rate")
MEMBERS = ("poses", "trans", "betas", "gender", *RATES)
"""What is read of a file. Everything else in it is left alone, whatever it is."""

MOST_BYTES = 2**31
"""What one array may take; an hour at 250 Hz takes half of it."""

FULL_TURN_RAD = 2 * np.pi
MINIMUM_FRAMES = 8
"""Fewer cannot be differenced twice with anything left in the middle."""


@dataclass(frozen=True)
class Motion:
    """What one file says. ``vectors`` (n, 10, 3) rad, rotation vectors joint to parent; ``trans`` (n, 3) m, Z up.

    ``gender`` is that of the body model, ``unknown`` where the file does not tell.
    """

    format: str
    vectors: FloatArray
    trans: FloatArray
    betas: FloatArray
    gender: str
    rate_hz: float
    not_read: tuple[str, ...]


def read_motion(path: Path, *, minimum_hz: float = 0.0) -> Motion:
    """Read one sequence.

    Raises ``Skipped`` where it tells no rate or one below ``minimum_hz``, ``DataError`` with all that is wrong with
    it: no archive, no poses, arrays of another shape or type, numbers that are none.
    """
    found, names = read_arrays(path, MEMBERS)
    if "poses" not in found:
        raise DataError(
            f"Expected 'poses', found only {', '.join(names) or 'nothing'}: a file of body shapes, or none of AMASS.",
            where=path,
        )
    rate_hz, problems = _rate(path, found, minimum_hz)
    poses, vectors = found["poses"], np.zeros((0, LOWER_BODY, 3))
    if poses.ndim != 2 or poses.shape[1] not in FORMATS or not _is_real(poses):
        problems.append(
            f"Expected poses (n, 156) of SMPL+H or (n, 165) of SMPL-X, in radians, found {poses.dtype}{poses.shape}."
        )
    else:
        vectors = np.ascontiguousarray(poses[:, : 3 * LOWER_BODY], dtype=np.float64).reshape(-1, LOWER_BODY, 3)
        problems += _pose_problems(vectors) + _trans_problems(found.get("trans"), len(vectors))
    betas = found.get("betas", np.zeros(0))
    if betas.ndim != 1 or not _is_real(betas) or not np.isfinite(betas).all():
        problems.append(f"Expected betas as one row of finite numbers, found {betas.dtype}{betas.shape}.")
    if problems or rate_hz is None:
        raise DataError(problems, where=path)
    return Motion(
        format=FORMATS[poses.shape[1]],
        vectors=vectors,
        trans=np.asarray(found["trans"], dtype=np.float64),
        betas=np.asarray(betas, dtype=np.float64),
        gender=gender_of(found.get("gender")),
        rate_hz=rate_hz,
        not_read=tuple(name for name in names if name not in MEMBERS),
    )


def problem_of(path: Path, minimum_hz: float = 50.0) -> str | None:
    """Return why a file cannot be converted, as far as its headers and its rate tell, None where nothing speaks so."""
    try:
        with _archive(path) as archive:
            if "poses.npy" not in archive.namelist():
                return "holds no poses"
        found, _ = read_arrays(path, RATES)
        _, problems = _rate(path, found, minimum_hz)
    except Skipped:  # a rule passes it over, which is nothing to mend
        return None
    except DataError as error:
        return " ".join(error.problems)
    return problems[0] if problems else None


def gender_of(value: NDArray[Any] | None) -> str:
    """Return ``female``, ``male``, ``neutral`` or ``unknown`` of a text, of bytes, or of bytes printed as a text."""
    if value is None or value.size != 1:
        return "unknown"
    told = value.reshape(-1)[0]
    text = told.decode("ascii", "replace") if isinstance(told, bytes) else str(told)
    text = text.strip().removeprefix("b").strip("'\"").lower()
    return text if text in ("female", "male", "neutral") else "unknown"


def nominal_rate(rate_hz: float) -> float:
    """Return the whole number that a rate is but for rounding (120.00004577636719 is 120), else the rate itself."""
    return float(round(rate_hz)) if abs(rate_hz - round(rate_hz)) < 1e-4 * rate_hz else rate_hz


# --- what may be wrong ------------------------------------------------------------------------------------------------


def _rate(path: Path, found: Mapping[str, NDArray[Any]], minimum_hz: float) -> tuple[float | None, list[str]]:
    """Return the rate as written, None with what is wrong with it; raises ``Skipped`` where the rule passes it over."""
    told = {name: found[name] for name in RATES if name in found}
    if not told:
        raise Skipped(f"It tells no frame rate ({' or '.join(RATES)}), and none is guessed.", where=path)
    name, value = next(iter(told.items()))
    if value.size != 1 or not _is_real(value) or not np.isfinite(value).all() or float(value.reshape(-1)[0]) <= 0:
        return None, [f"Expected one positive number as {name}, found {value.tolist()!r}."]
    rate_hz = float(value.reshape(-1)[0])
    if nominal_rate(rate_hz) < minimum_hz:
        raise Skipped(
            f"{rate_hz:g} Hz is below {minimum_hz:g} Hz, too slow for the angular rates of a moving leg; the setting "
            "minimum_hz moves that limit.",
            where=path,
        )
    return rate_hz, []


def _pose_problems(vectors: FloatArray) -> list[str]:
    if len(vectors) < MINIMUM_FRAMES:
        return [f"Expected at least {MINIMUM_FRAMES} frames, found {len(vectors)}."]
    square = np.einsum("njk,njk->nj", vectors, vectors)
    missing = ~np.isfinite(square).all(axis=1)
    if missing.any():
        return [f"Expected finite poses, found {int(missing.sum())} frames that are not, the first {missing.argmax()}."]
    largest = float(np.sqrt(square.max()))
    if largest > 2 * FULL_TURN_RAD:
        return [f"Expected rotation vectors in radians, found one of length {largest:.1f}: are these degrees?"]
    return []


def _trans_problems(trans: NDArray[Any] | None, frames: int) -> list[str]:
    if trans is None or trans.shape != (frames, 3) or not _is_real(trans):
        return [f"Expected trans ({frames}, 3) in metres, found {'none' if trans is None else trans.shape}."]
    return [] if np.isfinite(trans).all() else ["Expected finite trans, found frames that are not."]


def _is_real(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "fiu"


# --- the archive ------------------------------------------------------------------------------------------------------


def read_arrays(path: Path, members: Iterable[str]) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return those of ``members`` that an ``.npz`` holds, and the names of all it holds.

    Nothing is unpickled: an array of Python objects is not read, and is absent from the result. Raises ``DataError``
    for a file that is no such archive, is damaged, or whose arrays are not as long as they say.
    """
    found, problems = {}, []
    with _archive(path) as archive:
        inside = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        for name in members:
            if name not in inside:
                continue
            try:
                values = _array(archive, inside[name])
            except (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                problems.append(f"'{name}' cannot be read: {error}; unpack or download the file again.")
                continue
            if values is not None:
                found[name] = values
    if problems:
        raise DataError(problems, where=path)
    return found, tuple(inside)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"Expected an .npz archive: {error}; unpack or download it again.", where=path) from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any] | None:
    """Return one array, None where it holds Python objects; its header must agree with the archive's own directory."""
    with archive.open(entry) as file:
        shape, dtype, header = _header(file)
    if dtype.hasobject:
        return None
    expected = header + dtype.itemsize * int(np.prod(shape, dtype=np.float64))
    if expected != entry.file_size or expected > MOST_BYTES:
        raise ValueError(f"its header says {dtype}{shape}, which does not fit its {entry.file_size} bytes")
    with archive.open(entry) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"it is of the array format {version[0]}.{version[1]}, which is not known")
    shape, _, dtype = read(file)
    return shape, dtype, file.tell()
