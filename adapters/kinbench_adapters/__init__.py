"""kinbench's own dataset adapters: one dataset, one door. Registered like anyone else's, by entry point."""
