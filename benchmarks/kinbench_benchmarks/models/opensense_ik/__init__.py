"""OpenSim's own inverse kinematics of sensors' orientations, as the classic that estimates are held against."""

from kinbench_benchmarks.models.opensense_ik.model import OpenSenseIk

__all__ = ["OpenSenseIk"]
