"""Models from a hub, after a yes: resumed where they were cut off, checked by their hashes."""
