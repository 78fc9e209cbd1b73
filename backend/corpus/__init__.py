"""Public and own collections of lesion images: read, labelled, imported and catalogued."""
