"""One recording: its key, its two signal streams and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import xarray as xr

from kinbench import schema
from kinbench.recording._declared import Declared
from kinbench.recording._key import Key


@dataclass(frozen=True)
class Recording:
    """Signals and metadata of one recording.

    ``imu``: dims ``time, sensor, axis, component``; variables of ``schema.VARIABLES``; placement coordinates along
    ``sensor``; optional ``valid (time, sensor)``. ``reference``: ``angle (time, dof)`` and/or
    ``segment_quat (time, segment, component)`` ...; optional ``valid (time, dof)``. Each has its own ``time``, in
    seconds.

    ``attrs`` (JSON-plain) holds ``schema.RECORDING_ATTRS``: among them ``person`` (the id of a human being over
    datasets, ``dataset/subject`` unless an alias is known, whatever the store is called), ``rates`` ({stream:
    {nominal_hz, measured_hz, regular, lost, ...}}), ``world`` (text), ``sync`` ({method, offset_s, shift_s, confidence,
    ...}), ``source`` (list of {name, sha256}), ``adapter`` ({name, version}), ``history`` (list of {step,
    ...parameters}), ``simulation`` (bool), ``absent`` ({what: reason}), optional ``compat`` (the published error that
    it reproduces on request), ``quality`` (list of flags), ``person_table`` (schema.PERSON_FIELDS).
    """

    key: Key
    imu: xr.Dataset | None
    reference: xr.Dataset | None
    attrs: Mapping[str, Any]
    declared: Declared | None = None

    def with_step(self, step: str, **parameters: Any) -> Recording:
        """Return a copy whose history ends with one more step. Parameters must be JSON-plain."""
        history = [*self.attrs.get("history", ()), {"step": step, **parameters}]
        return replace(self, attrs={**self.attrs, "history": history})

    def with_attrs(self, **attrs: Any) -> Recording:
        """Return a copy with these attributes set."""
        return replace(self, attrs={**self.attrs, **attrs})

    def validate(self) -> list[schema.Breach]:
        """Return every breach of the schema."""
        return schema.validate(self.imu, self.reference, self.attrs)
