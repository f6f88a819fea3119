"""Predictions kept beside a score: plain arrays, the same bytes for the same numbers, nothing that runs when read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.results import View

_EPOCH = (1980, 1, 1, 0, 0, 0)
_NAMES = ("keys", "legs", "dofs")
_ROWS = ("index", "prediction")
MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class PredictedView:
    """One view's predicted samples, in the order of recording, leg, sample.

    ``keys`` name the recordings, ``legs`` the legs, ``dofs`` the columns; ``recording`` (m,) and ``leg`` (m,) point
    into them, ``sample`` (m,) counts at the task's rate on the recording's grid, ``prediction`` (m, dof) float32
    degrees.
    """

    keys: tuple[str, ...]
    legs: tuple[str, ...]
    dofs: tuple[str, ...]
    recording: NDArray[np.int64]
    leg: NDArray[np.int64]
    sample: NDArray[np.int64]
    prediction: NDArray[np.float32]


def pack(views: Mapping[View, PredictedView]) -> bytes:
    """Return an ``.npz`` file (uncompressed, no clock, no pickle) that holds every view.

    Per view: ``keys``, ``legs``, ``dofs`` (text), ``index`` (m, 3) recording, leg and sample, ``prediction`` (m, dof).
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for view, table in views.items():
            for name in _NAMES:
                _add(archive, f"{view}/{name}", np.array(getattr(table, name), dtype=np.str_))
            _add(archive, f"{view}/index", np.stack([table.recording, table.leg, table.sample], axis=1))
            _add(archive, f"{view}/prediction", table.prediction)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, values: NDArray[np.generic]) -> None:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True) as file:
        np.lib.format.write_array(file, little, allow_pickle=False)


def unpack(data: bytes) -> dict[str, PredictedView]:
    """Return the views of a packed file; raises ``DataError`` when it is not one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = sum(info.file_size for info in archive.infolist())
            if sizes > min(MAX_BYTES, 2 * len(data)):
                raise DataError(f"the predictions claim {sizes} bytes in a file of {len(data)}")
            names = [info.filename for info in archive.infolist()]
            arrays = {name: _read(archive, name) for name in names}
        views = dict.fromkeys(name.partition("/")[0] for name in names)
        return {view: _table({name: arrays[f"{view}/{name}.npy"] for name in (*_NAMES, *_ROWS)}) for view in views}
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise DataError(f"not a file of predictions: {error}") from error


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    with archive.open(name) as file:
        values: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    return values


def _table(arrays: Mapping[str, NDArray[np.generic]]) -> PredictedView:
    keys, legs, dofs = (tuple(str(text) for text in arrays[name]) for name in _NAMES)
    index, prediction = arrays["index"], arrays["prediction"]
    if index.shape[1:] != (3,) or prediction.shape != (index.shape[0], len(dofs)):
        raise ValueError(f"its arrays do not fit each other: index {index.shape}, prediction {prediction.shape}")
    recording, leg, sample = index.astype(np.int64).T
    return PredictedView(keys, legs, dofs, recording, leg, sample, prediction.astype(np.float32))
