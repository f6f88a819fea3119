"""kinbench's own tasks, protocols and models. Registered like anyone else's, by entry point."""
