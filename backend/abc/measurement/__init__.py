"""The steps of the meter: frame, hair, skin, segmentation, indices, decision, overlay."""
