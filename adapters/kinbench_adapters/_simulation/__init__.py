"""The simulated cohort of ``kinbench demo``."""
