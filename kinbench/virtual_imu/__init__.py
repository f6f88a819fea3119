"""Virtual sensors: what an inertial sensor reads while it rides on a measured body.

``synthesise`` makes a recording's imu stream as its adapter declared it, out of ``specific_force``, ``angular_rate``,
``on_segment`` and ``smooth``; ``at_sites`` puts its sensors where real ones sit. What is named ``rapp2021`` reproduces
published signals that are wrong, for published networks that were trained on them.
"""

from kinbench.virtual_imu._rapp import random_rotations, rapp2021, rapp2021_touchdowns
from kinbench.virtual_imu._signals import angular_acceleration, angular_rate, on_segment, specific_force, transfer
from kinbench.virtual_imu._sites import at_sites, site_offset
from kinbench.virtual_imu._smoothing import smooth
from kinbench.virtual_imu._synthesis import synthesise

__all__ = [
    "angular_acceleration",
    "angular_rate",
    "at_sites",
    "on_segment",
    "random_rotations",
    "rapp2021",
    "rapp2021_touchdowns",
    "site_offset",
    "smooth",
    "specific_force",
    "synthesise",
    "transfer",
]
