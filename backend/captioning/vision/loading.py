"""A vision-language model in memory, without network, pickles or code of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from backend.captioning.errors import CaptioningError
from backend.captioning.vision.folders import VisionModel
from backend.captioning.vision.precision import BYTES_PER_WEIGHT, QUANTISED, Place
from backend.files import size_words
from backend.generation.memory import available_host_memory
from backend.generation.pipelines import Device

NATIVE_BFLOAT16 = (8, 0)
"""The compute capability from which graphics cards have it."""


@dataclass(frozen=True)
class Loaded:
    """A model held warm. `stops` are the tokens that end an answer."""

    model: VisionModel
    network: Any
    processor: Any
    device: Device
    stops: frozenset[int]


def place_of(device: Device) -> Place:
    """The device as far as the choice of a precision goes."""
    if device.kind == "cpu":
        return Place("the processor", False, psutil.virtual_memory().total, False)
    import torch

    native = torch.cuda.get_device_capability() >= NATIVE_BFLOAT16
    return Place(device.name, True, torch.cuda.mem_get_info()[1], native)


def load_vision_model(model: VisionModel, device: Device, precision: str) -> Loaded:
    """Load a model from its folder.

    Raises:
        CaptioningError: it does not fit together, is of a kind that transformers does not know, or
            does not fit into the memory that is free.
        MemoryError, torch.OutOfMemoryError: the device has no room left.
    """
    _require_room(model, device, precision)
    from transformers import AutoModelForImageTextToText, AutoProcessor

    safely = {"local_files_only": True, "trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(model.folder, **safely)
        network = AutoModelForImageTextToText.from_pretrained(
            model.folder, use_safetensors=True, **safely, **_placement(device, precision)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise CaptioningError(_unloadable(model, error)) from error
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "apply_chat_template"):
        raise CaptioningError(
            f"The model {model.name} ({model.kind}) holds no conversations: choose one that does."
        )
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"  # answers begin where the prompts end
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    network.eval()
    return Loaded(model, network, processor, device, _stops(network, tokenizer))


def _placement(device: Device, precision: str) -> Mapping[str, Any]:
    """The weights go to their device as they are read: main memory never holds them all."""
    import torch

    target = {"": 0 if device.kind == "cuda" else "cpu"}
    if precision not in QUANTISED:
        return {"dtype": getattr(torch, precision), "device_map": target}
    from transformers import BitsAndBytesConfig

    if precision == "8bit":
        quantised = BitsAndBytesConfig(load_in_8bit=True)
    else:
        quantised = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    return {"quantization_config": quantised, "dtype": torch.bfloat16, "device_map": target}


def _stops(network: Any, tokenizer: Any) -> frozenset[int]:
    named = network.generation_config.eos_token_id
    ids = named if isinstance(named, list) else [named]
    return frozenset(one for one in [*ids, tokenizer.eos_token_id] if isinstance(one, int))


def _require_room(model: VisionModel, device: Device, precision: str) -> None:
    need = round(model.weights * BYTES_PER_WEIGHT[precision])
    if device.kind == "cpu":
        free = available_host_memory()
    else:
        import torch

        free = int(torch.cuda.mem_get_info()[0])
    if need > free:
        leaner = "" if precision != "float32" else ", choose the precision bfloat16"
        raise CaptioningError(
            f"{model.title} needs {size_words(need)} in {precision}, and {size_words(free)} are "
            f"free on the {device.name}: close other programs{leaner} or choose a smaller model."
        )


def _unloadable(model: VisionModel, error: Exception) -> str:
    said = str(error)
    if "trust_remote_code" in said or "custom code" in said:
        return (
            f"The model {model.name} wants to run code of its own, which is never done: get the "
            "edition for transformers, whose name often ends in -hf."
        )
    if "Unrecognized" in said or "does not recognize this architecture" in said:
        return (
            f"The model {model.name} is a {model.kind}, which is no kind of model that reads "
            "images and writes text here: choose another."
        )
    return (
        f"The model {model.name} cannot be loaded, its files do not fit together: copy or "
        "download the folder again."
    )
