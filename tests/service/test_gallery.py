"""Images are found again by what was asked for and by what was measured, and nothing is lost."""

from datetime import timedelta

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes, SkinTone
from backend.abc.sampling import sample_attributes
from backend.generation import gallery
from backend.generation.bulk import star_all
from backend.generation.errors import GenerationError
from backend.generation.gallery import GalleryFilter, count_images, get_image, query_images
from backend.images import pixel_hash, read_image
from backend.settings import Settings
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import Image as ImageRow
from tests.service.pictures import fill_gallery

LESIONS = [sample_attributes(np.random.default_rng(seed)) for seed in range(6)]


@pytest.fixture
def ids(any_settings: Settings, any_database: Database) -> list[str]:
    """Six images of random lesions, oldest first."""
    return fill_gallery(any_settings, any_database, LESIONS)


def found(settings: Settings, db: Database, **criteria: object) -> set[str]:
    wanted = GalleryFilter(**criteria)  # type: ignore[arg-type]
    images = query_images(db, settings, wanted, limit=100)
    assert count_images(db, wanted) == len(images)
    return {image.id for image in images}


def test_pages_hold_every_image_once_newest_first(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    pages = [
        query_images(any_database, any_settings, limit=4, offset=offset) for offset in (0, 4, 8)
    ]
    assert [[image.id for image in page] for page in pages] == [ids[5:1:-1], ids[1::-1], []]
    assert count_images(any_database) == 6


def test_a_view_holds_files_request_and_both_readings(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    for image_id, lesion in zip(ids, LESIONS, strict=True):
        image = get_image(any_database, any_settings, image_id)
        assert image.requested == lesion
        assert image.request.attributes == lesion
        assert image.request.caption == image.caption
        assert pixel_hash(read_image(image.path)) == image.pixel_hash
        assert image.bytes == image.path.stat().st_size
        with Image.open(image.thumbnail) as thumbnail:
            assert thumbnail.size == (image.width, image.height) == (64, 64)
        assert (image.confidence is None) == (not image.found)
        assert image.measured.label is None


@pytest.mark.parametrize("measured", [False, True])
def test_filters_agree_with_the_attributes_they_name(
    any_settings: Settings, any_database: Database, ids: list[str], measured: bool
) -> None:
    views = [get_image(any_database, any_settings, image_id) for image_id in ids]
    read = {view.id: view.measured if measured else view.requested for view in views}

    def expected(field: str, value: object) -> set[str]:
        return {name for name, seen in read.items() if getattr(seen, field) == value}

    def shown(**criteria: object) -> set[str]:
        return found(any_settings, any_database, measured=measured, **criteria)

    for asymmetry in Asymmetry:
        assert shown(asymmetry=asymmetry) == expected("asymmetry", asymmetry)
    for border in Border:
        assert shown(border=border) == expected("border", border)
    for tone in SkinTone:
        assert shown(skin_tone=tone) == expected("skin_tone", tone)
    for colour in Colour:
        named = {name for name, seen in read.items() if colour in seen.colours}
        assert shown(colours=(colour,)) == named
    for seen in read.values():
        together = {name for name, other in read.items() if set(seen.colours) <= set(other.colours)}
        assert shown(colours=seen.colours) == together


def test_label_model_job_and_text_narrow_the_gallery(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    others = fill_gallery(any_settings, any_database, LESIONS[:1], job_id="OTHER", model="tiny")
    malignant = {
        name for name, lesion in zip(ids, LESIONS, strict=True) if lesion.label is Label.MALIGNANT
    }
    assert found(any_settings, any_database, label=Label.MALIGNANT, job_id="JOB") == malignant
    assert found(any_settings, any_database, model="tiny") == set(others)
    assert found(any_settings, any_database, job_id="OTHER") == set(others)
    assert gallery.list_used_models(any_database) == ["starter", "tiny"]
    caption = get_image(any_database, any_settings, ids[3]).caption
    assert ids[3] in found(any_settings, any_database, text=caption.upper())
    assert found(any_settings, any_database, text="%") == set()
    assert found(any_settings, any_database, text="_") == set()


def test_a_star_goes_on_and_off(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    star_all(any_database, ids[:2])
    assert found(any_settings, any_database, starred=True) == set(ids[:2])
    star_all(any_database, ids[:1], on=False)
    assert found(any_settings, any_database, starred=True) == {ids[1]}
    assert found(any_settings, any_database, starred=False) == set(ids) - {ids[1]}


def test_delete_hides_and_undo_shows_exactly_what_it_hid(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    assert gallery.delete(any_database, ids[:2]) == ids[:2]
    assert gallery.delete(any_database, ids[1:3]) == [ids[2]]
    assert found(any_settings, any_database) == set(ids[3:])
    assert get_image(any_database, any_settings, ids[0]).deleted
    gallery.restore(any_database, [ids[2]])
    assert found(any_settings, any_database) == set(ids[2:])


def test_purge_removes_only_what_was_deleted_long_enough_ago_with_its_files(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    gallery.delete(any_database, ids[:2])
    long_ago = now() - timedelta(days=40)
    with any_database.session() as session:
        session.execute(update(ImageRow).where(ImageRow.id == ids[0]).values(deleted_at=long_ago))
    gone = get_image(any_database, any_settings, ids[0])
    kept = get_image(any_database, any_settings, ids[1])
    gone.thumbnail.unlink()  # a person tidied up by hand
    assert gallery.purge(any_database, any_settings, timedelta(days=30)) == 1
    assert not gone.path.exists()
    assert kept.path.exists()
    with pytest.raises(GenerationError, match="There is no image"):
        get_image(any_database, any_settings, ids[0])
    assert gallery.purge(any_database, any_settings, timedelta(0)) == 1
    assert count_images(any_database) == 4


def test_a_deleted_image_is_not_made_again_by_a_retry(
    any_database: Database, ids: list[str]
) -> None:
    gallery.delete(any_database, ids[1:2])
    assert gallery.finished_positions(any_database, "JOB") == set(range(6))
    assert gallery.finished_positions(any_database, "OTHER") == set()


def test_an_image_of_which_nothing_is_known_can_be_kept(
    any_settings: Settings, any_database: Database
) -> None:
    (image_id,) = fill_gallery(any_settings, any_database, [LesionAttributes()])
    assert get_image(any_database, any_settings, image_id).requested == LesionAttributes()
