"""Captions are kept once, found by words and attributes, and come back after delete."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes, SkinTone
from backend.abc.sampling import sample_attributes
from backend.store.attributes import (
    measured_attributes,
    measured_columns,
    requested_attributes,
    stated_columns,
)
from backend.store.captions import (
    CaptionError,
    CaptionFilter,
    count_captions,
    delete_caption,
    restore_caption,
    save_caption,
    search_captions,
    star_caption,
)
from backend.store.database import Database
from backend.store.tables import ColourSource, Image, ImageColour

MELANOMA = LesionAttributes(
    asymmetry=Asymmetry.TWO_AXES,
    border=Border.IRREGULAR,
    colours=(Colour.BLACK, Colour.BLUE_GRAY),
    label=Label.MALIGNANT,
    skin_tone=SkinTone.II,
)
NEVUS = LesionAttributes(
    asymmetry=Asymmetry.SYMMETRIC, border=Border.REGULAR, colours=(Colour.LIGHT_BROWN,)
)


def texts(db: Database, wanted: str | CaptionFilter = "") -> list[str]:
    found = [caption.text for caption in search_captions(db, wanted)]
    assert len(found) == count_captions(db, wanted)
    return found


def test_a_caption_is_kept_once_and_its_uses_counted(any_database: Database) -> None:
    first = save_caption(any_database, "A  round brown\nmole. ", NEVUS, style="plain")
    second = save_caption(any_database, "A round brown mole.", NEVUS)
    assert (first.id, first.uses, first.text) == (second.id, 1, "A round brown mole.")
    assert (second.uses, second.style) == (2, "plain")
    assert second.attributes == NEVUS
    assert texts(any_database) == ["A round brown mole."]


def test_two_who_save_the_same_caption_at_once_share_it(any_database: Database) -> None:
    barrier = threading.Barrier(4)

    def save(_: int) -> str:
        barrier.wait()
        return save_caption(any_database, "The same words.", NEVUS).id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(save, range(4)))
    assert len(ids) == 1
    assert search_captions(any_database)[0].uses == 4


def test_every_word_has_to_occur(any_database: Database) -> None:
    save_caption(any_database, "A jagged black border.", MELANOMA)
    save_caption(any_database, "A smooth brown border.", NEVUS)
    save_caption(any_database, "100% brown_ish", NEVUS)
    assert texts(any_database, "BORDER black") == ["A jagged black border."]
    assert texts(any_database, "border") == ["A smooth brown border.", "A jagged black border."]
    assert texts(any_database, "%") == ["100% brown_ish"]
    assert texts(any_database, "n_i") == ["100% brown_ish"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CaptionFilter(label=Label.MALIGNANT), ["malignant"]),
        (CaptionFilter(asymmetry=Asymmetry.SYMMETRIC), ["plain"]),
        (CaptionFilter(border=Border.IRREGULAR, text="mal"), ["malignant"]),
        (CaptionFilter(skin_tone=SkinTone.II), ["malignant"]),
        (CaptionFilter(colours=(Colour.BLUE_GRAY, Colour.BLACK)), ["malignant"]),
        (CaptionFilter(colours=(Colour.BLUE_GRAY, Colour.RED)), []),
        (CaptionFilter(starred=True), ["plain"]),
        (CaptionFilter(starred=False), ["malignant"]),
    ],
)
def test_captions_are_found_by_what_they_say(
    any_database: Database, wanted: CaptionFilter, found: list[str]
) -> None:
    save_caption(any_database, "malignant", MELANOMA)
    star_caption(any_database, save_caption(any_database, "plain", NEVUS).id, on=True)
    assert texts(any_database, wanted) == found


def test_delete_can_be_undone(any_database: Database) -> None:
    caption = save_caption(any_database, "A mole.", NEVUS)
    delete_caption(any_database, caption.id)
    assert texts(any_database) == []
    restore_caption(any_database, caption.id)
    assert texts(any_database) == ["A mole."]


def test_saving_a_deleted_caption_brings_it_back(database: Database) -> None:
    delete_caption(database, save_caption(database, "A mole.", NEVUS).id)
    save_caption(database, "A mole.", NEVUS)
    assert texts(database) == ["A mole."]


def test_pages_follow_each_other_without_gap(database: Database) -> None:
    for number in range(7):
        save_caption(database, f"Caption {number}.", NEVUS)
    pages = [search_captions(database, limit=3, offset=offset) for offset in (0, 3, 6)]
    numbers = [caption.text[8] for page in pages for caption in page]
    assert "".join(numbers) == "6543210"


def test_an_empty_or_unknown_caption_is_one_sentence(database: Database) -> None:
    with pytest.raises(CaptionError, match="empty caption"):
        save_caption(database, " \n ", NEVUS)
    with pytest.raises(CaptionError, match="no longer in the library"):
        delete_caption(database, "unknown")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requested=st.integers(0, 10**6), measured=st.integers(0, 10**6))
def test_attributes_come_back_from_their_columns(
    database: Database, requested: int, measured: int
) -> None:
    asked = sample_attributes(np.random.default_rng(requested))
    seen = sample_attributes(np.random.default_rng(measured)).model_copy(
        update={"label": None, "diagnosis": None, "modality": None, "site": None}
        | {"diameter_mm": None}
    )
    colours = [
        ImageColour(source=source, colour=colour, rank=rank)
        for source, attributes in ((ColourSource.REQUESTED, asked), (ColourSource.MEASURED, seen))
        for rank, colour in enumerate(attributes.colours)
    ]
    with database.session() as session:
        image = Image(
            id="one",
            job_id="job",
            position=0,
            file="images/one.png",
            thumbnail="thumbnails/one.webp",
            width=128,
            height=128,
            pixel_hash="0" * 64,
            bytes=1,
            caption="A lesion.",
            model="starter",
            seed=2**32 - 1,
            request={},
            colours=colours,
            **stated_columns(asked),
            **measured_columns(seen),
        )
        session.add(image)
    with database.session() as session:
        read = session.get_one(Image, "one")
        assert requested_attributes(read) == asked
        assert measured_attributes(read) == seen
        session.delete(read)
