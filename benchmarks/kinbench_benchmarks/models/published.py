"""The files that Brough et al. (2025) published, and the input and output layout that their networks were trained in.

A folder holds ``model.pt`` (weights by name) and ``norm_dict.pt`` (mean and SD of 16 inputs and three angles). Neither
has a licence that says what may be done with it: they are read where a person has put them, and never shipped.

The layout is that of the virtual sensors of Rapp et al. (2021), which are not physics (``virtual_imu.rapp2021``): the
accelerometer is minus the specific force, rotated the wrong way. Near the pose of touchdown it is (x, -y, z) of the
specific force; elsewhere it is a function of the orientation too, which a real sensor does not tell. Left legs were
not mirrored there; here they are, and every leg looks like a right one. The angles are flexion about the axis that
points right, negative where a hip bends and a foot lifts, then abduction and external rotation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinbench.errors import DataError
from kinbench.windows import TaskSpec
from kinbench_benchmarks.models._state import Scaling
from kinbench_benchmarks.training import read_published, read_saved

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

WEIGHTS: Final = "model.pt"
STATISTICS: Final = "norm_dict.pt"
RATE_HZ: Final = 200.0
AS_PUBLISHED: Final = "published"
"""The layout of windows whose accelerometer is what the published code makes of one: taken as they are."""
AT_TOUCHDOWN: Final = "touchdown"
"""The layout of windows that hold a specific force: (x, -y, z) of it, exact at the pose of touchdown alone."""
LAYOUTS: Final = (AS_PUBLISHED, AT_TOUCHDOWN)

_SEGMENTS: Final = {"hip": ("pelvis", "thigh"), "knee": ("thigh", "shank"), "ankle": ("shank", "foot")}
_ANGLES: Final[Mapping[str, tuple[int, float]]] = {
    "hip_flexion": (0, -1.0), "hip_adduction": (1, -1.0), "hip_internal_rotation": (2, -1.0),
    "knee_flexion": (0, 1.0), "knee_adduction": (1, -1.0), "knee_internal_rotation": (2, -1.0),
    "ankle_dorsiflexion": (0, -1.0), "ankle_inversion": (1, -1.0), "ankle_internal_rotation": (2, -1.0),
}  # fmt: skip
"""Where each of our DoFs stands among the network's three outputs, and its sign there."""


@dataclass(frozen=True)
class Published:
    """One published network: its weights by their names, and mean and SD of inputs (16,) and angles (3,), float32."""

    folder: Path
    weights: Mapping[str, Tensor]
    x_mean: Float32Array
    x_sd: Float32Array
    y_mean: Float32Array
    y_sd: Float32Array

    def scaling(self, spec: TaskSpec, layout: str) -> Scaling:
        """Return how a task's channels and DoFs are scaled for ``Relaid``. ``spec`` is one that ``check`` let pass.

        The smallest angle of its training is not among what was published, and NaN.
        """
        columns, signs = _inputs(spec, layout)
        x_mean, x_sd = np.zeros(len(spec.channel_names)), np.ones(len(spec.channel_names))
        x_mean[columns], x_sd[columns] = signs * self.x_mean, self.x_sd
        at, sign = _outputs(spec)
        y_mean, y_sd = (values[at].astype(np.float64) for values in (self.y_mean, self.y_sd))
        return Scaling(x_mean, x_sd, sign * y_mean, y_sd, np.full(len(at), np.nan))

    def check(self, spec: TaskSpec, layout: str) -> None:
        """Raise ``DataError`` unless the network can be asked for a task: all reasons at once."""
        problems = _problems(spec, layout)
        named = self.folder.name.lower()
        joint = _joint(spec)
        if named in _SEGMENTS and joint in _SEGMENTS and named != joint:
            problems.append(f"the folder names the {named} and the task the {joint}; give the weights of the {joint}")
        if problems:
            raise DataError(problems, where=self.folder)


def is_published(folder: Path) -> bool:
    """Return whether a folder looks like a publication's: weights without a card of ours."""
    return (folder / WEIGHTS).is_file() and (folder / STATISTICS).is_file()


def read(folder: Path) -> Published:
    """Return what a folder holds, on the CPU; nothing in it is executed.

    Raises ``DataError`` where a file is absent, damaged, holds anything but numbers, or has other sizes.
    """
    weights = read_published(folder / WEIGHTS)
    stored = read_saved(folder / STATISTICS).get("params")
    if not isinstance(stored, Mapping):
        raise DataError("expected mean and SD under 'params'", where=folder / STATISTICS)
    sizes = {"x_mean": 16, "x_std": 16, "y_mean": 3, "y_std": 3}
    values = [_statistic(stored, name, size, folder / STATISTICS) for name, size in sizes.items()]
    return Published(folder, weights, *values)


class Relaid(nn.Module):
    """A published network (n, time, 16) -> (n, time, 3) behind a task's own channels and DoFs, z-scores all of them.

    The z-scores are those of ``Published.scaling``: what changes is the order, and the signs that a layout exchanges.
    """

    def __init__(self, network: nn.Module, spec: TaskSpec, layout: str) -> None:
        super().__init__()
        self.network = network
        for name, (columns, signs) in (("inputs", _inputs(spec, layout)), ("outputs", _outputs(spec))):
            self.register_buffer(f"{name}_at", torch.tensor(columns), persistent=False)
            self.register_buffer(f"{name}_sign", torch.from_numpy(signs.astype(np.float32)), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """Return (n, time, dof) for (n, time, channel)."""
        out = self.network(z[..., self.get_buffer("inputs_at")] * self.get_buffer("inputs_sign"))
        relaid: Tensor = out[..., self.get_buffer("outputs_at")] * self.get_buffer("outputs_sign")
        return relaid


def _inputs(spec: TaskSpec, layout: str) -> tuple[list[int], FloatArray]:
    """Return where the network's 16 inputs stand among a task's channels, and the sign of each."""
    columns = [spec.channel_names.index(name) for name in _sixteen(spec)]
    turned = [layout == AT_TOUCHDOWN and name.endswith("/acc/y") for name in _sixteen(spec)]
    return columns, np.where(turned, -1.0, 1.0)


def _outputs(spec: TaskSpec) -> tuple[list[int], FloatArray]:
    """Return where a task's DoFs stand among the network's three outputs, and the sign of each."""
    return [_ANGLES[name][0] for name in spec.dof_names], np.array([_ANGLES[name][1] for name in spec.dof_names])


def _sixteen(spec: TaskSpec) -> list[str]:
    """Return the channels that a network reads, in its order: acc, |acc|, gyr, |gyr| of the proximal segment first."""
    kinds = ("acc/x", "acc/y", "acc/z", "acc_norm", "gyr/x", "gyr/y", "gyr/z", "gyr_norm")
    return [f"{segment}/{kind}" for segment in spec.segments for kind in kinds]


def _problems(spec: TaskSpec, layout: str) -> list[str]:
    problems = []
    if layout not in LAYOUTS:
        problems.append(
            "published weights read an accelerometer that is not physics: say compat=touchdown for windows of specific "
            f"force, or compat=published for windows in the publication's own layout (compat is {layout or 'not set'})"
        )
    joint = _joint(spec)
    if joint not in _SEGMENTS or not all(name in _ANGLES for name in spec.dof_names):
        problems.append(f"published weights give a hip, a knee or an ankle, and the task asks {_listed(spec)}")
    elif spec.segments != _SEGMENTS[joint]:
        problems.append(f"expected the sensors {' and '.join(_SEGMENTS[joint])}, got {' and '.join(spec.segments)}")
    missing = [name for name in _sixteen(spec) if name not in spec.channel_names]
    if missing:
        problems.append(f"the task has no {', '.join(missing)}")
    if spec.rate_hz != RATE_HZ:
        problems.append(f"published weights are for {RATE_HZ:g} Hz, and the task has {spec.rate_hz:g} Hz")
    return problems


def _joint(spec: TaskSpec) -> str:
    """Return the one joint of all of a task's DoFs, or nothing."""
    joints = {name.split("_")[0] for name in spec.dof_names}
    return joints.pop() if len(joints) == 1 else ""


def _listed(spec: TaskSpec) -> str:
    return ", ".join(spec.dof_names)


def _statistic(stored: Mapping[str, Any], name: str, size: int, path: Path) -> Float32Array:
    value = stored.get(name)
    if not isinstance(value, Tensor) or value.numel() != size or not bool(torch.isfinite(value).all()):
        raise DataError(f"expected '{name}' of {size} finite numbers", where=path)
    flat = value.reshape(-1).numpy().astype(np.float32)
    if name.endswith("std") and not (flat > 0).all():
        raise DataError(f"expected '{name}' above 0 throughout", where=path)
    return flat
