"""How well masked signals are made up, beside what needs no network: each channel's mean, and a straight line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.windows import Unlabelled
from kinbench_benchmarks.models.tan2024.masking import Masking
from kinbench_benchmarks.models.tan2024.network import patches_of
from kinbench_benchmarks.models.tan2024.scaling import InputScaling

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
_CHUNK = 256


class Reconstructor(Protocol):
    """A model that learnt to make up what is hidden."""

    @property
    def mask(self) -> Masking:
        """What was hidden from it."""
        ...

    @property
    def input_scaling(self) -> InputScaling:
        """How inputs are put into the network."""
        ...

    def reconstruct(self, x: Float32Array, hidden: BoolArray) -> Float32Array:
        """Return windows (n, time, channel) in SI units made up from patches that are not ``hidden`` (n, patches)."""
        ...


@dataclass(frozen=True)
class Reconstruction:
    """Root mean squared errors over all hidden values, in SDs of the channel in the pre-training windows.

    ``mean`` is that of answering each channel's mean there, ``interpolation`` that of a line over the hidden span from
    the last known sample to the next (at an end of the window, the nearest known sample).
    """

    model: float
    mean: float
    interpolation: float

    def __str__(self) -> str:
        return (
            f"reconstruction error {self.model:.3f} SD (channel mean {self.mean:.3f}, linear interpolation "
            f"{self.interpolation:.3f})"
        )


def reconstruction(
    model: Reconstructor, windows: Unlabelled, *, masking: Masking | None = None, seed: int = 0
) -> Reconstruction:
    """Return a pre-trained model's error on windows that it should not know, masked as in its training unless said.

    The length of a patch is the model's.
    Raises ``DataError`` without a hidden value to judge by.
    """
    masking = replace(masking or model.mask, patch=model.mask.patch)
    generator = np.random.default_rng(seed)
    inputs = model.input_scaling
    squares, count = np.zeros(3), 0
    for x in windows.iterate(_CHUNK):
        hidden = masking.draw(len(x), patches_of(x.shape[1], masking.patch), generator)
        samples = hidden.repeat(masking.patch, axis=1)[:, : x.shape[1]]
        scaled = inputs(x, windows.spec)
        judged = samples[..., None] & np.isfinite(scaled)
        made = inputs(model.reconstruct(x, hidden), windows.spec)
        for number, answer in enumerate((made, np.zeros_like(scaled), _lines(scaled, samples))):
            squares[number] += float(((answer - scaled)[judged].astype(np.float64) ** 2).sum())
        count += int(judged.sum())
    if not count:
        raise DataError(f"no window of '{windows.spec.task}' has a hidden value to judge a reconstruction by")
    return Reconstruction(*np.sqrt(squares / count).tolist())


def _lines(scaled: Float32Array, samples: BoolArray) -> Float32Array:
    """Return windows with hidden samples (n, time) on straight lines between known ones."""
    lines = scaled.copy()
    place = np.arange(scaled.shape[1])
    for number, hidden in enumerate(samples):
        known = place[~hidden]
        if not known.size:
            lines[number] = 0.0
            continue
        between = np.interp(place[hidden], known, np.arange(known.size))
        low, high = known[np.floor(between).astype(int)], known[np.ceil(between).astype(int)]
        share = (between % 1.0)[:, None].astype(np.float32)
        lines[number, hidden] = scaled[number, low] * (1 - share) + scaled[number, high] * share
    return lines
