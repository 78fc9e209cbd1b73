"""The LoRAs that a request asks for, found on the shelf and checked against its model."""

from dataclasses import dataclass

from backend.generation.errors import LoraError
from backend.generation.lora.fit import check_fit
from backend.generation.lora.reading import LoraFile, read_lora
from backend.generation.lora.shelf import LoraView, get_lora, shelf_name
from backend.generation.models import ModelEntry
from backend.generation.request import GenerationRequest, LoraUse
from backend.settings import Settings
from backend.store.database import Database


@dataclass(frozen=True)
class ChosenLora:
    """A LoRA of the shelf that fits the model, ready to be loaded with its weight."""

    view: LoraView
    file: LoraFile
    weight: float

    @property
    def use(self) -> LoraUse:
        """As the request states it, with its hash."""
        return LoraUse(name=self.view.name, weight=self.weight, hash=self.view.hash)


def choose_loras(
    db: Database, settings: Settings, request: GenerationRequest, entry: ModelEntry
) -> tuple[ChosenLora, ...]:
    """What the request asks for, in its order; only headers of files are read.

    Raises:
        LoraError: one is not on the shelf, is not the one that the request was made with, is
            damaged, or was made for another model.
    """
    return tuple(_choose(db, settings, use, entry) for use in request.loras)


def text_length(chosen: tuple[ChosenLora, ...]) -> int | None:
    """How many T5 tokens the LoRAs were trained with, where they say so and agree."""
    lengths = {lora.view.t5_length for lora in chosen if lora.view.t5_length is not None}
    return lengths.pop() if len(lengths) == 1 else None


def _choose(db: Database, settings: Settings, use: LoraUse, entry: ModelEntry) -> ChosenLora:
    view = _on_shelf(db, settings, use)
    if use.hash is not None and use.hash != view.hash:
        other = shelf_name(db, settings, use.hash)
        advice = f"is there as {other}: choose that" if other else "is not there: add its file"
        raise LoraError(
            f"The LoRA {use.name} on the shelf is not the one that this request was made with "
            f"({view.hash[:10]} instead of {use.hash[:10]}), which {advice}, or put {use.name} "
            "into the request anew."
        )
    if not view.path.is_file():
        raise LoraError(
            f"The file of the LoRA {use.name} is gone from the workspace: remove it from the "
            "shelf and add it again."
        )
    file = read_lora(view.path)
    check_fit(file, use.name, entry)
    return ChosenLora(view, file, use.weight)


def _on_shelf(db: Database, settings: Settings, use: LoraUse) -> LoraView:
    try:
        return get_lora(db, settings, use.name)
    except LoraError as error:
        other = shelf_name(db, settings, use.hash) if use.hash else None
        if other is None:
            raise
        raise LoraError(
            f"There is no LoRA called {use.name} on the shelf, but its tensors are there as "
            f"{other}: choose that."
        ) from error
