"""What Gradio reads from the environment, settled before it is imported."""

import shutil
from collections.abc import MutableMapping
from pathlib import Path

from backend.settings import Settings
from studio.errors import StudioError

GRADIO_PREFIX = "GRADIO_"


def uploads_dir(settings: Settings) -> Path:
    """Where files dropped on the page lie while it is used."""
    return settings.workspace / "uploads"


def settle_environment(environment: MutableMapping[str, str], settings: Settings) -> None:
    """Drop every GRADIO_* variable, which could open a tunnel or a folder, and set our own.

    Analytics are off, and what a person uploads stays in the workspace.
    """
    for name in [name for name in environment if name.upper().startswith(GRADIO_PREFIX)]:
        del environment[name]
    uploads = uploads_dir(settings)
    environment["GRADIO_ANALYTICS_ENABLED"] = "False"
    environment["GRADIO_TEMP_DIR"] = str(uploads)
    environment["GRADIO_EXAMPLES_CACHE"] = str(uploads / "examples")
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"


def empty_uploads(settings: Settings) -> None:
    """Remove what an earlier run was given: it may be a patient's picture.

    Raises StudioError where the folder cannot be emptied.
    """
    folder = uploads_dir(settings)
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise StudioError(
            f"The folder {folder} cannot be emptied ({error.strerror}): "
            "close what uses it, or remove it by hand."
        ) from error
