"""What an adapter declares of raw numbers, and the engine has yet to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kinbench.recording._virtual import VirtualImu

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Sync:
    """How the reference clock stands to the imu clock.

    ``method``: ``estimated`` (measure the shift between the two declared time axes, searching ``search_s`` both
    ways), ``declared`` (``offset_s`` is the fact), ``hardware`` or ``same_clock`` (the declared axes agree). The shift
    is measured and recorded in every case; it moves the reference only under ``estimated``.
    ``offset_s`` = start of the reference minus start of the imu, on the imu's clock; positive: reference later.
    ``by`` is what is compared under ``estimated``: ``rate`` (angular rates), ``hops`` (the person's calibration hops)
    or ``orientation`` (the sensors' quaternions against those of their segments).
    """

    method: str
    offset_s: float | None = None
    search_s: float = 2.0
    by: str = "rate"


@dataclass(frozen=True)
class Calibration:
    """A request to find one sensor's rotation to its segment from its own signals.

    ``still_s`` (start, stop): gravity there gives the proximal axis. ``moving_s`` (start, stop) or None for the
    rest: the principal axis of angular rate there gives the flexion axis. Neither gives its sign: ``axis`` ('x',
    '-z', ...) is the sensor axis that nominally points to ``toward`` ('right', 'anterior'), and settles it.
    ``required`` False: where it fails the sensor is kept with an unknown rotation, and the recording says why.
    """

    still_s: tuple[float, float]
    moving_s: tuple[float, float] | None
    axis: str
    toward: str
    required: bool = True


@dataclass(frozen=True)
class Mask:
    """A span of the reference (all DoFs, or those named) that is not to be believed, on its declared clock."""

    start_s: float
    stop_s: float
    reason: str
    dofs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """Facts about raw numbers on which ``kinbench.harmonisation`` acts, in this order.

    ``imu_up`` is the axis of the quaternions' world that points up (``'z'`` for ENU). ``reference_up`` and
    ``reference_forward`` are those of the reference's world. ``segment_axes`` gives, per reference segment, the
    (3, 3) matrix from the source's segment axes to ours. ``dof_scale`` is the sign (or factor) and ``dof_zero_deg``
    what is added after it, per DoF. ``convention`` is how joint angles are to be taken from segment orientations, where
    the source gives no angles; ``virtual`` asks for virtual sensors, where it has no measured ones. ``automatic``
    names sensors whose rotation to their segment alignment may find by itself, with a confidence, and record.
    ``label_activities`` asks for ``harmonisation.label_activities`` at the end, when all clocks stand.
    """

    imu_up: str | None = None
    quat_order: str = "wxyz"
    quat_maps: str = "sensor_to_world"
    reference_up: str | None = None
    reference_forward: str | None = None
    segment_quat_order: str = "wxyz"
    segment_quat_maps: str = "segment_to_world"
    segment_axes: Mapping[str, FloatArray] = field(default_factory=dict)
    dof_scale: Mapping[str, float] = field(default_factory=dict)
    dof_zero_deg: Mapping[str, float] = field(default_factory=dict)
    masks: tuple[Mask, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    automatic: tuple[str, ...] = ()
    sync: Sync | None = None
    convention: str = "isb_zxy"
    virtual: VirtualImu | None = None
    label_activities: bool = False
