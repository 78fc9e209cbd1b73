"""What is known of a caption: its words by A, B and C, its length in tokens, its partial score."""

from backend.abc.attributes import LesionAttributes
from backend.abc.parser import highlight_spans, parse
from backend.abc.score import (
    ASYMMETRY_WEIGHT,
    COLOUR_WEIGHT,
    SEGMENT_WEIGHT,
    STRUCTURE_WEIGHT,
    partial_abcd,
)
from backend.errors import DermaFluxError
from backend.generation.models import ModelEntry, list_models
from backend.generation.tokens import CLIP_LIMIT, count_tokens
from backend.settings import Settings
from studio.markup import escape, one_line

LETTERS = {"A": "Asymmetry", "B": "Border", "C": "Colours"}


def notice_html(sentence: str) -> str:
    """A sentence about what cannot be worded or read."""
    return f'<p class="df-message" role="status">{escape(sentence)}</p>'


def reading_html(settings: Settings, caption: str) -> str:
    """The caption with its words marked, the legend, and the token counts."""
    return one_line(f"""
    <h3 class="df-sub">What the caption says</h3>
    <p class="df-reading">{marked(caption)}</p>
    <ul class="df-legend" aria-label="Marks">{_legend()}</ul>
    {tokens_html(settings, caption)}
    """)


def marked(caption: str) -> str:
    """The caption with every word that states A, B or C in a <mark> that carries its letter."""
    return "".join(
        _mark(letter, words) if letter in LETTERS else escape(words)
        for words, letter in highlight_spans(caption, parse(caption))
    )


def tokens_html(settings: Settings, caption: str) -> str:
    """How much of what each text encoder can read the caption takes."""
    entry = next((model for model in list_models(settings) if model.problem is None), None)
    if entry is None:
        return '<p class="df-dim">Token counts need a model that can be used.</p>'
    try:
        return _meters(entry, caption)
    except DermaFluxError as error:
        return notice_html(str(error))


def _meters(entry: ModelEntry, caption: str) -> str:
    clip, t5 = count_tokens(entry, caption)
    long = "" if t5 is None else _meter("T5", t5, entry.max_sequence_length)
    return one_line(f"""
    <div class="df-meters">{_meter("CLIP", clip, CLIP_LIMIT)}{long}</div>
    <p class="df-dim">Counted with the tokenizers of {escape(entry.title)}.</p>
    """)


def _meter(name: str, tokens: int, limit: int) -> str:
    over = tokens > limit
    note = (
        f"{tokens} tokens, only the first {limit} are read"
        if over
        else f"{tokens} of {limit} tokens"
    )
    kind = " df-over" if over else ""
    return (
        f'<div class="df-meter{kind}"><span>{name}</span>'
        f'<meter min="0" max="{limit}" value="{min(tokens, limit)}" aria-label="{name} tokens">'
        f"</meter><span>{note}</span></div>"
    )


def _mark(letter: str, words: str) -> str:
    return (
        f'<mark class="df-mark-{letter.lower()}"><span class="df-tag" aria-hidden="true">{letter}'
        f'</span><span class="df-sr">{LETTERS[letter]}: </span>{escape(words)}</mark>'
    )


def _legend() -> str:
    return "".join(
        f'<li><span class="df-mark-{letter.lower()}"><span class="df-tag">{letter}</span>{name}'
        "</span></li>"
        for letter, name in LETTERS.items()
    )


def score_html(attributes: LesionAttributes) -> str:
    """What asymmetry, edge and colours would add to Stolz' score, with what the score is not."""
    score = partial_abcd(attributes)
    if score is None:
        return (
            '<p class="df-note">Choose asymmetry, edge or colours to see what they would add '
            "to the ABCD score. A teaching aid, not a diagnosis.</p>"
        )
    rows = {
        f"Asymmetry, axes × {ASYMMETRY_WEIGHT}": score.asymmetry,
        f"Border, sharp segments of 8 × {SEGMENT_WEIGHT}": score.border,
        f"Colours × {COLOUR_WEIGHT}": score.colours,
        f"Dermoscopic structures × {STRUCTURE_WEIGHT} (not in a caption)": score.structures,
        "Total": score.total,
    }
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{points}</td></tr>' for name, points in rows.items()
    )
    return one_line(f"""
    <table class="df-table"><thead><tr><th scope="col">Part</th><th scope="col">Points</th></tr>
    </thead><tbody>{body}</tbody></table>
    <p class="df-dim">{escape(score.sentence)}</p>
    """)
