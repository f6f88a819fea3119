"""The transformer of Brough, Chen, Kwon, Mahajan and Tang (2025), its rotary positions corrected."""

from kinbench_benchmarks.models.brough2025.model import RopeTransformer

__all__ = ["RopeTransformer"]
