"""A batch of images put to a loaded model, and what it answers."""

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from backend.captioning.answers import Answer
from backend.captioning.task import Decoding
from backend.captioning.vision.loading import Loaded
from backend.generation.memory import plain_memory_errors


def answer(
    loaded: Loaded,
    questions: Sequence[tuple[Image.Image, str]],
    decoding: Decoding,
    check: Callable[[], None] = lambda: None,
) -> list[Answer]:
    """What the model says to each image and prompt; prompts are padded on the left.

    Raises:
        MemoryError, torch.OutOfMemoryError: so many at once do not fit.
        Whatever `check` raises, which is called after each token.
    """
    import torch

    with plain_memory_errors(), torch.inference_mode():
        inputs = loaded.processor.apply_chat_template(
            [_conversation(image, prompt) for image, prompt in questions],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(loaded.network.device, dtype=loaded.network.dtype)
        torch.manual_seed(decoding.seed)
        written = loaded.network.generate(
            **inputs, **_choices(loaded, decoding), stopping_criteria=_after_each_token(check)
        )
    answers = written[:, inputs["input_ids"].shape[1] :].cpu()
    texts = loaded.processor.batch_decode(answers, skip_special_tokens=True)
    return [
        Answer(text, cut=loaded.stops.isdisjoint(tokens))
        for text, tokens in zip(texts, answers.tolist(), strict=True)
    ]


def _conversation(image: Image.Image, prompt: str) -> list[dict[str, Any]]:
    content = [{"type": "image", "image": image}, {"type": "text", "text": prompt}]
    return [{"role": "user", "content": content}]


def _after_each_token(check: Callable[[], None]) -> list[Any]:
    """Stops nothing by itself: transformers asks whether to stop after each token."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Check(StoppingCriteria):
        def __call__(self, tokens: torch.Tensor, _scores: object, **_: object) -> torch.Tensor:
            check()
            return torch.zeros(tokens.shape[0], dtype=torch.bool, device=tokens.device)

    return StoppingCriteriaList([Check()])


def _choices(loaded: Loaded, decoding: Decoding) -> dict[str, Any]:
    """All that decides which token comes next is said, whatever the model's own settings."""
    plain = {
        "max_new_tokens": decoding.max_new_tokens,
        "num_beams": 1,
        "pad_token_id": loaded.processor.tokenizer.pad_token_id,
    }
    if decoding.temperature == 0:
        return {**plain, "do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    chosen = {"temperature": decoding.temperature, "top_p": 1.0, "top_k": 0}
    return {**plain, "do_sample": True, **chosen}
