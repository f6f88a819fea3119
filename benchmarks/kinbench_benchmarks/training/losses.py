"""Losses that know which targets there are."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mse(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error where ``mask`` holds, 0 where it holds nowhere; all three of one shape.

    What stands in ``target`` elsewhere plays no part, NaN included.
    """
    error = torch.where(mask, prediction - torch.where(mask, target, 0.0), 0.0)
    return (error**2).sum() / mask.sum().clamp(min=1)
