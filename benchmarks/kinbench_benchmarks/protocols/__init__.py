"""The benchmark's protocols: frozen, versioned values."""

from kinbench_benchmarks.protocols.data_size import (
    DATA_SIZE_PERSONS,
    DATA_SIZE_PERSONS_LINEAR,
    DATA_SIZE_WINDOWS,
    DATA_SIZE_WINDOWS_LINEAR,
    FIVE_FOLD,
)
from kinbench_benchmarks.protocols.few_shot import (
    FEW_SHOT,
    FEW_SHOT_FRACTION,
    FEW_SHOT_FRACTION_SCRATCH,
    FEW_SHOT_SCRATCH,
    FEW_SHOT_STRIDES,
    FEW_SHOT_STRIDES_SCRATCH,
)
from kinbench_benchmarks.protocols.headline import UA, UG, UI
from kinbench_benchmarks.protocols.historical import (
    FINETUNE_BROUGH2025,
    SPLIT_RAPP2021,
    UA_HUR2025,
    UG_HUR2025,
)
from kinbench_benchmarks.protocols.learning import (
    LEARNING_CURVE,
    LEARNING_CURVE_AXES,
    LEARNING_CURVE_DATASETS,
    LEARNING_CURVE_LABELS,
    LEARNING_CURVE_NOISE,
    LEARNING_CURVE_SYNC,
)
from kinbench_benchmarks.protocols.placement import (
    PLACEMENT_STRESS,
    PLACEMENT_STRESS_AUGMENTED,
    PLACEMENT_STRESS_RAPP,
    PLACEMENT_STRESS_SITES,
)
from kinbench_benchmarks.protocols.subsets import SENSOR_SUBSETS_UA, SENSOR_SUBSETS_UG, SENSOR_SUBSETS_UI
from kinbench_benchmarks.protocols.transfer import CROSS_DATASET

__all__ = [
    "CROSS_DATASET", "DATA_SIZE_PERSONS", "DATA_SIZE_PERSONS_LINEAR", "DATA_SIZE_WINDOWS", "DATA_SIZE_WINDOWS_LINEAR",
    "FEW_SHOT", "FEW_SHOT_FRACTION", "FEW_SHOT_FRACTION_SCRATCH", "FEW_SHOT_SCRATCH", "FEW_SHOT_STRIDES",
    "FEW_SHOT_STRIDES_SCRATCH", "FINETUNE_BROUGH2025", "FIVE_FOLD", "LEARNING_CURVE", "LEARNING_CURVE_AXES",
    "LEARNING_CURVE_DATASETS", "LEARNING_CURVE_LABELS", "LEARNING_CURVE_NOISE", "LEARNING_CURVE_SYNC",
    "PLACEMENT_STRESS", "PLACEMENT_STRESS_AUGMENTED", "PLACEMENT_STRESS_RAPP", "PLACEMENT_STRESS_SITES",
    "SENSOR_SUBSETS_UA", "SENSOR_SUBSETS_UG", "SENSOR_SUBSETS_UI", "SPLIT_RAPP2021", "UA", "UA_HUR2025", "UG",
    "UG_HUR2025", "UI",
]  # fmt: skip
