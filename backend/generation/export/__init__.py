"""Generated images taken away: five formats, one a module, each of them marked as synthetic."""

from backend.generation.export.writing import (
    Exported,
    export_image_folder,
    export_images,
    new_export_folder,
    pack,
)
from backend.generation.export_format import ExportFormat

__all__ = [
    "ExportFormat",
    "Exported",
    "export_image_folder",
    "export_images",
    "new_export_folder",
    "pack",
]
