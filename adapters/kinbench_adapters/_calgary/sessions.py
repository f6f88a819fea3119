"""What a raw folder holds: sessions in folders, in the archive as it was downloaded, and as pairs of C3D files."""

from __future__ import annotations

import mmap
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from kinbench import schema
from kinbench.errors import DataError
from kinbench.recording import Key
from kinbench_adapters._calgary.captures import MODES, Capture, modes_within, read_pair, read_session
from kinbench_adapters._calgary.metadata import TABLES, Metadata, read_metadata
from kinbench_adapters._formats.archive import members, read_member

LAYOUTS = (
    "Expected <sub_id>/<YYYYMMDDThhmmss>.json (in reformat_data/ or ric_data/ or here), an archive that holds them, or "
    "pairs <name>_run.c3d or <name>_walk.c3d with <name>_static.c3d; run_data_meta.csv and walk_data_meta.csv beside."
)

_SESSION = re.compile(r"\d{8}T\d{6}")
_C3D = re.compile(r"(?P<name>.+?)_?(?P<kind>run|walk|static)(?P<rest>[^A-Za-z].*|T\d.*)?", re.IGNORECASE)
_C3D_MODES = {"run": "running", "walk": "walking"}


@dataclass(frozen=True)
class Trial:
    """One mode of one session: whose, which files, and how to read it.

    ``folder_person`` is the person that its place among the files names, None where that names none.
    """

    key: Key
    mode: str
    session: str
    files: tuple[Path, ...]
    read: Callable[[], Capture]
    folder_person: str | None


@dataclass(frozen=True)
class _Folder:
    """The files of a raw folder that may matter, each kind in natural order of its path."""

    raw: Path
    json: tuple[Path, ...]
    c3d: tuple[Path, ...]
    archives: tuple[Path, ...]
    tables: Mapping[str, Path]

    def name_of(self, path: Path) -> str:
        """Return a path below the raw folder, with forward slashes."""
        return path.relative_to(self.raw).as_posix()


def find_trials(raw: Path, dataset: str) -> tuple[list[Trial], Metadata]:
    """Return every trial below ``raw`` and the tables; reads directories and tables, and no signals.

    Which modes a session has stands in the tables; only a session that they do not list is looked into. A session
    that lies in a folder and in the archive is taken from the folder. Raises ``DataError`` where there is none, or
    where two files would be one recording.
    """
    folder = _listed(raw)
    metadata = read_metadata(folder.tables, folder.name_of)
    found = _unique(_of_folders(folder, metadata, dataset))
    for kind in (_of_archives(folder, metadata, dataset), _of_c3d(folder, metadata, dataset)):
        found = {**_unique(kind), **found}
    if not found:
        raise DataError(f"Found no session of the Running Injury Clinic. {LAYOUTS}", where=raw)
    return sorted(found.values(), key=lambda trial: trial.key), metadata


def _listed(raw: Path) -> _Folder:
    by_kind: dict[str, list[Path]] = {".json": [], ".c3d": [], ".zip": []}
    tables: dict[str, Path] = {}
    names = {name: mode for mode, name in TABLES.items()}
    for place, folders, files in os.walk(raw):
        folders.sort()
        for file in sorted(files):
            path = Path(place, file)
            if path.suffix.lower() in by_kind:
                by_kind[path.suffix.lower()].append(path)
            elif file.lower() in names:
                first = tables.setdefault(names[file.lower()], path)
                if first != path and first.read_bytes() != path.read_bytes():
                    raise DataError(f"Found two different tables, {first} and {path}; keep one.", where=raw)
    return _Folder(raw, tuple(by_kind[".json"]), tuple(by_kind[".c3d"]), tuple(by_kind[".zip"]), tables)


def _unique(trials: Iterable[Trial]) -> dict[Key, Trial]:
    found: dict[Key, Trial] = {}
    for trial in trials:
        if trial.key in found:
            first = found[trial.key].files[0]
            raise DataError(
                f"Two files would both be '{trial.key}': {first} and {trial.files[0]}; keep one, or convert them apart."
            )
        found[trial.key] = trial
    return found


# --- the release ------------------------------------------------------------------------------------------------------


def _of_folders(folder: _Folder, metadata: Metadata, dataset: str) -> Iterator[Trial]:
    for path in folder.json:
        if _SESSION.fullmatch(path.stem):
            modes = _modes(metadata, path.stem, partial(_modes_of_file, path))
            read = partial(_read_file, path, folder.name_of(path))
            yield from _of_session(path.parent.name, path.stem, modes, path, read, dataset)


def _of_archives(folder: _Folder, metadata: Metadata, dataset: str) -> Iterator[Trial]:
    for path in folder.archives:
        for member in members(path):
            place = PurePosixPath(member.filename)
            if place.suffix.lower() == ".json" and _SESSION.fullmatch(place.stem):
                modes = _modes(metadata, place.stem, partial(_modes_of_member, path, member))
                read = partial(_read_member, path, member, f"{folder.name_of(path)}/{member.filename}")
                yield from _of_session(place.parent.name, place.stem, modes, path, read, dataset)


def _of_session(
    person: str, session: str, modes: tuple[str, ...], path: Path, read: Callable[[str], Capture], dataset: str
) -> Iterator[Trial]:
    _require_identifier(person, path)
    for mode in modes:
        yield Trial(Key(dataset, person, session, mode), mode, session, (path,), partial(read, mode), person)


def _modes(metadata: Metadata, session: str, look: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """Return a session's modes: those listed, else those it holds, else all, so that it fails alone with a reason."""
    listed = metadata.modes(session) if metadata.complete else ()
    return listed or look() or MODES


def _modes_of_file(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return ()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return modes_within(data)


def _modes_of_member(path: Path, member: zipfile.ZipInfo) -> tuple[str, ...]:
    try:
        return modes_within(read_member(path, member))
    except DataError:
        return ()  # it is damaged, and is to say so when it is loaded


def _read_file(path: Path, name: str, mode: str) -> Capture:
    return read_session(path.read_bytes(), mode, name)


def _read_member(path: Path, member: zipfile.ZipInfo, name: str, mode: str) -> Capture:
    return read_session(read_member(path, member), mode, name)


# --- pairs of C3D files -----------------------------------------------------------------------------------------------


def _of_c3d(folder: _Folder, metadata: Metadata, dataset: str) -> Iterator[Trial]:
    standing: dict[tuple[Path, str], Path] = {}
    moving: list[tuple[Path, re.Match[str]]] = []
    for path in folder.c3d:
        parts = _C3D.fullmatch(path.stem)
        if parts is None:
            continue
        if parts["kind"].lower() == "static":
            standing[path.parent, parts["name"]] = path
        else:
            moving.append((path, parts))
    for path, parts in moving:
        name, mode = parts["name"], _C3D_MODES[parts["kind"].lower()]
        rest = (parts["rest"] or "").strip("_- ")
        visit = metadata.visit(name, mode)
        person = name if visit is None else visit.sub_id
        _require_identifier(person, path)
        key = Key(dataset, person, name, f"{mode}-{rest}" if rest else mode)
        static = standing.get((path.parent, name))
        read = partial(_read_pair, path, static, folder)
        files = (path,) if static is None else (path, static)
        yield Trial(key, mode, name, files, read, None if visit is None else person)


def _read_pair(moving: Path, standing: Path | None, folder: _Folder) -> Capture:
    if standing is None:
        raise DataError("expected a standing trial '<name>_static.c3d' beside it, found none", where=moving)
    return read_pair(moving, standing, {path: folder.name_of(path) for path in (moving, standing)})


def _require_identifier(person: str, path: Path) -> None:
    if not schema.IDENTIFIER.fullmatch(person):
        raise DataError(
            f"expected the person's sub_id (letters, digits and . _ + -) as the folder's name, found '{person}'",
            where=path,
        )
