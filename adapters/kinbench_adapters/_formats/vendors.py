"""The vendors' formats by the word that a manifest has for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kinbench.errors import DataError
from kinbench_adapters._formats import apdm, dot, mt_manager, mvnx, noitom, noraxon, shimmer
from kinbench_adapters._formats.vendor import Vendor, VendorFile

VENDORS: dict[str, Vendor] = {
    "mt_manager": Vendor(mt_manager.read_vendor, one_each=True),
    "dot": Vendor(dot.read_vendor, one_each=True, options=("synchronised",)),
    "mvnx": Vendor(mvnx.read_vendor, options=("acc_kind",)),
    "apdm_csv": Vendor(apdm.read_csv),
    "apdm_h5": Vendor(apdm.read_h5),
    "shimmer": Vendor(shimmer.read_vendor, one_each=None, options=("accelerometer", "synchronised")),
    "noraxon": Vendor(noraxon.read_vendor),
    "noitom": Vendor(noitom.read_vendor, up="y", clocked=False, options=("acc_unit", "acc_kind", "gyr_unit")),
}


def read_vendor(name: str, path: Path, wanted: Iterable[str] = (), **options: Any) -> VendorFile:
    """Read one file by the vendor's word, with further columns by name and the options that are given."""
    given = {key: value for key, value in options.items() if value is not None}
    return VENDORS[name].read(path, tuple(wanted), **given)


def read_vendors(name: str, paths: Mapping[str, Path], **options: Any) -> dict[str, VendorFile]:
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
