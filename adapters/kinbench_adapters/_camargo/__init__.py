"""How the dataset of Camargo et al. (2021) is read: the adapter is ``kinbench_adapters.camargo``."""
