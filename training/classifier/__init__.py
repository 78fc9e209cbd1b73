"""Classifiers of timm on mixtures of real and synthetic images: `python -m training.classifier`."""
