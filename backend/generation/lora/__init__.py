"""LoRAs: read in every layout, kept on a shelf, checked against a model, put into a pipeline."""
