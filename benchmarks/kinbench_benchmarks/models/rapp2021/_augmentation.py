"""Windows as other sensors would have felt them: turned on their segments and noisier. In training alone.

Rapp et al. (2021), 2.4. Drawn anew at every step, from the raw signals and before they are scaled; no label changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import UsageError
from kinbench.virtual_imu import random_rotations
from kinbench.windows import TaskSpec
from kinbench_benchmarks.models._state import Scaling

Float32Array = NDArray[np.float32]

TURN_SD_DEG = 13.5
"""How far a sensor is turned, as the paper says. Its code takes that for half the angle (``compat='code'``)."""
NOISE = 0.15
"""White noise of every channel, in its training SD."""
COMPAT_CODE = "code"


class Augmentation:
    """Turns and noise for drawn windows, from a generator of its own.

    Every sensor of every window is turned by a rotation of its own, about an axis uniform on the sphere by an angle
    normal about 0: its acceleration and its angular rate alike. Lengths of vectors stay. Then every channel of every
    sample, lengths too, gets white noise. ``noise_sd`` (channel,) is what one unit of noise is; ``turn_sd_deg`` 0 and
    ``noise`` 0 change nothing.
    """

    def __init__(
        self, spec: TaskSpec, noise_sd: NDArray[Any], seed: int, *,
        turn_sd_deg: float = TURN_SD_DEG, noise: float = NOISE, compat: str | None = None,
    ) -> None:  # fmt: skip
        if turn_sd_deg < 0 or noise < 0:
            raise UsageError(f"turns and noise cannot be negative, got {turn_sd_deg} degrees and {noise}")
        self._turn_sd_deg, self._noise = turn_sd_deg, noise
        self._compat = "rapp2021" if compat == COMPAT_CODE else None
        self._noise_sd = noise_sd.astype(np.float32)
        self._triads = triads(spec)
        self._generator = np.random.default_rng([seed, 2])

    def __call__(self, x: Float32Array) -> Float32Array:
        """Return (n, time, channel) as if sensors sat askew and were noisy; ``x`` stays as it is."""
        x = x.copy()
        if self._turn_sd_deg:
            for sensor in self._triads:
                turns = random_rotations(
                    len(x), sd_deg=self._turn_sd_deg, seed=int(self._generator.integers(2**32)), compat=self._compat
                ).astype(np.float32)
                for columns in sensor:
                    x[:, :, columns] = np.einsum("nij,ntj->nti", turns, x[:, :, columns])
        if self._noise:
            x += self._noise * self._noise_sd * self._generator.standard_normal(x.shape, dtype=np.float32)
        return x

    def state(self) -> dict[str, Any]:
        """Return where its generator is, JSON-plain."""
        return dict(self._generator.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._generator.bit_generator.state = state

    def fingerprint(self) -> str:
        """Return what tells these settings from others."""
        return f"augmented {self._turn_sd_deg} {self._noise} {self._compat} {self._noise_sd.tolist()}"


class Augmented:
    """A sampler whose windows are augmented as they are drawn, and scaled after that."""

    def __init__(self, sampler: Any, augmentation: Augmentation, scaling: Scaling) -> None:
        self._sampler, self._augmentation, self._scaling = sampler, augmentation, scaling

    def draw(self) -> Any:
        """Return what the sampler draws, its first array augmented and scaled, which the inputs are."""
        x, *rest = self._sampler.draw()
        return (self._scaling.inputs(self._augmentation(x)), *rest)

    def state(self) -> dict[str, Any]:
        """Return where both are."""
        return {"sampler": self._sampler.state(), "augmentation": self._augmentation.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._sampler.restore(state["sampler"])
        self._augmentation.restore(state["augmentation"])

    def fingerprint(self) -> str:
        """Return what tells windows and settings from others."""
        return f"{self._augmentation.fingerprint()} of {self._sampler.fingerprint()}"


def triads(spec: TaskSpec) -> list[list[list[int]]]:
    """Return, per sensor of a task, the columns of its vectors: of ``acc`` and ``gyr``, as far as it has them."""
    names = spec.channel_names
    return [
        [
            [names.index(f"{segment}/{channel}/{axis}") for axis in "xyz"]
            for channel in ("acc", "gyr")
            if f"{segment}/{channel}/x" in names
        ]
        for segment in spec.segments
    ]
