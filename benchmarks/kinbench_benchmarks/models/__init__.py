"""Baselines and published systems, each behind the model contract."""
