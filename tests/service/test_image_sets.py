"""Sets hold what was put into them, and a whole filter is changed at once and back."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, text

from backend.abc.attributes import Asymmetry, Colour, LesionAttributes
from backend.abc.sampling import sample_attributes
from backend.generation import gallery
from backend.generation.bulk import delete_all, star_all, undo_deletion
from backend.generation.errors import GenerationError
from backend.generation.gallery import GalleryFilter, count_images, get_image, query_images
from backend.generation.image_sets import (
    add_to_set,
    edit_set,
    get_set,
    list_sets,
    make_set,
    remove_set,
    take_from_set,
)
from backend.generation.selection import selected_images
from backend.settings import Settings
from backend.store.columns import now
from backend.store.database import Database, open_database
from backend.store.schema import upgrade
from tests.service.pictures import fill_gallery

LESIONS = [sample_attributes(np.random.default_rng(seed)) for seed in range(6)]


@pytest.fixture
def ids(any_settings: Settings, any_database: Database) -> list[str]:
    """Six images of random lesions, oldest first."""
    return fill_gallery(any_settings, any_database, LESIONS)


def shown(settings: Settings, db: Database, **criteria: object) -> list[str]:
    wanted = GalleryFilter(**criteria)  # type: ignore[arg-type]
    images = [image.id for image in query_images(db, settings, wanted, limit=100)]
    assert count_images(db, wanted) == len(images)
    return sorted(images)


def test_a_set_is_filled_by_ids_and_by_a_filter_and_filters_the_gallery(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    made = make_set(any_database, "  best  of  all ", "for the paper")
    assert (made.name, made.note, made.images) == ("best of all", "for the paper", 0)
    assert add_to_set(any_database, "best of all", [ids[0], ids[1], ids[0]]) == 2
    star_all(any_database, ids[1:4])
    assert add_to_set(any_database, "best of all", GalleryFilter(starred=True)) == 2
    assert shown(any_settings, any_database, image_set="best of all") == ids[:4]
    assert shown(any_settings, any_database, image_set="best of all", starred=True) == ids[1:4]
    assert shown(any_settings, any_database, image_set="other") == []
    assert take_from_set(any_database, "best of all", ids[:1]) == 1
    assert take_from_set(any_database, "best of all", GalleryFilter(starred=True)) == 3
    assert get_set(any_database, "best of all").images == 0
    assert count_images(any_database) == 6


def test_a_deleted_image_leaves_a_set_until_it_is_restored_and_a_purged_one_for_good(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    make_set(any_database, "all")
    add_to_set(any_database, "all", GalleryFilter())
    gallery.delete(any_database, ids[:2])
    assert get_set(any_database, "all").images == 4
    gallery.restore(any_database, ids[:1])
    assert get_set(any_database, "all").images == 5
    gallery.purge(any_database, any_settings, timedelta(0))
    assert [(view.name, view.images) for view in list_sets(any_database)] == [("all", 5)]


def test_sets_are_renamed_and_removed_without_their_images(
    any_database: Database, ids: list[str]
) -> None:
    make_set(any_database, "first")
    make_set(any_database, "second")
    add_to_set(any_database, "first", ids)
    assert edit_set(any_database, "first", new_name="third", note="new").images == 6
    with pytest.raises(GenerationError, match="already"):
        edit_set(any_database, "third", new_name="second")
    with pytest.raises(GenerationError, match="already"):
        make_set(any_database, "third")
    remove_set(any_database, "third")
    assert [view.name for view in list_sets(any_database)] == ["second"]
    assert count_images(any_database) == 6
    for name in ("", " \n", "x" * 201):
        with pytest.raises(GenerationError, match="1 to 200"):
            make_set(any_database, name)
    for call in (remove_set, get_set):
        with pytest.raises(GenerationError, match="There is no set third"):
            call(any_database, "third")


def test_a_whole_filter_is_starred_deleted_and_brought_back(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    named = GalleryFilter(job_id="JOB")
    assert star_all(any_database, ids[:2]) == 2
    assert star_all(any_database, named) == 4
    assert star_all(any_database, named, on=False) == 6
    gallery.delete(any_database, ids[:1])
    deletion = delete_all(any_database, named)
    assert deletion.images == 5
    assert count_images(any_database) == 0
    assert undo_deletion(any_database, deletion.moment) == 5
    assert shown(any_settings, any_database) == ids[1:]
    assert undo_deletion(any_database, now()) == 0
    assert delete_all(any_database, ids).images == 5


def test_a_whole_filter_is_changed_in_one_statement_without_loading_rows(
    settings: Settings, database: Database
) -> None:
    fill_gallery(settings, database, LESIONS)
    make_set(database, "all")
    statements: list[str] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    star_all(database, GalleryFilter())
    delete_all(database, GalleryFilter(starred=True))
    assert [statement.split()[0] for statement in statements] == ["UPDATE", "UPDATE"]
    add_to_set(database, "all", GalleryFilter())
    assert statements[-1].startswith("INSERT INTO image_set_member")
    assert not any("SELECT image.id, image.job_id" in statement for statement in statements)


def test_colours_are_found_by_mask_together_with_other_conditions(
    any_settings: Settings, any_database: Database
) -> None:
    lesions = [
        LesionAttributes(colours=(Colour.BLACK, Colour.RED), asymmetry=Asymmetry.ONE_AXIS),
        LesionAttributes(colours=(Colour.BLACK,), asymmetry=Asymmetry.ONE_AXIS),
        LesionAttributes(colours=tuple(Colour)),
    ]
    made = fill_gallery(any_settings, any_database, lesions)
    pair = (Colour.RED, Colour.BLACK)
    assert shown(any_settings, any_database, colours=pair) == [made[0], made[2]]
    assert shown(any_settings, any_database, colours=pair, asymmetry=Asymmetry.ONE_AXIS) == [
        made[0]
    ]
    assert shown(any_settings, any_database, colours=tuple(Colour)) == [made[2]]


def test_a_selection_is_walked_in_chunks_and_newcomers_are_not_in_it(
    any_settings: Settings, any_database: Database, ids: list[str]
) -> None:
    walked = selected_images(any_database, any_settings, GalleryFilter(), chunk=2)
    first = next(walked)
    fill_gallery(any_settings, any_database, LESIONS[:1], job_id="LATER")
    assert [first.id, *(image.id for image in walked)] == ids[::-1]
    chosen = selected_images(any_database, any_settings, [ids[3], ids[0], ids[3]], chunk=1)
    assert [image.id for image in chosen] == [ids[3], ids[0]]


def test_purge_takes_the_outline_that_the_page_has_drawn(
    settings: Settings, database: Database
) -> None:
    (image_id,) = fill_gallery(settings, database, LESIONS[:1])
    thumbnail = get_image(database, settings, image_id).thumbnail
    outline = thumbnail.with_name(f"{image_id}-outline.png")
    outline.write_bytes(b"drawn")
    gallery.delete(database, [image_id])
    assert gallery.purge(database, settings, timedelta(0)) == 1
    assert not outline.exists()
    assert not thumbnail.exists()


def test_purge_goes_on_until_all_is_gone(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PURGED_AT_ONCE", 2)
    ids = fill_gallery(settings, database, LESIONS)
    gallery.delete(database, ids)
    assert gallery.purge(database, settings, timedelta(0)) == 6


def test_images_of_an_older_database_get_their_masks(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    database = open_database(settings)
    made = fill_gallery(settings, database, LESIONS)
    _downgrade(database)
    upgrade(database.engine, database.place)
    for image_id, lesion in zip(made, LESIONS, strict=True):
        assert image_id in shown(settings, database, colours=lesion.colours)
        image = get_image(database, settings, image_id)
        measured = image.measured.colours
        assert image_id in shown(settings, database, colours=measured, measured=True)
    database.close()


def _downgrade(database: Database) -> None:
    from alembic import command

    from backend.store.schema import _configuration

    configuration = _configuration()
    with database.engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "0002")
        assert "image_set" not in connection.execute(
            text("SELECT group_concat(name) FROM sqlite_master")
        ).scalar_one().split(",")
