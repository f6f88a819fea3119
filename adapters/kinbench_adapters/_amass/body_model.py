"""The user's own SMPL+H or SMPL-X file: a person's joints, and points of the skin, at rest. Its licence stays theirs.

J = J_regressor (v_template + shapedirs betas) (Loper et al. 2015, eq. 10). Pose blend shapes and skinning weights are
not used: a point of the skin is taken to ride rigidly on its joint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError
from kinbench_adapters._amass.archives import read_arrays
from kinbench_adapters._amass.skeleton import PARENTS, Rest

FloatArray = NDArray[np.float64]

VERTICES = {6890: "SMPL+H", 10475: "SMPL-X"}
"""How many vertices a model's mesh has tells which one it is."""

MOST_BETAS = 16
"""AMASS ships 16 shape numbers; SMPL-X's later directions are of the face."""

MEMBERS = ("v_template", "shapedirs", "J_regressor", "kintree_table")


@dataclass(frozen=True)
class BodyModel:
    """The mean body (v, 3) m, its shape directions (v, 3, b), and the regressor (12, v) of the joints we need."""

    path: Path
    format: str
    template: FloatArray
    directions: FloatArray
    regressor: FloatArray

    def shape(self, betas: FloatArray) -> FloatArray:
        """Return the person's skin at rest, (v, 3) m in model axes."""
        count = min(len(betas), self.directions.shape[2])
        return self.template + self.directions[:, :, :count] @ betas[:count]

    def rest(self, skin: FloatArray) -> Rest:
        """Return where the joints of a person with this ``skin`` are; the stature is the skin's own height."""
        source = f"{self.format} body model of the user, {self.path.name}"
        return Rest(self.regressor @ skin, "body_model", float(np.ptp(skin[:, 1])), source)


def locate(place: str, gender: str, format: str) -> Path:
    """Return the model file for a person: ``place`` itself, or in the folder ``place`` the one of that gender.

    A folder is laid out as the models are shipped: ``<gender>/model.npz`` (SMPL+H), ``SMPLX_<GENDER>.npz`` or
    ``SMPLH_<GENDER>.npz``. Raises ``UsageError`` where there is none.
    """
    path = Path(place).expanduser()
    if not path.is_dir():
        if not path.is_file():
            raise UsageError(f"adapter 'amass': body_model names '{place}', which is neither a file nor a folder.")
        return path
    stem = "SMPLX" if format == "SMPL-X" else "SMPLH"
    for name in (f"{gender}/model.npz", f"{stem}_{gender.upper()}.npz"):
        if (path / name).is_file():
            return path / name
    raise DataError(
        f"Expected the {format} body model of gender '{gender}' as '{gender}/model.npz' or "
        f"'{stem}_{gender.upper()}.npz', found neither; put it there, or give one file as body_model.",
        where=path,
    )


def gender_told(path: Path) -> str:
    """Return the gender that a model file's name or its folder's says, ``unknown`` where neither does."""
    found = re.search("female|male|neutral", f"{path.parent.name}/{path.stem}".lower())
    return "unknown" if found is None else found.group()


def read_body_model(path: Path, format: str) -> BodyModel:
    """Read what is needed of a body model of ``format``, ``SMPL+H`` or ``SMPL-X``.

    Raises ``DataError`` for a file that is none, or one of the other format: its shape numbers mean other bodies.
    """
    model = _read(path, path.stat().st_mtime_ns)
    if model.format != format:
        raise DataError(
            f"This is a {model.format} body model and the sequence is of {format}, whose betas mean other bodies; give "
            "the model that belongs to it, or convert the two flavours apart.",
            where=path,
        )
    return model


@lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int) -> BodyModel:
    found, _ = read_arrays(path, MEMBERS)
    lacking = [name for name in MEMBERS if name not in found]
    if lacking:
        raise DataError(f"Expected {', '.join(MEMBERS)} of a body model; {', '.join(lacking)} is lacking.", where=path)
    template, directions, regressor, tree = (found[name] for name in MEMBERS)
    vertices, joints = len(template), len(PARENTS)
    problems = []
    if vertices not in VERTICES or template.shape != (vertices, 3):
        problems.append(f"Expected v_template (6890, 3) of SMPL+H or (10475, 3) of SMPL-X, found {template.shape}.")
    if directions.ndim != 3 or directions.shape[:2] != (vertices, 3):
        problems.append(f"Expected shapedirs ({vertices}, 3, b), found {directions.shape}.")
    if regressor.ndim != 2 or regressor.shape[0] < joints or regressor.shape[1] != vertices:
        problems.append(f"Expected J_regressor (22 or more, {vertices}), found {regressor.shape}.")
    if tree.ndim != 2 or not np.array_equal(tree[0, 1:joints], PARENTS[1:]):
        problems.append("Expected kintree_table with SMPL's order of joints, found another.")
    if problems:
        raise DataError(problems, where=path)
    return BodyModel(
        path, VERTICES[vertices], np.asarray(template, dtype=np.float64),
        np.asarray(directions[:, :, :MOST_BETAS], dtype=np.float64), np.asarray(regressor[:joints], dtype=np.float64),
    )  # fmt: skip
