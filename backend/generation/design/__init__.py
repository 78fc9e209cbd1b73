"""Many captions at once: chosen attributes varied by a plan, as a table to look at and keep."""
