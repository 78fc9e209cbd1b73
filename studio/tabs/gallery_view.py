"""The gallery as HTML: cards with images, empty states, and what was asked against measured."""

from collections.abc import Callable, Sequence

from backend.abc.attributes import LesionAttributes
from backend.generation.bulk import Deletion
from backend.generation.gallery import ImageView
from backend.generation.profile import Profile
from studio.markup import button, escape, file_url, notice_html, one_line
from studio.wording import NOT_SAID, compared_fields

BRIDGE = "gallery-bridge"
ALT_CHARACTERS = 140

NO_IMAGES = one_line("""
<div class="df-empty">
  <h2 class="df-section">No images yet</h2>
  <p>Press <strong>Generate</strong>: finished images are kept here, with the caption and
  settings that made them.</p>
</div>
""")

NO_MATCH = one_line("""
<div class="df-empty">
  <h2 class="df-section">No image matches these filters</h2>
  <p>Take one filter back, or press <strong>Clear filters</strong> under More filters.</p>
</div>
""")


def gallery_html(images: Sequence[ImageView], selected: Callable[[str], bool]) -> str:
    """One page of cards."""
    cards = "".join(_card(image, selected(image.id)) for image in images)
    return f'<ul class="df-cards" aria-label="Generated images">{cards}</ul>'


def undo_html(deletion: Deletion) -> str:
    """What was deleted, with the way back."""
    if not deletion.images:
        return ""
    undo = button("Undo", bridge=BRIDGE, action="undo", value=deletion.moment.isoformat())
    return notice_html(f"{count_words(deletion.images)} deleted.", undo)


def count_words(images: int) -> str:
    """How many images, in words."""
    return "1 image" if images == 1 else f"{images:,} images"


def agreement(requested: LesionAttributes, measured: LesionAttributes) -> tuple[int, int]:
    """How many of the fields that were asked for are measured as asked, and how many were asked."""
    asked = compared_fields(requested)
    seen = compared_fields(measured)
    fields = [name for name, value in asked.items() if value != NOT_SAID]
    return sum(_same(name, requested, measured, asked, seen) for name in fields), len(fields)


def same_field(name: str, requested: LesionAttributes, measured: LesionAttributes) -> bool:
    """Whether a field came out as asked: colours as a set, skin tone within one type."""
    return _same(name, requested, measured, compared_fields(requested), compared_fields(measured))


def _same(
    name: str,
    requested: LesionAttributes,
    measured: LesionAttributes,
    asked: dict[str, str],
    seen: dict[str, str],
) -> bool:
    if name == "Colours":
        return set(requested.colours) == set(measured.colours)
    if name == "Skin tone" and requested.skin_tone and measured.skin_tone:
        return abs(requested.skin_tone - measured.skin_tone) <= 1
    return asked[name] == seen[name]


def alt_text(image: ImageView) -> str:
    """What a person hears who does not see the image."""
    caption = image.caption
    short = caption if len(caption) <= ALT_CHARACTERS else f"{caption[:ALT_CHARACTERS].rstrip()}…"
    return f"Synthetic image, seed {image.seed}: {short}"


def star_button(image: ImageView, *, action: str = "star") -> str:
    """The toggle that marks an image."""
    return button(
        "★" if image.starred else "☆",
        bridge=BRIDGE,
        action=action,
        value=image.id,
        kind="df-star",
        title=f"Star image, seed {image.seed}",
        pressed=image.starred,
    )


def _card(image: ImageView, selected: bool) -> str:
    source = file_url(image.thumbnail, image.pixel_hash[:8])
    checked = " checked" if selected else ""
    matched, asked = agreement(image.requested, image.measured)
    found = f"{matched} of {asked} as asked" if image.found else "No lesion measured"
    note = found if asked or not image.found else "Nothing asked"
    mark = "Draft, seed" if image.profile is Profile.DRAFT else "Seed"
    return one_line(f"""
    <li class="df-card" data-image="{image.id}">
      <button type="button" class="df-open" data-bridge="{BRIDGE}" data-action="show"
        data-value="{image.id}"><img src="{source}" alt="{escape(alt_text(image))}"
        width="{image.width}" height="{image.height}"></button>
      <label class="df-pick"><input type="checkbox" data-bridge="{BRIDGE}" data-action="select"
        data-value="{image.id}"{checked}><span class="df-sr">Select image, seed {image.seed}
        </span></label>
      {star_button(image)}
      <p class="df-card-note"><span>{mark} {image.seed}</span><span>{note}</span></p>
    </li>
    """)
