"""Virtual sensors: what an inertial sensor reads while it rides on a measured body."""

from kinbench.virtual_imu._signals import angular_rate, on_segment, specific_force
from kinbench.virtual_imu._synthesis import synthesise

__all__ = ["angular_rate", "on_segment", "specific_force", "synthesise"]
