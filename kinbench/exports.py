"""A task's data for people who train elsewhere: plain arrays or tables, what they are, whose, and the fixed folds.

Beside the data lie ``export.json`` (task, channels, units, recordings, persons, digests, and what was left out and
why), ``LICENCE.txt`` (what each dataset's licence allows) and, where asked for, ``folds/<protocol>.json``. The same
stores give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from kinbench import __version__, windows
from kinbench.contracts import BenchmarkProtocol
from kinbench.errors import NotApplicable, UsageError, suggest
from kinbench.files import new_folder, refuse_folder
from kinbench.metrics import UNITS
from kinbench.protocol import Fold, fold_digest
from kinbench.recording import Key, Span, TaskEntry
from kinbench.schema import VARIABLES
from kinbench.store import Store
from kinbench.tasks import Task
from kinbench.windows import Piece, TaskData

Format = Literal["npz", "csv", "folders"]
FORMATS: tuple[Format, ...] = get_args(Format)
MARK = "export.json"
"""By this file a folder is known to be an export."""
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Export:
    """What was written: ``about`` is the content of ``export.json``."""

    folder: Path
    about: Mapping[str, Any]

    def text(self) -> str:
        """Return the export for a person: what of each dataset, under which licence, and what was left out."""
        lines = []
        for part in self.about["datasets"]:
            persons, recordings = len(part["persons"]), len(part["recordings"])
            lines.append(
                f"{part['name']}: {part['windows']} windows of {persons} person{'' if persons == 1 else 's'} in "
                f"{recordings} recording{'' if recordings == 1 else 's'}; licence {part['licence']}"
                f"{'' if part['redistributable'] else ', not to be passed on'}"
            )
            lines += [f"  left out  {key}: {reason}" for key, reason in part["excluded"].items()]
        lines += [f"folds of {name}: {said['folds']}" for name, said in self.about["folds"].items()]
        lines += [f"  {reason}" for said in self.about["folds"].values() for reason in said["not_applicable"]]
        return "\n".join([*lines, f"{len(self.about['files'])} files in {self.folder}"])

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain JSON values."""
        return {"folder": str(self.folder), **self.about}


def export(
    stores: Sequence[Store],
    task: Task,
    folder: Path,
    *,
    format: str = "npz",
    protocols: Sequence[BenchmarkProtocol] = (),
    cache: Path,
    force: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> Export:
    """Write what feeds a task in these stores into ``folder``, whole or not at all.

    ``npz``: one file a dataset, of the windows that a model may be fitted on: ``x`` (n, time, channel) and ``y`` (n,
    time, dof) float32, ``valid`` (n, time, dof), and ``person``, ``key``, ``leg`` and ``start`` (n,) of each window.
    ``csv``: one table a recording, a row per sample of the task's grid, left legs below right ones. ``folders``:
    ``TASK/Subject/IMU_Location`` and ``TASK/Subject/Joint`` with a ``.npy`` per recording. ``protocols`` also have
    their folds written, as spans of samples. Raises ``UsageError`` for a format or a folder that cannot be,
    ``NotApplicable`` where no recording feeds the task.
    """
    if format not in FORMATS:
        raise UsageError(f"There is no export format '{format}'.{suggest(format, FORMATS)}")
    _refuse_same_names(stores)
    refuse_folder(folder, MARK, force=force)
    prepared = [(store, windows.prepare(store, task, cache=cache, on_progress=on_progress)) for store in stores]
    used = [(store, data) for store, data in prepared if data.entries]
    if not used:
        raise NotApplicable(f"Nothing feeds '{task.name}': {_reasons([data for _, data in prepared])}.")
    with new_folder(folder, MARK, force=force) as place:
        for store, data in used:
            if format == "npz":
                _write_npz(data, store.digest, place, on_progress)
            else:
                (_write_tables if format == "csv" else _write_folders)(data, place, on_progress)
        folds = {protocol.card.name: _write_folds(protocol, used, task, place) for protocol in protocols}
        (place / "LICENCE.txt").write_text(_licences([store for store, _ in used]), encoding="utf-8", newline="\n")
        about = {
            "kinbench": __version__, "format": format, "task": _task(task),
            "channels": list(task.channel_names), "channel_units": _channel_units(task),
            "dofs": list(task.dofs), "dof_units": UNITS[task.quantity],
            "datasets": [_dataset(store, data) for store, data in prepared], "folds": folds,
            "files": {path.relative_to(place).as_posix(): _sha256(path) for path in _files(place)},
        }  # fmt: skip
        _write_json(place / MARK, about)
    return Export(folder, about)


def _refuse_same_names(stores: Sequence[Store]) -> None:
    names = [store.name for store in stores]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        found = f"'{twice[0]}' twice" if twice else "none"
        raise UsageError(f"Expected one store or several of different names, got {found}.")


def _reasons(every: Sequence[TaskData]) -> str:
    reasons = [reason for data in every for _, reason in data.excluded]
    return "; ".join(dict.fromkeys(reasons)) or "the stores are empty"


# --- what it is ------------------------------------------------------------------------------------------------------


def _task(task: Task) -> dict[str, Any]:
    return {
        "name": task.name, "version": task.version, "digest": windows.task_digest(task), "definition": task.plain(),
    }  # fmt: skip


def _channel_units(task: Task) -> list[str]:
    kinds = [name.split("/")[1].removesuffix("_norm") for name in task.channel_names]
    return [VARIABLES[kind].units for kind in kinds]


def _dataset(store: Store, data: TaskData) -> dict[str, Any]:
    card = store.card
    return {
        "name": store.name, "title": card.get("title", ""), "version": card.get("version", ""),
        "digest": store.digest, "licence": card.get("licence") or "unknown",
        "redistributable": bool(card.get("redistributable")), "citation": card.get("citation", ""),
        "simulation": any(entry.simulation for entry in data.entries),
        "persons": sorted({entry.person for entry in data.entries}),
        "windows": sum(_windows_in(piece, data.task) for piece in data.pieces),
        "recordings": {str(entry.key): _recording(entry, number, data) for number, entry in enumerate(data.entries)},
        "excluded": dict(data.excluded),
    }  # fmt: skip


def _recording(entry: TaskEntry, number: int, data: TaskData) -> dict[str, Any]:
    pieces = [piece for piece in data.pieces if piece.entry == number]
    return {
        "person": entry.person, "activity": entry.activity, "digest": entry.digest, "convention": entry.convention,
        "simulation": entry.simulation, "upsampled": entry.upsampled,
        "runs": {data.task.legs[piece.leg] or "body": [list(run) for run in piece.runs] for piece in pieces},
    }  # fmt: skip


def _licences(stores: Sequence[Store]) -> str:
    parts = []
    for store in stores:
        card = store.card
        allowed = (
            "may be passed on under the terms of that licence"
            if card.get("redistributable")
            else "NOT TO BE PASSED ON: for the use of whoever obtained the recordings, and of nobody else"
        )
        lines = [f"{store.name}: {card.get('title') or store.name}", f"licence: {card.get('licence') or 'unknown'}"]
        lines += [f"these files: {allowed}"]
        lines += [f"{name}: {card[name]}" for name in ("citation", "url") if card.get(name)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


# --- windows as one npz a dataset ------------------------------------------------------------------------------------


def _write_npz(data: TaskData, digest: str, place: Path, on_progress: Progress) -> None:
    """Write the windows recording by recording: the memory needed is that of the longest one."""
    task, spans = data.task, [_whole(entry) for entry in data.entries]
    places = data.places([span for mine in spans for span in mine])
    shape = (places.sample.size, task.window)
    parts: list[tuple[str, tuple[int, ...], Any, Callable[[Sequence[Span]], NDArray[Any]]]] = [
        ("x", (*shape, len(task.channel_names)), np.float32, lambda mine: data.batches(mine).x),
        ("y", (*shape, len(task.dofs)), np.float32, lambda mine: data.batches(mine).y),
        ("valid", (*shape, len(task.dofs)), np.bool_, lambda mine: data.batches(mine).valid),
    ]
    with ZipFile(place / f"{data.store_name}.npz", "w", ZIP_STORED) as archive:
        for number, (name, full, dtype, cut) in enumerate(parts):
            with archive.open(_member(name), "w", force_zip64=True) as file:
                _write_header(file, full, np.dtype(dtype))
                for done, mine in enumerate(spans):
                    on_progress(number * len(spans) + done, len(parts) * len(spans), f"{data.store_name} {name}")
                    file.write(np.ascontiguousarray(cut(mine), np.dtype(dtype).newbyteorder("<")).tobytes())
        arrays = {
            "person": _texts([data.entries[entry].person for entry in places.entry]),
            "key": _texts([str(data.entries[entry].key) for entry in places.entry]),
            "leg": _texts([task.legs[leg] for leg in places.leg]),
            "start": places.sample,
            "channels": _texts(task.channel_names), "channel_units": _texts(_channel_units(task)),
            "dofs": _texts(task.dofs), "dof_units": _texts([UNITS[task.quantity]] * len(task.dofs)),
            "rate_hz": np.array(task.rate_hz), "window": np.array(task.window), "stride": np.array(task.stride),
            "task": np.array(task.name), "task_version": np.array(task.version),
            "task_digest": np.array(windows.task_digest(task)),
            "dataset": np.array(data.store_name), "dataset_digest": np.array(digest),
        }  # fmt: skip
        for name, values in arrays.items():
            with archive.open(_member(name), "w") as file:
                file.write(_npy(values))
    on_progress(1, 1, data.store_name)


def _whole(entry: TaskEntry) -> list[Span]:
    return [Span(str(entry.key), start, stop) for start, stop in entry.runs]


def _windows_in(piece: Piece, task: Task) -> int:
    return sum(
        max(0, stop - start - task.window) // task.stride + 1
        for start, stop in piece.runs
        if stop - start >= task.least
    )


def _texts(values: Sequence[str]) -> NDArray[np.str_]:
    return np.asarray(list(values), dtype=np.str_)


def _member(name: str) -> ZipInfo:
    """Return a member without the time or the system it was written at: the same arrays give the same bytes."""
    info = ZipInfo(f"{name}.npy")  # 1 January 1980
    info.create_system, info.external_attr = 3, 0o644 << 16
    return info


def _write_header(file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype.newbyteorder("<"))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _npy(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(values).reshape(values.shape), allow_pickle=False)
    return file.getvalue()


# --- samples as one table a recording --------------------------------------------------------------------------------


def _write_tables(data: TaskData, place: Path, on_progress: Progress) -> None:
    task = data.task
    named = [f"{name} [{unit}]" for name, unit in zip(task.channel_names, _channel_units(task), strict=True)]
    header = ["leg", "sample", "time [s]", "used", *named, *(f"{dof} [{UNITS[task.quantity]}]" for dof in task.dofs)]
    for number, entry in enumerate(data.entries):
        on_progress(number, len(data.entries), str(entry.key))
        lines = [",".join(header if task.per_leg else header[1:])]
        for piece in (piece for piece in data.pieces if piece.entry == number):
            lines += _lines(data, piece)
        path = place / _folder(entry.key, "/") / entry.key.session / f"{entry.key.trial}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
    on_progress(1, 1, data.store_name)


def _lines(data: TaskData, piece: Piece) -> Iterator[str]:
    """Yield a line a sample; numbers read back to the same float32, and what is missing is left empty."""
    task, rows = data.task, slice(piece.offset, piece.offset + piece.samples)
    used = _used(piece)
    numbers = np.concatenate([data.signals[rows], data.targets[rows]], axis=1)
    cells = np.where(np.isfinite(numbers), numbers.astype("U32"), "")
    leg = [task.legs[piece.leg]] if task.per_leg else []
    for sample, line in enumerate(cells.tolist()):
        yield ",".join([*leg, str(sample), repr(sample / task.rate_hz), str(int(used[sample])), *line])


def _used(piece: Piece) -> NDArray[np.bool_]:
    used = np.zeros(piece.samples, dtype=bool)
    for start, stop in piece.runs:
        used[start:stop] = True
    return used


def _folder(key: Key, between: str) -> str:
    return f"{key.dataset}{between}{key.subject}"


# --- samples in folders ----------------------------------------------------------------------------------------------


def _write_folders(data: TaskData, place: Path, on_progress: Progress) -> None:
    """Write ``TASK/Subject/IMU_Location`` and ``TASK/Subject/Joint``, a ``.npy`` (n, column) a recording and leg."""
    task = data.task
    top = place / task.name.replace("/", "_")
    units = dict(zip(task.channel_names, _channel_units(task), strict=True))
    units |= dict.fromkeys(task.dofs, UNITS[task.quantity])
    for done, piece in enumerate(data.pieces):
        key, leg = data.entries[piece.entry].key, task.legs[piece.leg]
        on_progress(done, len(data.pieces), str(key))
        subject = top / _folder(key, "@")  # no identifier holds an @, so no two people share a folder
        name = f"{key.trial}_{leg}" if leg else key.trial
        rows = slice(piece.offset, piece.offset + piece.samples)
        parts = {**_by_segment(data, rows), **_by_joint(data, rows)}
        for where, (_, values) in parts.items():
            path = subject / where.format(session=key.session, name=name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_npy(np.ascontiguousarray(values)))
        about = {
            "key": str(key), "person": data.entries[piece.entry].person, "leg": leg or None,
            "mirrored_onto_the_right": leg == "l" and task.axes == "segment",
            "rate_hz": task.rate_hz, "samples": piece.samples, "time_of_first_sample_s": 0.0,
            "used": [list(run) for run in piece.runs],
            "columns": {
                where.format(session=key.session, name=name): [f"{column} [{units[column]}]"
                                                               for column in columns]
                for where, (columns, _) in parts.items()
            },
        }  # fmt: skip
        _write_json(subject / "about" / key.session / f"{name}.json", about)
    on_progress(1, 1, data.store_name)


Columns = dict[str, tuple[tuple[str, ...], NDArray[np.float32]]]


def _by_segment(data: TaskData, rows: slice) -> Columns:
    names = data.task.channel_names
    found: Columns = {}
    for segment in data.task.segments:
        columns = [number for number, name in enumerate(names) if name.split("/")[0] == segment]
        where = f"{segment}/{{session}}/{{name}}.imu.npy"
        found[where] = (tuple(names[number] for number in columns), data.signals[rows][:, columns])
    return found


def _by_joint(data: TaskData, rows: slice) -> Columns:
    joints: dict[str, list[int]] = {}
    for number, dof in enumerate(data.task.dofs):
        side = dof[-2:] if dof.endswith(("_r", "_l")) else ""
        joints.setdefault(dof.split("_", 1)[0] + side, []).append(number)
    return {
        f"{joint}/{{session}}/{{name}}.{data.task.quantity}.npy": (
            tuple(data.task.dofs[number] for number in columns), data.targets[rows][:, columns]
        )
        for joint, columns in joints.items()
    }  # fmt: skip


# --- folds -----------------------------------------------------------------------------------------------------------


def _write_folds(
    protocol: BenchmarkProtocol, used: Sequence[tuple[Store, TaskData]], task: Task, place: Path
) -> dict[str, Any]:
    """Write one protocol's folds as spans, and return how many there are and why there are not more."""
    groups = [[data] for _, data in used] if protocol.card.scope == "dataset" else [[data for _, data in used]]
    folds: list[Fold] = []
    reasons = []
    for group in groups:
        try:
            folds += protocol.folds([entry for data in group for entry in data.entries], task)
        except NotApplicable as reason:
            reasons.append(f"{'+'.join(data.store_name for data in group)}: {reason}")
    name = f"folds/{protocol.card.name}.json"
    (place / "folds").mkdir(exist_ok=True)
    _write_json(
        place / name,
        {
            "protocol": asdict(protocol.card), "task": _task(task), "kinbench": __version__,
            "spans": "[recording, start, stop): samples at the task's rate from the recording's first imu sample; "
            "a training window lies inside one span and one run, a test scores every used sample of its spans once; "
            "a run counts training windows by the stride from where a span and a run begin together, the windows of an "
            "npz from where a run begins: where a span begins inside a run, cut them anew from csv or folders",
            "folds": [
                {
                    "name": fold.name, "digest": fold_digest(fold, task, protocol.card),
                    "test_persons": list(fold.test_persons), "train_datasets": list(fold.train_datasets),
                    "test_dataset": fold.test_dataset, "individual": fold.individual, "diagonal": fold.diagonal,
                    "notes": list(fold.notes),
                    "roles": {role: [[span.key, span.start, span.stop] for span in sorted(spans)]
                              for role, spans in fold.roles.items()},
                }
                for fold in folds
            ],
        },
    )  # fmt: skip
    return {"file": name, "folds": len(folds), "not_applicable": reasons}


# --- files -----------------------------------------------------------------------------------------------------------


def _files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
