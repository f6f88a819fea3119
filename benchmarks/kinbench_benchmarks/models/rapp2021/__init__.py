"""The system of Rapp, Shin, Thomsen, Ferber, Halilaj, J Biomech 116:110229 (2021): two networks, and their fusion."""

from kinbench_benchmarks.models.rapp2021._conv1d import Conv1d
from kinbench_benchmarks.models.rapp2021._fusion import Fusion
from kinbench_benchmarks.models.rapp2021._lstm import Lstm

__all__ = ["Conv1d", "Fusion", "Lstm"]
