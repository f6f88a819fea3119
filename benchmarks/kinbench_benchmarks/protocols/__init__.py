"""The benchmark's protocols: frozen, versioned values."""

from kinbench_benchmarks.protocols.activities import CROSS_ACTIVITY
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
from kinbench_benchmarks.protocols.harmonisation import HARMONISATION_OFF
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
from kinbench_benchmarks.protocols.mixtures import CROSS_DATASET_MIXTURES
from kinbench_benchmarks.protocols.normalised import UG_SELF_NORMALISED
from kinbench_benchmarks.protocols.placement import (
    PLACEMENT_STRESS,
    PLACEMENT_STRESS_AUGMENTED,
    PLACEMENT_STRESS_RAPP,
    PLACEMENT_STRESS_SITES,
)
from kinbench_benchmarks.protocols.simulation import SIM_TO_REAL
from kinbench_benchmarks.protocols.subsets import SENSOR_SUBSETS_UA, SENSOR_SUBSETS_UG, SENSOR_SUBSETS_UI
from kinbench_benchmarks.protocols.transfer import (
    CROSS_DATASET,
    CROSS_DATASET_ADAPTED,
    CROSS_DATASET_FINETUNED,
    LEAVE_ONE_DATASET_OUT,
)

__all__ = [
    "CROSS_ACTIVITY", "CROSS_DATASET", "CROSS_DATASET_ADAPTED", "CROSS_DATASET_FINETUNED", "CROSS_DATASET_MIXTURES",
    "DATA_SIZE_PERSONS", "DATA_SIZE_PERSONS_LINEAR", "DATA_SIZE_WINDOWS", "DATA_SIZE_WINDOWS_LINEAR", "FEW_SHOT",
    "FEW_SHOT_FRACTION", "FEW_SHOT_FRACTION_SCRATCH", "FEW_SHOT_SCRATCH", "FEW_SHOT_STRIDES",
    "FEW_SHOT_STRIDES_SCRATCH", "FINETUNE_BROUGH2025", "FIVE_FOLD", "HARMONISATION_OFF", "LEARNING_CURVE",
    "LEARNING_CURVE_AXES", "LEARNING_CURVE_DATASETS", "LEARNING_CURVE_LABELS", "LEARNING_CURVE_NOISE",
    "LEARNING_CURVE_SYNC", "LEAVE_ONE_DATASET_OUT", "PLACEMENT_STRESS", "PLACEMENT_STRESS_AUGMENTED",
    "PLACEMENT_STRESS_RAPP", "PLACEMENT_STRESS_SITES", "SENSOR_SUBSETS_UA", "SENSOR_SUBSETS_UG", "SENSOR_SUBSETS_UI",
    "SIM_TO_REAL", "SPLIT_RAPP2021", "UA", "UA_HUR2025", "UG", "UG_HUR2025", "UG_SELF_NORMALISED", "UI",
]  # fmt: skip
