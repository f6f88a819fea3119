"""How the Kuopio gait dataset is read: the adapter is ``kinbench_adapters.kuopio``."""
