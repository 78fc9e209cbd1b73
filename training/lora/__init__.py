"""The program that trains a LoRA: `python -m training.lora`."""
