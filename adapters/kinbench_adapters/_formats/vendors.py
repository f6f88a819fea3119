"""The vendors' formats by the word that a manifest has for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kinbench.errors import DataError
from kinbench_adapters._formats import mt_manager
from kinbench_adapters._formats.vendor import Vendor, VendorFile

VENDORS: dict[str, Vendor] = {
    "mt_manager": Vendor(mt_manager.read_vendor, one_each=True),
}


def read_vendor(name: str, path: Path, **options: str | None) -> VendorFile:
    """Read one file by the vendor's word, with the options that are given."""
    given = {key: value for key, value in options.items() if value is not None}
    return VENDORS[name].read(path, **given)


def read_vendors(name: str, paths: Mapping[str, Path], **options: str | None) -> dict[str, VendorFile]:
    """Read the file of every sensor, a shared one once; raises ``DataError`` with what is wrong in any of them."""
    files: dict[Path, VendorFile] = {}
    problems: list[str] = []
    for path in dict.fromkeys(paths.values()):
        try:
            files[path] = read_vendor(name, path, **options)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(problems)
    return {sensor: files[path] for sensor, path in paths.items()}
