"""A picture that was compared, as HTML."""

from collections.abc import Mapping

from backend.corpus.picture_cards import PictureCard
from backend.corpus.states import PairState
from studio.markup import escape, facts_html, file_url, one_line
from studio.wording import NAMES

STATES: Mapping[PairState, str] = {
    PairState.SUGGESTED: "Suggested",
    PairState.CONFIRMED: "Confirmed",
    PairState.DISMISSED: "Dismissed",
}


def picture_html(card: PictureCard, heading: str = "") -> str:
    """Thumbnail, name, dataset and ids; `heading` says which side it is on."""
    facts = {
        "In": f"{card.place}, {card.split}" if card.split else card.place,
        "Label": NAMES[card.label] if card.label else "",
        "Diagnosis": card.diagnosis.replace("_", " "),
        "Patient": card.patient,
        "Lesion": card.lesion,
    }
    mark = '<p class="df-mark">Synthetic</p>' if card.synthetic else ""
    above = f'<p class="df-dim">{escape(heading)}</p>' if heading else ""
    said = facts_html({name: value for name, value in facts.items() if value})
    return one_line(f"""
    <figure class="df-picture" data-picture="{escape(card.id)}">{above}{_image(card)}
      <figcaption><strong>{escape(card.name)}</strong>{mark}
      <dl class="df-facts">{said}</dl></figcaption>
    </figure>
    """)


def state_html(state: PairState) -> str:
    """What was decided, as a mark and a word."""
    return f'<span class="df-state df-pair-{state}">{STATES[state]}</span>'


def _image(card: PictureCard) -> str:
    if card.thumbnail is None:
        said = "The picture is no longer there" if card.gone else "There is no thumbnail"
        return f'<p class="df-no-picture">{said}</p>'
    kind = "Synthetic image" if card.synthetic else "Image"
    source = file_url(card.thumbnail, str(card.thumbnail.stat().st_mtime_ns))
    image = f'<img src="{source}" alt="{kind} {escape(card.name)}" loading="lazy">'
    if card.file is None:
        return image
    address, title = file_url(card.file), f"Open in a new window: {escape(card.name)}"
    return f'<a href="{address}" target="_blank" rel="noopener" title="{title}">{image}</a>'
