"""Joint angles without any learning: an orientation filter per sensor, a joint coordinate system per joint."""

from kinbench_benchmarks.models.vqf_jcs.model import VqfJcs

__all__ = ["VqfJcs"]
