"""Caption sets: versions that never change, what changed between them, files in and out."""

import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.review.caption_changes import changes, word_diff
from backend.review.caption_files import (
    CaptionFormat,
    export_bytes,
    export_folder,
    import_captions,
)
from backend.review.caption_sets import list_versions, make_version, read_version
from backend.review.discussion import discussion
from backend.review.errors import ReviewError, ReviewTakenError
from backend.review.people import Actor
from backend.review.queue import next_items
from backend.review.recipe import NewVersion
from backend.review.states import Origin
from backend.review.verdicts import adjudicate, save_verdict
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from tests.service.reviewing import (
    ANNA,
    BEN,
    CARL,
    EDITED,
    TEXT,
    a_set,
    add_images,
    judge_all,
    verdict,
)


def a_version(database: Database) -> str:
    """Six reviewed, four approved: two as they were, one edited, one adjudicated."""
    set_id = a_set(database, 6, reviewers_per_item=2)
    judge_all(database, ANNA, set_id, ("approve", "approve", "edit", "approve", "reject", "flag"))
    judge_all(database, BEN, set_id, ("approve", "approve", "edit", "reject", "reject", "approve"))
    disputed = discussion(database, CARL, set_id).disputes[0].item.id
    adjudicate(database, CARL, set_id, disputed, verdict("edit", text=f"{EDITED} Settled."))
    make_version(database, CARL, NewVersion(name="paper", review_set=set_id))
    return set_id


def test_a_version_holds_what_was_approved_with_its_final_text(any_database: Database) -> None:
    a_version(any_database)
    found = read_version(any_database, "paper")
    assert sorted((one.origin, one.text) for one in found) == [
        (Origin.ADJUDICATED, f"{EDITED} Settled."),
        (Origin.APPROVED, TEXT),
        (Origin.APPROVED, TEXT),
        (Origin.EDITED, EDITED),
    ]
    (version,) = list_versions(any_database, "paper")
    assert (version.version, version.captions, version.added) == (1, 4, 4)
    assert version.review_set == "Pilot"


def test_a_later_verdict_makes_a_new_version_that_says_what_changed(
    any_database: Database,
) -> None:
    set_id = a_set(any_database, 3)
    items = judge_all(any_database, ANNA, set_id)
    new = NewVersion(name="paper", review_set=set_id)
    make_version(any_database, CARL, new)
    before = read_version(any_database, "paper", 1)
    with pytest.raises(ReviewTakenError, match="Nothing differs from version 1"):
        make_version(any_database, CARL, new)
    save_verdict(any_database, ANNA, set_id, items[0].id, verdict("edit", revision=1))
    save_verdict(any_database, ANNA, set_id, items[1].id, verdict("reject", revision=1))
    second = make_version(any_database, CARL, new)
    assert (second.version, second.added, second.removed, second.edited) == (2, 0, 1, 1)
    assert read_version(any_database, "paper", 1) == before
    view = changes(any_database, "paper")
    by_source = {one.source: one for one in view.changes}
    edited = by_source[items[0].source]
    assert [(run.kind, run.text) for run in edited.words] == [
        ("same", "The lesion is symmetric, with"),
        ("removed", "a regular"),
        ("added", "an irregular"),
        ("same", "border and dark brown colour."),
    ]
    assert by_source[items[1].source].change == "removed"
    assert changes(any_database, "paper", old=0, new=1).added == 3


def test_versions_and_their_captions_cannot_be_changed(any_database: Database) -> None:
    a_version(any_database)
    for statement in (
        "UPDATE caption_set_entry SET text = 'x'",
        "DELETE FROM caption_set_entry",
        "UPDATE caption_set_version SET captions = 0",
    ):
        with pytest.raises(DBAPIError, match="never changes"), any_database.engine.begin() as link:
            link.execute(text(statement))


@pytest.mark.parametrize("form", CaptionFormat)
def test_a_fresh_workspace_imports_the_identical_set(
    settings: Settings, database: Database, tmp_path: Path, form: CaptionFormat
) -> None:
    set_id = a_set(database, 3)
    (first, *_) = next_items(database, ANNA, set_id, 3).items
    odd = "'=Symmetric', \"quoted\", naïve, 色素沈着, a regular border and dark brown colour."
    save_verdict(database, ANNA, set_id, first.id, verdict("edit", text=odd))
    judge_all(database, ANNA, set_id)
    version = make_version(database, CARL, NewVersion(name="paper", review_set=set_id))
    content = export_bytes(database, settings, "paper", 1, form)
    fresh = Settings(workspace=tmp_path / "fresh")
    prepare_workspace(fresh)
    other = open_database(fresh)
    try:
        add_images(other, 3)
        found = import_captions(other, BEN, "paper", content, form)
        assert found.version.content_hash == version.content_hash
        assert export_bytes(other, fresh, "paper", 1, form) == content
        again = import_captions(other, BEN, "paper", content, form)
        assert again.version == found.version
    finally:
        other.close()


def test_a_csv_holds_no_formula(settings: Settings, database: Database) -> None:
    set_id = a_set(database, 1)
    (item,) = next_items(database, ANNA, set_id, 1).items
    save_verdict(database, ANNA, set_id, item.id, verdict("edit", text="=1+1 symmetric lesion"))
    make_version(database, CARL, NewVersion(name="paper", review_set=set_id))
    content = export_bytes(database, settings, "paper", 1, CaptionFormat.CSV)
    (row,) = csv.DictReader(io.StringIO(content.decode()))
    assert row["text"].startswith("'=")


def test_a_file_with_unknown_images_names_them_and_keeps_the_rest(any_database: Database) -> None:
    add_images(any_database, 2)
    lines = [
        json.dumps({"dataset": "set", "source": "00000", "text": TEXT}),
        json.dumps({"image": "folder/00001.JPG", "caption": TEXT}),
        json.dumps({"dataset": "set", "source": "00009", "text": TEXT}),
        json.dumps({"image": "nowhere.png", "caption": TEXT}),
        json.dumps({"dataset": "set", "source": "00000", "text": "Again."}),
        json.dumps({"dataset": "set", "source": "00001", "text": " "}),
        "{broken",
        "[1]",
    ]
    content = "\n".join(lines).encode()
    found = import_captions(any_database, CARL, "theirs", content, CaptionFormat.JSONL)
    assert (found.kept, found.unknown) == (2, ("set/00009", "nowhere.png"))
    assert [one.split(":")[0] for one in found.problems] == ["Line 6", "Line 7", "Line 8", "Line 5"]
    assert {one.origin for one in read_version(any_database, "theirs")} == {Origin.IMPORTED}


def test_the_captions_of_the_release_are_read_as_well(database: Database) -> None:
    add_images(database, 2)
    content = json.dumps({"00000.png": TEXT, "00001.png": EDITED}, indent=1).encode()
    assert import_captions(database, CARL, "release", content, CaptionFormat.JSONL).kept == 2


@pytest.mark.parametrize(
    ("content", "form", "sentence"),
    [
        (b"\xff\xfe\x00", CaptionFormat.JSONL, "not UTF-8"),
        (b"", CaptionFormat.JSONL, "it is empty"),
        (b'{"image": "nowhere.png", "caption": "x y"}', CaptionFormat.JSONL, "nowhere.png"),
        (b"a,b\n1,2\n", CaptionFormat.CSV, "an image"),
        (b'source,text\n"open', CaptionFormat.CSV, "no CSV"),
        (b"[[[[", CaptionFormat.JSONL, "no JSON"),
    ],
)
def test_a_file_of_which_nothing_can_be_kept_is_refused(
    database: Database, content: bytes, form: CaptionFormat, sentence: str
) -> None:
    with pytest.raises(ReviewError, match=sentence):
        import_captions(database, CARL, "theirs", content, form)


def test_an_image_folder_holds_its_images(settings: Settings, database: Database) -> None:
    set_id = a_set(database, 2)
    judge_all(database, ANNA, set_id)
    make_version(database, CARL, NewVersion(name="paper", review_set=set_id))
    for number in range(2):
        file = settings.workspace / f"corpus/{number:05d}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"pixels")
    out = settings.workspace.parent / "out"
    assert export_folder(database, settings, "paper", None, out) == 2
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert all((out / row["file_name"]).read_bytes() == b"pixels" for row in rows)
    assert [row["text"] for row in rows] == [TEXT, TEXT]


def test_a_name_that_no_address_can_hold_is_refused(database: Database) -> None:
    add_images(database, 1)
    content = json.dumps({"image": "00000", "caption": TEXT}).encode()
    with pytest.raises(ReviewError, match="no /"):
        import_captions(database, Actor(None), "a/b", content, CaptionFormat.JSONL)


def test_word_differences_join_to_both_texts() -> None:
    runs = word_diff("a b c d", "a x c")
    assert " ".join(run.text for run in runs if run.kind != "added") == "a b c d"
    assert " ".join(run.text for run in runs if run.kind != "removed") == "a x c"
