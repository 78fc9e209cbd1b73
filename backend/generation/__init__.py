"""From a caption to marked images: request, models, pipeline, provenance, gallery and export."""
