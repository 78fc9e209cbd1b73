"""Captions from images, and what speaks against a caption before a person looks."""
