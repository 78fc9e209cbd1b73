"""LoRA training as the page and the commands see it: what is asked, what it costs, how it goes.

The training itself is a program of its own, `training.lora`.
"""
