"""Programs that train, each run as a process of its own."""
