"""VQF per sensor, a rotation per sensor to its segment, one heading per joint, angles as the ISB takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import ModelCard
from kinbench.errors import DataError, UsageError, suggest
from kinbench.kinematics import joint_angles, matrices, quaternions
from kinbench.schema import DOFS
from kinbench.windows import Stream
from kinbench_benchmarks.models._filter import Filter
from kinbench_benchmarks.models._orientation import check_source, orientation_on_grid
from kinbench_benchmarks.models.vqf_jcs.calibration import (
    WAYS,
    as_stored,
    by_hinges,
    by_pose,
    by_principal_axes,
)
from kinbench_benchmarks.models.vqf_jcs.heading import heading_between, turned

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

HEADINGS = ("auto", "joint", "world")
_AXES = {f"{sign}{name}": s * np.eye(3)[i] for i, name in enumerate("xyz") for sign, s in (("", 1.0), ("-", -1.0))}


class VqfJcs(Filter):
    """Joint angles from two orientations each; see the settings.

    ``orientation``: ``vqf``, from acceleration and angular rate (with ``magnetometer`` the field too), or ``device``,
    what the device itself says: the only way where an export has no angular rate. ``calibration``, how a sensor sits on
    its segment: ``store`` (as declared or calibrated there), ``static`` (a person standing still has all joint angles
    zero; ``forward`` is the axis of the pelvis' sensor, or else the first one's, that points forward), ``functional``
    (gravity and the axes of hinges) or ``pca`` (gravity and principal axes); see ``calibration``. ``heading``:
    ``joint`` makes the flexion axes of neighbours agree over ``window_s``, ``world`` believes one heading of all,
    ``auto`` is ``world`` with a magnetometer and with ``device``, else ``joint``. ``offset`` as ``Filter`` says.
    """

    card = ModelCard(
        name="vqf-jcs",
        version="1",
        title="VQF and joint coordinate systems",
        description="Orientation of each sensor by VQF without the magnetometer, its rotation to the segment as the "
        "store has it, heading made one by the joint's flexion axis, ISB angles. Nothing is learnt.",
        citation="Laidig and Seel 2023, Inf. Fusion 91:187-204; Laidig et al. 2017, ICORR, 971-976; Seel et al. 2014, "
        "Sensors 14:6891-6909",
    )

    def __init__(
        self,
        orientation: str = "vqf",
        magnetometer: bool = False,
        calibration: str = "store",
        heading: str = "auto",
        window_s: float = 10.0,
        forward: str = "z",
        offset: bool = False,
    ) -> None:
        super().__init__(offset)
        check_source(orientation, magnetometer)
        _one_of("calibration", calibration, WAYS)
        _one_of("heading", heading, HEADINGS)
        _one_of("forward", forward, tuple(_AXES))
        if not window_s > 0:
            raise UsageError(f"vqf-jcs window_s: expected seconds above 0, got {window_s!r}")
        together = magnetometer or orientation == "device"
        if not together and (calibration == "static" or heading == "world"):
            what = "calibration=static" if calibration == "static" else "heading=world"
            raise UsageError(f"{what} needs one heading of all sensors: take magnetometer=true or orientation=device")
        self.orientation, self.magnetometer, self.calibration = orientation, magnetometer, calibration
        self.by_joint = heading == "joint" or (heading == "auto" and not together)
        self.window_s, self.forward = float(window_s), forward

    def estimate(self, stream: Stream) -> Float32Array:
        """Return angles (samples, dof) in degrees; NaN where either sensor beside a joint holds nothing.

        Raises ``DataError`` where a sensor or a signal is missing, or a calibration cannot be had.
        """
        joints = _joints(stream.dofs)
        segments = tuple(dict.fromkeys(segment for joint in joints for segment in joint))
        sensors = {
            segment: orientation_on_grid(
                stream, segment, orientation=self.orientation, magnetometer=self.magnetometer
            )
            for segment in segments
        }  # fmt: skip
        rotations = self._calibrated(stream, sensors)
        standing = {segment: matrices(sensors[segment]) @ rotations[segment].T for segment in segments}
        found = {joint: self._joint(standing[joint[0]], standing[joint[1]], stream) for joint in joints}
        columns = [
            DOFS[name].sign * found[DOFS[name].proximal, DOFS[name].distal][:, DOFS[name].component]
            for name in stream.dofs
        ]
        return self._levelled(stream, np.stack(columns, axis=1))

    def _calibrated(self, stream: Stream, sensors: dict[str, FloatArray]) -> dict[str, FloatArray]:
        segments = tuple(sensors)
        if self.calibration == "static":
            base = "pelvis" if "pelvis" in segments else segments[0]
            return by_pose(stream, sensors, base, _AXES[self.forward])
        if self.calibration == "store":
            return as_stored(stream, segments)
        return (by_hinges if self.calibration == "functional" else by_principal_axes)(stream, segments)

    def _joint(self, near: FloatArray, far: FloatArray, stream: Stream) -> FloatArray:
        """Return the joint's angles (samples, 3) from the rotations of its segments to a world."""
        if self.by_joint:
            far = turned(far, heading_between(near, far, round(self.window_s * stream.spec.rate_hz)))
        return joint_angles(quaternions(near), quaternions(far))


def _joints(dofs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the (proximal, distal) segments of the joints asked for, each once."""
    found = [(DOFS[name].proximal, DOFS[name].distal) for name in dofs]
    if any(proximal == "world" for proximal, _ in found):
        raise DataError("vqf-jcs estimates joints; how the pelvis stands in the world is no joint")
    return tuple(dict.fromkeys(found))


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(
            f"vqf-jcs {name}: expected one of {', '.join(choices)}, got {value!r}.{suggest(str(value), choices)}"
        )
