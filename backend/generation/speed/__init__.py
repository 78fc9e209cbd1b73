"""Speed and memory: profiles, what they do to a pipeline, and captions encoded once."""
