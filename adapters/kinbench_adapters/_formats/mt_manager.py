"""Read Xsens MT Manager text exports (MTw Awinda), in the dialects of versions 4.x, 2019 to 2022.

Comment lines ``// key: value``, one header row, one row a packet; tab, comma, semicolon or space separated, with LF or
CRLF. Cells that were not selected are empty or ``NaN``. ``Acc`` is specific force in m s-2, ``FreeAcc`` free of gravity
in the earth frame, ``Gyr`` rad s-1, ``Mag`` in units of the local field, angles in degrees. ``Quat``, ``Mat``
(column-major) and Euler angles map sensor to earth (ENU, Z up). Sources: MTw Awinda User Manual (Xsens, MW0502P); the
reader of OpenSim 4.x; checked on real files. Nothing is converted, except that orientations become quaternions.
"""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError
from kinbench_adapters._formats.vendor import VendorFile, acceleration, in_sensor, orientation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

COUNTER = "PacketCounter"
TICKS = "SampleTimeFine"
TICK_HZ = 10_000.0
MATRIX = tuple(f"Mat[{row}][{column}]" for column in (1, 2, 3) for row in (1, 2, 3))
"""The order in which MT Manager writes a matrix: column after column."""

GROUPS: dict[str, tuple[str, ...]] = {
    "acc": ("Acc_X", "Acc_Y", "Acc_Z"),
    "free_acc": ("FreeAcc_X", "FreeAcc_Y", "FreeAcc_Z"),
    "gyr": ("Gyr_X", "Gyr_Y", "Gyr_Z"),
    "mag": ("Mag_X", "Mag_Y", "Mag_Z"),
    "Quat": ("Quat_q0", "Quat_q1", "Quat_q2", "Quat_q3"),
    "Mat": MATRIX,
    "Euler": ("Roll", "Pitch", "Yaw"),
}
VECTORS: tuple[str, ...] = ("acc", "gyr", "mag", "free_acc")
ORIENTATIONS = ("Quat", "Mat", "Euler")
"""In the order of preference: the first that the file holds becomes ``quat``."""

AGREEMENT_DEG = 0.1
"""Orientations held twice in one file agree within this, or one of them is not what its name says."""

_SEPARATORS = ("\t", ";", ",", " ")
_UPDATE_RATE = re.compile(r"^\s*([0-9.]+)\s*Hz\s*$")
_DEVICE = re.compile(r"_([0-9A-F]{8})$")
_MATRIX_TOLERANCE = 1e-3
_REPORTED_LINES = 10
_BOM = b"\xef\xbb\xbf"
_CHUNK = 2**18
_BLOCK = 2**12
_LAST_ASCII = 127
_LINE_END = ord("\n")


@dataclass(frozen=True)
class MtFile:
    """One sensor's export.

    ``rate_hz`` is the header's update rate, else from ``SampleTimeFine``, else None: then it must be declared.
    ``counter`` (n,) as written. ``columns`` has those of ``acc``, ``gyr``, ``mag``, ``free_acc`` (n, 3) and ``quat``
    (n, 4; w, x, y, z; sensor to earth) that hold any value; ``orientation`` says where ``quat`` came from (Quat, Mat
    or Euler). ``mended`` says what was put right in words.
    """

    path: Path
    device: str
    rate_hz: float | None
    counter: IntArray
    columns: dict[str, FloatArray]
    orientation: str | None
    header: dict[str, str]
    mended: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Layout:
    """Where the table starts in the bytes, and how its cells are told apart."""

    names: tuple[str, ...]
    separator: str
    decimal: str
    body: int
    first_line: int


def read_mt(path: Path) -> MtFile:
    """Read one MT Manager text file.

    Raises ``DataError`` naming file and line (all problems at once) when the file is absent, is not text, has no
    header row or no packet counter, no data, rows of unequal length, a last line cut short, a cell that is not a
    number, half a vector, or orientations that contradict each other.
    """
    head, size = _head(path)
    comments, layout = _layout(path, head)
    regular = _is_regular(path, layout, size)
    width = len(layout.names) if regular else _check_shape(path, layout)
    numbers = _numbers(path, layout, width, rate_known="Update Rate" in comments)
    if regular and np.isnan(numbers[layout.names[-1]]).any():
        _check_shape(path, layout)
    counter = _counter(path, numbers, layout)
    groups = _groups(path, numbers)
    mended: list[str] = []
    if "Mat" in groups:
        _mend_shifted_matrix(path, groups, mended)
    found: dict[str, FloatArray] = {name: groups[name] for name in VECTORS if name in groups}
    quaternions = _orientations(path, groups, layout)
    orientation = next((name for name in ORIENTATIONS if name in quaternions), None)
    if orientation is not None:
        found["quat"] = quaternions[orientation]
    if not found:
        raise DataError("Expected columns of at least one signal, found none with a value.", where=path)
    return MtFile(
        path, _device(path, comments), _rate(path, comments, numbers, counter), counter, found, orientation, comments,
        tuple(mended),
    )  # fmt: skip


def read_vendor(path: Path, wanted: Iterable[str] = ()) -> VendorFile:
    """Read one MT Manager text file as any vendor's: one sensor, counted by its master; raises as ``read_mt``.

    Its columns are the vectors that are no signal (``free_acc``), whatever is ``wanted``.
    """
    file = read_mt(path)
    facts = {
        "acc": acceleration(), "gyr": in_sensor("rad s-1"), "mag": in_sensor("1"), "quat": orientation(),
    }  # fmt: skip
    signals = {name: values for name, values in file.columns.items() if name in facts}
    return VendorFile(
        path, {file.device: signals}, {name: facts[name] for name in signals}, counter=file.counter,
        rate_hz=file.rate_hz, columns={name: values for name, values in file.columns.items() if name not in facts},
        filter=file.header.get("Filter Profile", "unknown"), notes=file.mended,
    )  # fmt: skip


def read_each(paths: Mapping[str, Path]) -> dict[str, MtFile]:
    """Read the file of every sensor; raises ``DataError`` with what is wrong in any of them, told at once."""
    files, problems = {}, []
    for sensor, path in paths.items():
        try:
            files[sensor] = read_mt(path)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(problems)
    return files


# --- the text --------------------------------------------------------------------------------------------------------


def _head(path: Path) -> tuple[bytes, int]:
    """Return the beginning of the file, which holds the header, and the file's size."""
    try:
        with path.open("rb") as file:
            head, size = file.read(_CHUNK), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise DataError("Expected an MT Manager text file, found none; check the name.", where=path) from None
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror}.", where=path) from error
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise DataError("Expected plain text, found UTF-16 or binary bytes; export it as text again.", where=path)
    return head, size


def _layout(path: Path, data: bytes) -> tuple[dict[str, str], _Layout]:
    comments: dict[str, str] = {}
    start, line = len(_BOM) if data.startswith(_BOM) else 0, 1
    while start < len(data):
        stop = data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop
        text = data[start:stop].decode("latin-1").rstrip("\r")
        if text.startswith("//"):
            key, _, value = text.removeprefix("//").partition(":")
            comments[key.strip()] = value.strip()
        elif text.strip():
            return comments, _header(path, text, data, body=min(stop + 1, len(data)), line=line)
        start, line = stop + 1, line + 1
    raise DataError(f"Expected a header row with '{COUNTER}', found {line - 1} lines without one.", where=path)


def _header(path: Path, text: str, data: bytes, *, body: int, line: int) -> _Layout:
    separator = next((s for s in _SEPARATORS if s in text.strip()), "\t")
    names = tuple(name.strip() for name in text.split(separator))
    if COUNTER not in names:
        raise DataError(
            f"Expected a header row with '{COUNTER}' on line {line}, found '{text[:60]}'; this is no MT Manager "
            "export, or it was exported without the packet counter, without which no clock can be had.",
            where=path,
        )
    named = [name for name in names if name]
    doubled = sorted({name for name in named if named.count(name) > 1})
    if doubled:
        raise DataError(f"Line {line} names {', '.join(doubled)} twice; expected each column once.", where=path)
    if not data[body:].strip():
        raise DataError(f"A header on line {line} without data below it; export the file again.", where=path)
    decimal = "," if separator == ";" and b"," in data[body:] else "."
    return _Layout(names, separator, decimal, body, line + 1)


def _is_regular(path: Path, layout: _Layout, size: int) -> bool:
    """Whether the totals fit rows of equal length: a glance in small pieces, several times faster than a look.

    Only where it says no, or where a last cell turns out empty (a short row and a long one can make up for each
    other, but then one has no last cell), does the exact check need to read the file once more.
    """
    separators = lines = 0
    last = b""
    piece = bytearray(_CHUNK)
    with path.open("rb") as file:
        file.seek(layout.body)
        while count := file.readinto(piece):
            data = np.frombuffer(piece, dtype=np.uint8, count=count)
            if data.max() > _LAST_ASCII or data.min() == 0:
                return False
            separators += int(np.count_nonzero(data == ord(layout.separator)))
            lines += int(np.count_nonzero(data == _LINE_END))
            last = bytes(piece[max(count - 2, 0) : count])
    ends_once = last == b"\r\n" or (last[-1:] == b"\n" and last[:1] not in (b"\r", b"\n"))
    return ends_once and size > layout.body and separators == (len(layout.names) - 1) * lines


def _check_shape(path: Path, layout: _Layout) -> int:
    """Refuse unequal rows and a last line cut short; return how many cells a row has.

    That is the header's number, or one less where the header ends with an empty name or the matrix is shifted.
    """
    body = path.read_bytes()[layout.body :]
    complete = body.endswith((b"\n", b"\r"))
    body = body.rstrip(b"\r\n")
    if b"\0" in body:
        raise DataError("Expected plain text, found binary bytes; the file is damaged.", where=path)
    if not body.isascii():
        line = layout.first_line + body[: _first_not_ascii(body)].count(b"\n")
        raise DataError(f"Line {line} holds bytes that are not ASCII; expected numbers.", where=path)
    data = np.frombuffer(body, dtype=np.uint8)
    ends = np.append(np.flatnonzero(data == ord("\n")), len(body))
    cuts = np.flatnonzero(data == ord(layout.separator))
    expected = len(layout.names) - 1
    cells = expected
    if cuts.size == (expected - 1) * ends.size and layout.names[-1] in ("", MATRIX[-1]):
        cells = expected - 1
    if cells == 0 or not _equal_rows(cuts, ends, cells):
        raise DataError(_ragged(cuts, ends, expected, layout, complete=complete), where=path)
    if not complete and ends.size > 1:
        last, before = body[ends[-2] + 1 :], body[(ends[-3] + 1 if ends.size > 2 else 0) : ends[-2]].rstrip(b"\r")
        if _decimals(last) < _decimals(before):
            line = layout.first_line + ends.size - 1
            raise DataError(f"Line {line} is cut short (no line end, its last number is shorter).", where=path)
    return cells + 1


def _first_not_ascii(body: bytes) -> int:
    return int(np.argmax(np.frombuffer(body, dtype=np.uint8) > 127))


def _equal_rows(cuts: IntArray, ends: IntArray, cells: int) -> bool:
    if cuts.size != cells * ends.size:
        return False
    rows = cuts.reshape(ends.size, cells)
    return bool((rows[:, -1] < ends).all() and (rows[1:, 0] > ends[:-1]).all())


def _decimals(line: bytes) -> int:
    return len(line) - 1 - max(line.rfind(b"."), line.rfind(b","), line.rfind(b"\t"))


def _ragged(cuts: IntArray, ends: IntArray, expected: int, layout: _Layout, *, complete: bool) -> list[str]:
    counts = np.diff(np.searchsorted(cuts, ends), prepend=0)
    wrong = np.flatnonzero(counts != expected)
    problems = [
        f"Line {layout.first_line + row} has {counts[row] + 1} cells where the header names {expected + 1}"
        + ("; the file was cut short." if row == ends.size - 1 and not complete else "; the row is damaged.")
        for row in wrong[:_REPORTED_LINES]
    ]
    if wrong.size > _REPORTED_LINES:
        problems.append(f"{wrong.size - _REPORTED_LINES} more lines have a wrong number of cells.")
    return problems


# --- the numbers -----------------------------------------------------------------------------------------------------


def _numbers(path: Path, layout: _Layout, width: int, *, rate_known: bool) -> dict[str, FloatArray]:
    wanted = {COUNTER, layout.names[-1], *(name for group in GROUPS.values() for name in group)}
    if not rate_known:
        wanted.add(TICKS)
    used = [index for index, name in enumerate(layout.names[:width]) if name in wanted]
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # a cell of text is told below, by its line
        file.seek(layout.body)
        # In pieces (low_memory, the default) and without a dtype it is fastest: fewer page faults and casts.
        table = pd.read_csv(
            file, sep=layout.separator, decimal=layout.decimal, header=None, usecols=used, names=range(width),
            index_col=False, engine="c", keep_default_na=False, na_values=["", "NaN", "nan"],
            skip_blank_lines=True, encoding="ascii", quoting=csv.QUOTE_NONE,
        )  # fmt: skip
    if any(dtype.kind not in "iuf" for dtype in table.dtypes):
        _check_shape(path, layout)
        raise DataError(_not_numbers(path, layout, used), where=path)
    numbers = {
        layout.names[index]: column.to_numpy(dtype=np.float64)
        for index, (_, column) in zip(used, table.items(), strict=True)
    }
    if width < len(layout.names) and layout.names[-1]:
        numbers[layout.names[-1]] = np.full(len(table), np.nan)
    return numbers


def _not_numbers(path: Path, layout: _Layout, used: list[int]) -> list[str]:
    problems = []
    for row, line in enumerate(path.read_bytes()[layout.body :].decode("ascii").splitlines()):
        cells = line.split(layout.separator)
        for index in used:
            text = cells[index].strip().replace(layout.decimal, ".") if index < len(cells) else ""
            if not _is_number(text):
                problems.append(
                    f"Line {layout.first_line + row}, column {layout.names[index]}: expected a number, found '{text}'."
                )
        if len(problems) >= _REPORTED_LINES:
            break
    return problems or ["A cell is not a number."]


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _counter(path: Path, numbers: dict[str, FloatArray], layout: _Layout) -> IntArray:
    values = numbers[COUNTER]
    wrong = np.flatnonzero(~np.isfinite(values) | (values != np.floor(values)))
    if wrong.size:
        raise DataError(
            (
                f"Line {layout.first_line + row}: expected a whole {COUNTER}, found '{values[row]:g}'."
                for row in wrong[:_REPORTED_LINES]
            ),
            where=path,
        )
    return values.astype(np.int64)


def _groups(path: Path, numbers: dict[str, FloatArray]) -> dict[str, FloatArray]:
    found, problems = {}, []
    for group, names in GROUPS.items():
        absent = [name for name in names if name not in numbers]
        if len(absent) == len(names):
            continue
        if absent:
            problems.append(f"Expected {', '.join(names)} together, {', '.join(absent)} missing; export all of them.")
            continue
        values = np.array([numbers[name] for name in names]).T
        if np.isfinite(values).any():
            found[group] = np.ascontiguousarray(values) if group in VECTORS else values
    if problems:
        raise DataError(problems, where=path)
    return found


def _rate(path: Path, comments: dict[str, str], numbers: dict[str, FloatArray], counter: IntArray) -> float | None:
    if "Update Rate" in comments:
        match = _UPDATE_RATE.match(comments["Update Rate"])
        if match is None or not float(match[1]) > 0:
            raise DataError(f"Expected an update rate in Hz, found '{comments['Update Rate']}'.", where=path)
        return float(match[1])
    if TICKS not in numbers:
        return None
    ticks = np.diff(numbers[TICKS]) % 2**32
    steps = np.diff(counter)
    usable = np.isfinite(ticks) & (ticks > 0) & (steps > 0)
    if not usable.any():
        return None
    return round(TICK_HZ / float(np.median(ticks[usable] / steps[usable])), 3)


def _device(path: Path, comments: dict[str, str]) -> str:
    match = _DEVICE.search(path.stem)
    return comments.get("DeviceId") or (match[1] if match else "unknown")


# --- orientations ----------------------------------------------------------------------------------------------------


def _mend_shifted_matrix(path: Path, groups: dict[str, FloatArray], mended: list[str]) -> None:
    """Put back a matrix written one column too far left, as some files of the OpenSense study have it.

    There ``Mat[3][3]`` is empty or not written and the nine values begin under ``Mag_Z``; what stands under ``Mag``
    is then not the magnetometer, so that is dropped. Raises ``DataError`` where the shifted values are no rotation
    either.
    """
    matrix = groups["Mat"]
    if not np.isnan(matrix[:, -1]).all():
        return
    if "mag" in groups:
        shifted = np.column_stack((groups["mag"][:, 2], matrix[:, :-1]))
        if np.isfinite(shifted).any() and _is_rotation(shifted)[np.isfinite(shifted).all(axis=1)].all():
            groups["Mat"] = shifted
            del groups["mag"]
            mended.append("the orientation matrix was one column too far left: moved back, the magnetometer dropped")
            return
    raise DataError(
        "Mat[3][3] is empty in every row, and the other columns hold no rotation one column to the left either; export "
        "the orientation again.",
        where=path,
    )


def _is_rotation(matrix: FloatArray) -> NDArray[np.bool_]:
    """Return per row (n, 9), column after column, whether it is orthonormal and right-handed."""
    x, y, z = np.ascontiguousarray(matrix.T).reshape(3, 3, -1)
    wrong = np.zeros(x.shape[1])
    for one, other, expected in ((x, x, 1), (y, y, 1), (z, z, 1), (x, y, 0), (x, z, 0), (y, z, 0)):
        product = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
        np.maximum(wrong, np.abs(product - expected), out=wrong)
    triple = (
        (x[1] * y[2] - x[2] * y[1]) * z[0] + (x[2] * y[0] - x[0] * y[2]) * z[1] + (x[0] * y[1] - x[1] * y[0]) * z[2]
    )
    return np.asarray((wrong < _MATRIX_TOLERANCE) & (triple > 0))


def quaternion_from_matrix(matrix: FloatArray) -> FloatArray:
    """Return (n, 4) quaternions (w, x, y, z) of matrices (n, 9) written column after column.

    The largest component is taken from the diagonal and the others from it (Shepperd 1978), then the rounding of six
    decimals is divided out. NaN where any element is.
    """
    xx, yx, zx, xy, yy, zy, xz, yz, zz = np.ascontiguousarray(matrix.T)
    squares = np.stack((xx + yy + zz, xx - yy - zz, yy - xx - zz, zz - xx - yy)) + 1.0
    w, x, y = zy - yz, xz - zx, yx - xy
    sums = {(1, 2): yx + xy, (1, 3): zx + xz, (2, 3): zy + yz}
    rows = (
        (squares[0], w, x, y),
        (w, squares[1], sums[1, 2], sums[1, 3]),
        (x, sums[1, 2], squares[2], sums[2, 3]),
        (y, sums[1, 3], sums[2, 3], squares[3]),
    )
    largest = squares.argmax(axis=0)
    quat = np.stack([np.choose(largest, [row[component] for row in rows]) for component in range(4)], axis=1)
    return np.asarray(quat / np.sqrt((quat * quat).sum(axis=1, keepdims=True)))


def _orientations(path: Path, groups: dict[str, FloatArray], layout: _Layout) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    if "Quat" in groups:
        found["Quat"] = groups["Quat"]
    if "Mat" in groups:
        found["Mat"] = _from_matrix(path, groups["Mat"], layout)
    if "Euler" in groups:
        found["Euler"] = quaternion_from_euler(groups["Euler"])
    names = [name for name in ORIENTATIONS if name in found]
    for other in names[1:]:
        angle = angle_between_deg(found[names[0]], found[other])
        worst = float(np.nanmax(angle)) if np.isfinite(angle).any() else 0.0
        if worst > AGREEMENT_DEG:
            raise DataError(
                f"{names[0]} and {other} hold one orientation twice and differ by up to {worst:.3g} degrees, first "
                f"on line {layout.first_line + int(np.argmax(angle > AGREEMENT_DEG))}; expected {AGREEMENT_DEG} at "
                "most: a column is not what its name says.",
                where=path,
            )
    return found


def _from_matrix(path: Path, matrix: FloatArray, layout: _Layout) -> FloatArray:
    quat = np.empty((len(matrix), 4))
    wrong = np.empty(len(matrix), dtype=bool)
    for start in range(0, len(matrix), _BLOCK):  # pieces that fit the processor's cache: twice as fast as the whole
        rows = slice(start, start + _BLOCK)
        quat[rows] = quaternion_from_matrix(matrix[rows])
        wrong[rows] = ~_is_rotation(matrix[rows]) & np.isfinite(quat[rows, 0])
    if wrong.any():
        raise DataError(
            f"Line {layout.first_line + int(np.argmax(wrong))}: Mat is no right-handed rotation ({int(wrong.sum())} "
            "such lines); expected orthonormal columns.",
            where=path,
        )
    return quat


def quaternion_from_euler(angles_deg: FloatArray) -> FloatArray:
    """Return (n, 4) quaternions (w, x, y, z) of roll, pitch, yaw in degrees: R = Rz(yaw) Ry(pitch) Rx(roll)."""
    known = np.isfinite(angles_deg).all(axis=1)
    quat = np.full((len(angles_deg), 4), np.nan)
    quat[known] = Rotation.from_euler("xyz", angles_deg[known], degrees=True).as_quat(scalar_first=True)
    return quat


def angle_between_deg(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the angle (n,) in degrees between two orientations (n, 4), NaN where either is not known."""
    with np.errstate(invalid="ignore"):
        a = one / np.linalg.norm(one, axis=1, keepdims=True)
        b = other / np.linalg.norm(other, axis=1, keepdims=True)
        b = np.where((a * b).sum(axis=1, keepdims=True) < 0, -b, b)
        return np.asarray(np.degrees(4 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2, 0, 1))))
