"""Two images over each other with a slider between them, and what differs."""

from backend.generation.gallery import ImageView
from studio.markup import escape, file_url, one_line
from studio.tabs.gallery_view import alt_text
from studio.wording import compared_fields


def compare_dialog(first: ImageView, second: ImageView, *, opening: int) -> str:
    """The dialog; the slider is a range input, so that the keyboard moves it too.

    `opening` differs from one opening to the next, else the page would not notice the second.
    """
    return one_line(f"""
    <dialog id="compare-dialog" class="df-dialog df-image-dialog" data-open="{opening}"
      aria-label="Compare two images">
      <div class="df-image-side">
        <div class="df-compare">
          {_picture(first, "left")}
          {_picture(second, "right")}
          <input type="range" min="0" max="100" value="50" step="1" data-compare
            aria-label="How much of the left image is shown, in percent">
        </div>
        <p class="df-compare-names"><span>Left: seed {first.seed}</span>
        <span>Right: seed {second.seed}</span></p>
        <p class="df-mark">Synthetic. Not for diagnosis.</p>
      </div>
      <div class="df-image-facts">
        <h2 class="df-section">Compare two images</h2>
        {_differences(first, second)}
        <div class="df-row df-foot">
          <button type="button" class="df-button" data-closes>Close</button>
        </div>
      </div>
    </dialog>
    """)


def _picture(image: ImageView, side: str) -> str:
    source = file_url(image.path, image.pixel_hash[:8])
    return f'<img class="df-compare-{side}" src="{source}" alt="{escape(alt_text(image))}">'


def _differences(first: ImageView, second: ImageView) -> str:
    left, right = _facts(first), _facts(second)
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{escape(left[name])}</td>'
        f"<td>{escape(right[name])}</td></tr>"
        for name in left
        if left[name] != right[name]
    )
    if not rows:
        return "<p>Both were made by the same request and measure the same.</p>"
    return one_line(f"""
    <table class="df-table"><caption>What differs</caption><thead><tr><th scope="col">Field</th>
    <th scope="col">Left</th><th scope="col">Right</th></tr></thead><tbody>{rows}</tbody></table>
    """)


def _facts(image: ImageView) -> dict[str, str]:
    """What a person would compare: how it was asked for, and what was measured."""
    request = image.request
    loras = ", ".join(f"{use.name} × {use.weight:g}" for use in request.loras)
    measured = compared_fields(image.measured) if image.found else {}
    return {
        "Caption": image.caption,
        "Model": image.model,
        "Seed": str(image.seed),
        "Steps": str(request.steps),
        "Guidance": f"{request.guidance_scale:g}",
        "Attribute guidance": f"{request.attribute_guidance or 0:g}",
        "Size": f"{image.width} × {image.height}",
        "LoRAs": loras or "none",
    } | {
        f"{name}, measured": measured.get(name, "nothing found")
        for name in compared_fields(image.measured)
    }
