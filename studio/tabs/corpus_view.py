"""Images of the corpus as HTML: cards, and one image with everything known of it."""

from collections.abc import Sequence
from enum import StrEnum

from backend.abc.attributes import Label
from backend.corpus.describing import dataset_title, value_words
from backend.corpus.licences import Terms
from backend.corpus.outlines import Outlined
from backend.corpus.queries import CorpusView
from studio.markup import button, escape, facts_html, file_url, one_line
from studio.tabs.export_cards import file_size
from studio.wording import compared_fields

BRIDGE = "corpus-browse-bridge"
NO_MATCH = one_line("""
<div class="df-empty"><h2 class="df-section">No image matches</h2><p>Take one filter back, or press
<strong>Clear filters</strong> under More filters.</p></div>
""")


class Shown(StrEnum):
    """What is shown of an open image, and the action that shows it."""

    IMAGE = "show"
    OUTLINE = "overlay"
    MASK = "mask"


def cards_html(images: Sequence[CorpusView]) -> str:
    """One page of cards."""
    cards = "".join(map(_card, images))
    return f'<ul class="df-cards" aria-label="Images of the corpus">{cards}</ul>'


def alt_text(image: CorpusView) -> str:
    """What a person hears who does not see the image."""
    kind = "Synthetic image" if image.synthetic else "Photograph of a lesion"
    diagnosis = value_words("diagnosis", image.diagnosis)
    return f"{kind}, {image.label}, diagnosis {diagnosis}, {image.source_id}"


def corpus_dialog(
    image: CorpusView,
    terms: Terms,
    *,
    opening: int,
    shown: Shown,
    measured: Outlined | None,
    previous: str | None,
    following: str | None,
) -> str:
    """The dialog of an image; `measured` where its outline or its mask is shown.

    `opening` differs from one opening to the next, else the page would not notice the second.
    """
    title = f"{dataset_title(image.dataset)}: {image.source_id}"
    return one_line(f"""
    <dialog id="corpus-dialog" class="df-dialog df-image-dialog" data-open="{opening}"
      aria-label="Image {escape(image.source_id)}">
      <div class="df-image-side">
        {_picture(image, shown, measured)}
        <p class="df-mark">{_mark(image)}</p>
        <div class="df-row">
          {_leaf("previous", "← Previous", previous)}
          {_leaf("next", "Next →", following)}
          {_toggle("Measured outline", Shown.OUTLINE, shown, image)}
          {_toggle("Mask", Shown.MASK, shown, image)}
        </div>
      </div>
      <div class="df-image-facts">
        <h2 class="df-section">{escape(title)}</h2>
        {_measured(measured)}
        <div class="df-source"><dl>{facts_html(_facts(image))}</dl></div>
        <h3 class="df-sub">Terms</h3>
        <p>{escape(terms.licence)}. {escape(terms.citation)}</p>
        <div class="df-row df-foot">
          <a class="df-button" href="{file_url(image.file)}" download="{image.file.name}">
            Download copy</a>
          <button type="button" class="df-button" data-closes>Close</button>
        </div>
      </div>
    </dialog>
    """)


def _card(image: CorpusView) -> str:
    source = file_url(image.thumbnail, image.byte_hash[:8])
    diagnosis = value_words("diagnosis", image.diagnosis)
    strong = ' class="df-label-malignant"' if image.label is Label.MALIGNANT else ""
    origin = "Synthetic, " if image.synthetic else ""
    return one_line(f"""
    <li class="df-card" data-image="{image.id}">
      <button type="button" class="df-open" data-bridge="{BRIDGE}" data-action="show"
        data-value="{image.id}"><img src="{source}" alt="{escape(alt_text(image))}" loading="lazy"
        width="256" height="256"></button>
      <p class="df-card-note"><span{strong}>{origin}{image.label}</span>
      <span>{escape(diagnosis if image.diagnosis else dataset_title(image.dataset))}</span></p>
    </li>
    """)


def _picture(image: CorpusView, shown: Shown, measured: Outlined | None) -> str:
    file, words = image.file, ""
    if measured is not None and shown is Shown.OUTLINE and measured.overlay:
        file, words = measured.overlay, "With the measured outline. "
    if measured is not None and shown is Shown.MASK and measured.mask:
        file, words = measured.mask, "Mask of the lesion. "
    source = file_url(file, image.byte_hash[:8])
    alt = f"{words}{escape(alt_text(image))}"
    return f'<img src="{source}" alt="{alt}" width="512" height="512">'


def _mark(image: CorpusView) -> str:
    origin = "Synthetic image." if image.synthetic else "Real image of a patient."
    return f"{origin} Not for diagnosis."


def _measured(measured: Outlined | None) -> str:
    if measured is None:
        return ""
    if not measured.found:
        return '<p class="df-note">No lesion was found in this image: nothing was measured.</p>'
    fields = compared_fields(measured.attributes)
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in fields.items()
    )
    return (
        '<table class="df-table"><caption>Measured in this copy</caption><thead class="df-sr"><tr>'
        '<th scope="col">Field</th><th scope="col">Measured</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _facts(image: CorpusView) -> dict[str, object]:
    age = "not said" if image.age is None else f"{image.age}"
    given = image.diagnosis_given or "not said"
    return {
        "Label": image.label,
        "Diagnosis": value_words("diagnosis", image.diagnosis),
        "As the dataset says": given,
        "Modality": value_words("modality", image.modality),
        "Skin tone": value_words("skin_tone", image.skin_tone),
        "Site": value_words("site", image.site),
        "Age": age,
        "Sex": value_words("sex", image.sex),
        "Split": value_words("split", image.split),
        "Patient": image.patient or "not said",
        "Lesion": image.lesion or "not said",
        "Original": f"{image.width} × {image.height} px, {file_size(image.bytes)}",
        "File": image.source_path,
        "Copy": image.recipe,
        "Id": image.id,
        "SHA-256 of its pixels": image.pixel_hash,
    }


def _leaf(direction: str, label: str, image_id: str | None) -> str:
    if image_id is None:
        return ""
    press = button(label, bridge=BRIDGE, action=Shown.IMAGE, value=image_id)
    return f'<span data-leaf="{direction}">{press}</span>'


def _toggle(label: str, shows: Shown, shown: Shown, image: CorpusView) -> str:
    pressed = shown is shows
    action = Shown.IMAGE if pressed else shows
    return button(label, bridge=BRIDGE, action=action, value=image.id, pressed=pressed)
