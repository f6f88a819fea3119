"""The benchmark's protocols: frozen, versioned values."""

from kinbench_benchmarks.protocols.headline import UA, UG, UI
from kinbench_benchmarks.protocols.placement import (
    PLACEMENT_STRESS,
    PLACEMENT_STRESS_AUGMENTED,
    PLACEMENT_STRESS_RAPP,
    PLACEMENT_STRESS_SITES,
)
from kinbench_benchmarks.protocols.subsets import SENSOR_SUBSETS_UA, SENSOR_SUBSETS_UG, SENSOR_SUBSETS_UI
from kinbench_benchmarks.protocols.transfer import CROSS_DATASET

__all__ = [
    "CROSS_DATASET", "PLACEMENT_STRESS", "PLACEMENT_STRESS_AUGMENTED", "PLACEMENT_STRESS_RAPP",
    "PLACEMENT_STRESS_SITES", "SENSOR_SUBSETS_UA", "SENSOR_SUBSETS_UG", "SENSOR_SUBSETS_UI", "UA", "UG", "UI",
]  # fmt: skip
