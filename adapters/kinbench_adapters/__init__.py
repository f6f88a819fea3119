"""kinbench's own dataset adapters: one dataset, one file. Registered like anyone else's, by entry point."""
