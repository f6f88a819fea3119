"""Any laboratory's recordings, by a manifest (``kinbench.yaml``) that says what is in its files.

The manifest's grammar is explained in ``adapters/README.md``. Finding reads no signal; each recording is read when its
source is loaded, and one that cannot be read fails alone.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from kinbench.contracts import DatasetCard, Progress, Proposal, RawDataset, Source, ignore
from kinbench.errors import DataError, UsageError
from kinbench.recording import Recording
from kinbench_adapters._lab.editor import json_schema
from kinbench_adapters._lab.inventory import take_inventory
from kinbench_adapters._lab.manifest import EXAMPLE, FILE_NAME, Manifest, read_manifest
from kinbench_adapters._lab.proposal import propose
from kinbench_adapters._lab.recording import load


class LabAdapter:
    """Reads a folder with a ``kinbench.yaml``. ``manifest`` names another file in it."""

    card = DatasetCard(
        name="lab",
        title="Any laboratory's own recordings",
        version="1",
        description="Text, arrays and OpenSim tables, as declared in a manifest in the folder. The shortest:\n\n"
        + EXAMPLE,
        licence="as the manifest says",
        redistributable=False,
        access="your own files",
        citation="as the manifest says",
    )
    version = "1"

    def __init__(self, manifest: str = FILE_NAME) -> None:
        self._manifest = manifest

    def find(self, raw: Path) -> RawDataset:
        """Return what the manifest in ``raw`` (a folder, or the manifest itself) describes.

        Raises ``UsageError`` when there is no folder or manifest, or the manifest has mistakes; ``DataError`` when no
        file fits its patterns.
        """
        file = self._locate(raw)
        manifest, root = read_manifest(file)
        plans, orphans = take_inventory(manifest, file, root)
        card = _card(manifest)
        sources = [Source(plan.key, plan.paths, partial(load, plan, card, self.version)) for plan in plans]
        sources += [Source(key, (path,), partial(_refuse_orphan, path)) for key, path in orphans]
        return RawDataset(card, tuple(sorted(sources, key=lambda source: source.key)))

    def propose(self, raw: Path, *, to: Path | None = None, on_progress: Progress = ignore) -> Proposal:
        """Return the manifest that a folder without one would need, with what speaks for each of its fields.

        ``to`` is the file that the manifest will stand in; outside the folder, it says where the recordings are. Reads
        beginnings and a few recordings, not all. Raises ``UsageError`` where there is no folder, ``DataError`` where no
        file in it holds what a manifest can describe.
        """
        return propose(raw, to=to, on_progress=on_progress)

    @staticmethod
    def schema() -> dict[str, Any]:
        """Return the manifest's grammar as a JSON Schema, for editors: keys, words and kinds of values.

        ``python -m kinbench_adapters.lab`` writes it. What holds between keys only ``find`` tells.
        """
        return json_schema()

    def _locate(self, raw: Path) -> Path:
        if raw.is_file():
            return raw
        if not raw.is_dir():
            raise UsageError(f"there is no folder '{raw}'; give the folder that holds {self._manifest}")
        path = raw / self._manifest
        if not path.is_file():
            raise UsageError(f"there is no {self._manifest} in '{raw}'; 'kinbench info lab' shows the shortest one")
        return path


def _card(manifest: Manifest) -> DatasetCard:
    facts = manifest.dataset
    return DatasetCard(
        name=facts.id, title=facts.title or facts.id, version=facts.version, description=facts.description,
        licence=facts.licence, redistributable=facts.redistributable, access=facts.access, citation=facts.citation,
        url=facts.url, simulation=manifest.simulation,
    )  # fmt: skip


def _refuse_orphan(path: Path) -> Recording:
    raise DataError("is a reference without imu files: no imu file has its subject, session and trial", where=path)


if __name__ == "__main__":
    print(json.dumps(LabAdapter.schema(), indent=2))
