"""Images of the public datasets: sources, labels, import, duplicates and splits."""
