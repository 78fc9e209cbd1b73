"""Collections of lesion images: sources, labels, import, catalogue, duplicates and splits."""
