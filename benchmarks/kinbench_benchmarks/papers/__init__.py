"""The field's papers as data: what they reported, and which results here stand beside it."""

from kinbench_benchmarks.papers.brough2025 import BROUGH_2025
from kinbench_benchmarks.papers.hur2025 import HUR_2025
from kinbench_benchmarks.papers.rapp2021 import RAPP_2021
from kinbench_benchmarks.papers.tan2024 import TAN_2024

__all__ = ["BROUGH_2025", "HUR_2025", "RAPP_2021", "TAN_2024"]
