"""The starter model: a small FLUX pipeline trained from nothing on phantoms alone.

`python -m training.starter` runs every stage in order and takes up where it was stopped:
tokenizers and text encoders, phantoms, autoencoder, latents, flow, guidance, release.
"""
