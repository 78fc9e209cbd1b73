"""One image at full size with everything known of it, as a dialog."""

from pathlib import Path

from backend.generation.gallery import ImageView
from backend.generation.profile import Profile
from backend.generation.request import GenerationRequest
from studio.markup import button, escape, facts_html, file_url, one_line
from studio.tabs.gallery_view import BRIDGE, alt_text, same_field, star_button
from studio.wording import NOT_SAID, compared_fields

RECALL_BRIDGE = "recall-bridge"


def image_dialog(
    image: ImageView,
    *,
    opening: int,
    overlay: Path | None = None,
    previous: str | None = None,
    following: str | None = None,
) -> str:
    """The dialog; `overlay` shows the measured outline instead, the neighbours are for leafing.

    `opening` differs from one opening to the next, else the page would not notice the second.
    """
    source = file_url(overlay or image.path, image.pixel_hash[:8])
    shown = "With the measured outline. " if overlay else ""
    return one_line(f"""
    <dialog id="image-dialog" class="df-dialog df-image-dialog" data-open="{opening}"
      aria-label="Image, seed {image.seed}">
      <div class="df-image-side">
        <img src="{source}" alt="{shown}{escape(alt_text(image))}"
          width="{image.width}" height="{image.height}">
        <p class="df-mark">Synthetic. Not for diagnosis.{_draft(image)}</p>
        <div class="df-row">
          {_leaf("previous", "← Previous", previous)}
          {_leaf("next", "Next →", following)}
          {_overlay_button(image, overlay)}
        </div>
      </div>
      <div class="df-image-facts">
        <h2 class="df-section">Synthetic image, seed {image.seed}</h2>
        <p class="df-image-caption">{escape(image.caption)}</p>
        {comparison_table(image)}
        <dl class="df-facts">{_facts(image)}</dl>
        <h3 class="df-sub">Use its settings again</h3>
        <div class="df-row">{_recall_buttons(image)}</div>
        <div class="df-row df-foot">
          {star_button(image, action="star_open")}
          <a class="df-button" href="{file_url(image.path)}" download="{image.path.name}">
            Download PNG</a>
          {button("Delete", bridge=BRIDGE, action="delete", value=image.id, kind="df-danger")}
          <button type="button" class="df-button" data-closes>Close</button>
        </div>
      </div>
    </dialog>
    """)


def comparison_table(image: ImageView) -> str:
    """What was asked for against what was measured, in words and marks."""
    if not image.found:
        return (
            '<p class="df-note">No lesion was found in this image, '
            "so nothing was measured on it.</p>"
        )
    asked, seen = compared_fields(image.requested), compared_fields(image.measured)
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{asked[name]}</td><td>{seen[name]}</td>'
        f"<td>{_verdict(image, name, asked[name])}</td></tr>"
        for name in asked
    )
    sure = f"{image.confidence:.0%}" if image.confidence is not None else "unknown"
    return one_line(f"""
    <table class="df-table df-comparison">
      <caption>Asked for and measured (confidence {sure})</caption>
      <thead><tr><th scope="col">Field</th><th scope="col">Asked</th>
      <th scope="col">Measured</th><th scope="col">Match</th></tr></thead>
      <tbody>{rows}</tbody>
    </table>
    """)


def _verdict(image: ImageView, name: str, asked: str) -> str:
    if asked == NOT_SAID:
        return '<span class="df-sr">Not asked</span>'
    if same_field(name, image.requested, image.measured):
        return '<span class="df-yes">✓ yes</span>'
    return '<span class="df-no">≠ no</span>'


def _facts(image: ImageView) -> str:
    request = image.request
    facts = {
        "Model": image.model,
        "Seed": image.seed,
        "Steps": request.steps,
        "Guidance": f"{request.guidance_scale:g}",
        **_attribute_guidance(request),
        "Size": f"{image.width} × {image.height}",
        **_loras(image),
        "Speed": image.profile.full_name,
        "Made": f"{image.created_at:%Y-%m-%d %H:%M} UTC",
    }
    return facts_html(facts)


def _attribute_guidance(request: GenerationRequest) -> dict[str, str]:
    scale = request.attribute_guidance
    return {} if scale is None else {"Attribute guidance": f"{scale:g}"}


def _loras(image: ImageView) -> dict[str, str]:
    uses = [f"{use.name} × {use.weight:g}" for use in image.request.loras]
    return {"LoRAs": ", ".join(uses)} if uses else {}


def _draft(image: ImageView) -> str:
    return " Draft: not exported." if image.profile is Profile.DRAFT else ""


def _recall_buttons(image: ImageView) -> str:
    labels = {
        "all": "Everything",
        "all_but_seed": "Everything but the seed",
        "caption": "Caption only",
    }
    return "".join(
        button(label, bridge=RECALL_BRIDGE, action=action, value=image.id)
        for action, label in labels.items()
    )


def _leaf(direction: str, label: str, image_id: str | None) -> str:
    if image_id is None:
        return ""
    press = button(label, bridge=BRIDGE, action="show", value=image_id)
    return f'<span data-leaf="{direction}">{press}</span>'


def _overlay_button(image: ImageView, overlay: Path | None) -> str:
    if not image.found:
        return ""
    return button(
        "Measured outline",
        bridge=BRIDGE,
        action="show" if overlay else "overlay",
        value=image.id,
        pressed=overlay is not None,
    )
