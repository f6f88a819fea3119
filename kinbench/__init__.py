"""A benchmark for joint kinematics from wearable IMUs."""
