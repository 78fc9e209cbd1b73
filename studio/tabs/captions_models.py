"""The vision-language models on this machine, as they are offered for captioning."""

from collections.abc import Sequence

from backend.captioning.vision.folders import VisionModel
from backend.files import size_words
from studio.markup import escape, one_line


def model_choices(models: Sequence[VisionModel]) -> list[tuple[str, str]]:
    """Those that can be used."""
    return [
        (f"{one.title} ({size_words(one.bytes)})", one.name)
        for one in models
        if one.problem is None
    ]


def models_html(models: Sequence[VisionModel]) -> str:
    """What is wrong with those that cannot be used, and the way to others where there is none."""
    broken = "".join(
        f'<p class="df-message">{escape(one.problem)}</p>' for one in models if one.problem
    )
    if any(one.problem is None for one in models):
        return one_line(broken)
    return one_line(f"""
    {broken}<div class="df-empty"><p>No vision-language model is on this machine yet.
    <strong>Models</strong> lists those that can be had, with size and licence, and downloads one
    after your yes.</p>
    <p><button type="button" class="df-button" data-goes="models">Open Models</button></p></div>
    """)
