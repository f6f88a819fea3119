"""The split manifests of datasets whose people are known beforehand, as files that anybody can read and check."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from kinbench.protocol import SplitManifest, read_manifest

__all__ = ["AMASS", "CALGARY", "MOVI", "OPENSENSE", "split_of"]


@cache
def _read(name: str) -> SplitManifest:
    file = files(__name__) / f"{name}.json"
    return read_manifest(file.read_text(encoding="utf-8"), where=f"{__name__}/{name}.json")


AMASS, CALGARY, MOVI, OPENSENSE = (_read(name) for name in ("amass", "calgary", "movi", "opensense"))
_BY_DATASET = {manifest.dataset: manifest for manifest in (AMASS, CALGARY, MOVI, OPENSENSE)}


def split_of(dataset: str) -> SplitManifest | None:
    """Return the manifest of a dataset by its name, None where its folds are dealt among whoever is present."""
    return _BY_DATASET.get(dataset)
