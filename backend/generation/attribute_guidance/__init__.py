"""Classifier guidance: a small network of a model leads its images to what their captions state.

Dhariwal and Nichol, Diffusion Models Beat GANs on Image Synthesis (NeurIPS 2021), section 4, for
rectified flow: with x_sigma = (1 - sigma) x_0 + sigma noise the velocity of an image of which `y`
is to be true is v - sigma / (1 - sigma) grad log p(y | x_sigma).
"""
