"""A grid of images over one or two axes, all from the same noise, and its labelled figure."""
