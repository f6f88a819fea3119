"""Sensors of one leg beside a reference of the other: nothing can be compared, and mostly a side is misnamed."""

from __future__ import annotations

import xarray as xr

from kinbench.schema import DOFS

_OTHER = {"_l": "_r", "_r": "_l"}


def crossed_sides(imu: xr.Dataset, reference: xr.Dataset) -> str | None:
    """Return the sentence that sensors and reference are of different legs, None where that is not what is wrong.

    It is, where no joint (segment) that the reference tells has its sensors, and one of the other leg would have.
    """
    worn = dict(zip(map(str, imu["segment"].values), map(str, imu["sensor"].values), strict=True))
    told = _told(reference)
    crossed = {name: {_other(one) for one in needed} for name, needed in told.items() if not needed <= worn.keys()}
    crossed = {name: needed for name, needed in crossed.items() if needed <= worn.keys()}
    if not crossed or any(needed <= worn.keys() for needed in told.values()):
        return None
    segments = dict.fromkeys(one for needed in crossed.values() for one in sorted(needed))
    sensors = ", ".join(f"'{worn[segment]}' on {segment}" for segment in segments)
    return (
        f"the sensors ({sensors}) are of one leg and the reference ({', '.join(crossed)}) of the other; correct the "
        "side in the sensors' 'segment' or in the reference's names, whichever is wrong"
    )


def _told(reference: xr.Dataset) -> dict[str, set[str]]:
    """Return what of the reference could be compared, each with the segments that need a sensor for it."""
    if "segment_quat" in reference:
        return {name: {name} for name in map(str, reference["segment"].values)}
    joints = (str(name) for name in reference["dof"].values) if "dof" in reference.coords else ()
    return {name: {DOFS[name].proximal, DOFS[name].distal} for name in joints if DOFS[name].component == 0}


def _other(segment: str) -> str:
    """Return the same segment of the other leg; what has no side stays."""
    return segment[:-2] + _OTHER[segment[-2:]] if segment[-2:] in _OTHER else segment
