"""The benchmark's protocols: frozen, versioned values."""

from kinbench_benchmarks.protocols.headline import UA, UG, UI
from kinbench_benchmarks.protocols.transfer import CROSS_DATASET

__all__ = ["CROSS_DATASET", "UA", "UG", "UI"]
