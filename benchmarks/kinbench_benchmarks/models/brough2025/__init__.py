"""The transformer of Brough, Chen, Kwon, Mahajan and Tang (2025), its rotary positions corrected."""
