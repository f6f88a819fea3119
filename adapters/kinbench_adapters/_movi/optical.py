"""The cameras' segments of one round, as Visual3D wrote them, in the world they were recorded in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.arrays import Tree, read_mat_tree
from kinbench_adapters._movi.conventions import Segments, placed, segment_axes, upright_frames
from kinbench_adapters._movi.trees import numbers, struct, texts

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MISSING = -9.99999e8
SEGMENTS = {
    "RTA": "trunk", "RPV": "pelvis", "RTH": "thigh_r", "RSK": "shank_r", "RFT": "foot_r",
    "LTH": "thigh_l", "LSK": "shank_l", "LFT": "foot_l",
}  # fmt: skip
"""Visual3D's default names of the segments that the schema has."""

_VARIABLE = re.compile(r"subject_\d+_\w+", re.IGNORECASE)
_ORTHONORMAL = 1e-2
_ROOM_MM = 1e5
"""Nobody is 100 m away from the cameras or from the segment above."""
WANTED = ("subject.*", "move.motions_list", "move.flags120", "move.segment*", "move.jointsAffine_v3d",
          "move.markerLocation")  # fmt: skip


@dataclass(frozen=True)
class Optical:
    """One round of the cameras: ``segments`` ours, in millimetres, Z up; ``fields`` of the file's ``move``."""

    segments: Segments
    fields: Mapping[str, Tree]
    subject: Mapping[str, Tree]
    axes: Mapping[str, FloatArray]
    evidence: Mapping[str, object]
    upright: BoolArray

    @property
    def samples(self) -> int:
        """How many frames there are."""
        return len(self.segments.position)

    @cached_property
    def joints(self) -> FloatArray:
        """Each segment's proximal joint (n, j, 3), mm: the middle of the hips for the pelvis, else its own origin."""
        points = self.segments.position.copy()
        points[:, self.segments.names.index("pelvis")] = (
            self.segments.of("thigh_r")[1] + self.segments.of("thigh_l")[1]
        ) / 2
        return points


def read_subject(path: Path, number: int, round_: str) -> dict[str, Tree]:
    """Return what a cameras' file says of the person."""
    variable = _variable(read_mat_tree(path, keep=("*.subject.*",)), path, number, round_)
    return struct(variable, "subject", path)


def read_optical(path: Path, number: int, round_: str) -> Optical:
    """Read a cameras' file and measure how it is written; raises ``DataError`` with what is wrong with it.

    A frame of a segment is missing where Visual3D says so (-9.99999e8) or where its block is no rotation.
    """
    variable = _variable(read_mat_tree(path, keep=tuple(f"*.{name}" for name in WANTED)), path, number, round_)
    move = _move(variable, path)
    written = texts(move, "segmentName", path)
    count = len(written)
    affine = numbers(move, "jointsAffine_v3d", path, (None, count, 4, 4)).copy()
    if len(affine) < 4:
        raise DataError(f"'jointsAffine_v3d' holds {len(affine)} frames: the round is empty", where=path)
    parents = _parents(move, written, path)
    kept = _with_ancestors([written.index(name) for name in SEGMENTS if name in written], parents)
    local = affine[:, kept]
    missing = _blank_missing(local)
    found, evidence = placed(
        [SEGMENTS.get(written[index], written[index]) for index in kept], local,
        [kept.index(parents[index]) if parents[index] >= 0 else -1 for index in kept],
        _markers(move, len(affine), path), path,
    )  # fmt: skip
    segments = _ours(found, path)
    upright = upright_frames(segments)
    axes, axes_evidence = segment_axes(segments, upright, path)
    told = {
        "convention": evidence, "axes": axes_evidence, "upright_frames": int(upright.sum()), "missing": missing,
        "absent_segments": sorted(set(SEGMENTS.values()) - set(segments.names)),
    }  # fmt: skip
    return Optical(segments, move, struct(variable, "subject", path), axes, told, upright)


def _variable(tree: Mapping[str, Tree], path: Path, number: int, round_: str) -> dict[str, Tree]:
    """Return the struct of this person and round; one of another is refused, whatever the file is called."""
    wanted = f"Subject_{number}_{round_}"
    for name, value in tree.items():
        if name.lower() == wanted.lower() and isinstance(value, dict):
            return value
    others = [name for name in tree if _VARIABLE.fullmatch(name)]
    told = f"{', '.join(others)}: another performance" if others else ", ".join(tree) or "none"
    raise DataError(f"expected a variable '{wanted}', found {told}", where=path)


def _move(variable: Mapping[str, Tree], path: Path) -> dict[str, Tree]:
    """Return the whole round: ``move`` itself, or the first cell of it."""
    move = variable.get("move")
    if isinstance(move, tuple) and move and isinstance(move[0], dict):
        return move[0]
    return struct(variable, "move", path)


def _parents(move: Mapping[str, Tree], written: list[str], path: Path) -> list[int]:
    """Return 0-based parents, -1 for the root."""
    told = move.get("segmentParent")
    values = np.asarray(told, dtype=np.float64).reshape(-1) if isinstance(told, np.ndarray) else np.empty(0)
    whole = values.size == len(written) and bool((values == np.round(values)).all())
    if not whole or not ((values >= 0) & (values <= len(written))).all():
        raise DataError(
            f"expected 'segmentParent' to give one of {len(written)} segments, or 0, for each, found {values.tolist()}",
            where=path,
        )
    absent = [name for name in ("RPV", "RTH", "LTH", "RSK", "LSK", "RFT", "LFT") if name not in written]
    if absent:
        raise DataError(f"expected the segments {', '.join(SEGMENTS)}, {', '.join(absent)} lack", where=path)
    return [int(value) - 1 for value in values]


def _with_ancestors(indices: list[int], parents: list[int]) -> list[int]:
    kept: list[int] = []
    for index in indices:
        while index >= 0 and index not in kept:
            kept.append(index)
            index = parents[index]
    return kept


def _blank_missing(affine: FloatArray) -> dict[str, int]:
    """Set to NaN, in place, every pose that is not there; returns how many were said and how many were no rotation."""
    said = np.asarray((affine <= MISSING / 10).any(axis=(2, 3)) | ~np.isfinite(affine).all(axis=(2, 3)))
    affine[said] = np.nan
    block = affine[..., :3, :3]
    wild = ~said & ((np.abs(block) > 2).any(axis=(2, 3)) | (np.abs(affine) > _ROOM_MM).any(axis=(2, 3)))
    block = np.where((said | wild)[..., None, None], 0.0, block)
    off = np.abs(np.einsum("njik,njlk->njil", block, block) - np.eye(3)).max(axis=(2, 3))
    bad = ~said & ~((off < _ORTHONORMAL) & (np.linalg.det(block) > 0))
    affine[bad] = np.nan
    return {"said": int(said.sum()), "no_rotation": int(bad.sum())}


def _markers(move: Mapping[str, Tree], samples: int, path: Path) -> FloatArray | None:
    """Return (n, m, 3) mm with NaN for what is missing (Visual3D's number, or a point at the very origin)."""
    if "markerLocation" not in move:
        return None
    points = numbers(move, "markerLocation", path, (samples, None, 3)).copy()
    known = np.isfinite(points).all(axis=2) & (np.abs(np.nan_to_num(points)) < _ROOM_MM).all(axis=2)
    gone = ~known | (points == 0).all(axis=2)
    points[gone] = np.nan
    return points


def _ours(found: Segments, path: Path) -> Segments:
    """Return the schema's segments that have any frame at all; the pelvis and the legs must."""
    names = [name for name in found.names if name in SEGMENTS.values()]
    seen = [name for name in names if np.isfinite(found.of(name)[1]).any()]
    lost = sorted(set(names) - set(seen) - {"trunk"})
    if lost:
        raise DataError(f"{', '.join(lost)}: missing in every frame", where=path)
    kept = [found.names.index(name) for name in SEGMENTS.values() if name in seen]
    return Segments(tuple(found.names[index] for index in kept), found.rotation[:, kept], found.position[:, kept])
