"""Scorers of open_clip that nobody trained on the task: `python -m training.zero_shot`."""
