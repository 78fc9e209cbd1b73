"""Reviewing over HTTP: who acts, what is refused in which words, and what blindness hides."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image as Pillow
from starlette.middleware import Middleware

from backend.accounts import create_account
from backend.images import write_image
from backend.review.people import Actor
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Role
from studio.login import Doorkeeper, SignedInOnly, login_routes
from studio.review_api import review_routes
from studio.sessions import open_sessions
from tests.service.reviewing import (
    ANNA,
    BEN,
    TEXT,
    a_set,
    add_captions,
    add_generated,
    add_images,
    judge_all,
    key,
    work,
)

SECRET = "four green apples fall"
ROOM = "/review/api"


@pytest.fixture
def client(settings: Settings, database: Database) -> TestClient:
    """A studio on its own machine, where nobody signs in."""
    app = FastAPI()
    app.include_router(review_routes(settings, database, signed_in=False))
    return TestClient(app)


@pytest.fixture
def guarded(settings: Settings, database: Database) -> Iterator[FastAPI]:
    """A studio where ada (admin), rob (researcher), anna, ben and carl (reviewers) sign in."""
    for name, role in (
        ("ada", Role.ADMIN),
        ("rob", Role.RESEARCHER),
        *((name, Role.REVIEWER) for name in ("anna", "ben", "carl")),
    ):
        create_account(database, name, SECRET, role)
    doorkeeper = Doorkeeper(database, open_sessions(settings.workspace), "cookie")
    app = FastAPI(middleware=[Middleware(SignedInOnly, doorkeeper=doorkeeper)])
    app.include_router(login_routes(doorkeeper))
    app.include_router(review_routes(settings, database, signed_in=True))
    return app


def sign_in(app: FastAPI, name: str) -> TestClient:
    client = TestClient(app, follow_redirects=False)
    assert client.post("/login", data={"name": name, "password": SECRET}).status_code == 303
    return client


def named(name: str) -> dict[str, str]:
    return {"X-Reviewer": name}


def make(
    client: TestClient, settings: Settings, database: Database, body: dict[str, object]
) -> Any:
    """Have carl ask for a set, do the job, and return the set."""
    asked = client.post(f"{ROOM}/sets", headers=named("carl"), json=body)
    assert asked.status_code == 202
    made = work(settings, database)
    assert (made.id, made.error) == (asked.json()["job"], None)
    seen = client.get(f"{ROOM}/jobs/{made.id}", headers=named("carl")).json()
    return client.get(f"{ROOM}/sets/{seen['set']}", headers=named("carl")).json()


def a_verdict(answer: str = "approve", **values: object) -> dict[str, object]:
    return {"key": key(), "revision": 0, "answer": answer, **values}


def test_a_person_without_account_reviews_under_a_chosen_name(
    client: TestClient, database: Database
) -> None:
    set_id = a_set(database, 3)
    assert client.get(f"{ROOM}/me").json()["name"] is None
    refused = client.get(f"{ROOM}/sets/{set_id}/next")
    assert (refused.status_code, "Choose the name" in refused.json()["detail"]) == (400, True)
    who = named("J%C3%B6rg")
    assert client.get(f"{ROOM}/me", headers=who).json()["name"] == "jörg"
    items = client.get(f"{ROOM}/sets/{set_id}/next", headers=who).json()["items"]
    assert [one["text"] for one in items] == [TEXT, TEXT]
    address = f"{ROOM}/sets/{set_id}/items/{items[0]['id']}"
    body = a_verdict(marks={"border": "approve"})
    saved = client.put(f"{address}/verdict", headers=who, json=body)
    again = client.put(f"{address}/verdict", headers=who, json=body)
    assert (saved.json()["repeated"], again.json()["repeated"]) == (False, True)
    stale = client.put(f"{address}/verdict", headers=who, json=a_verdict("flag"))
    assert stale.status_code == 409
    assert stale.json()["current"] == saved.json()["verdict"]
    assert client.get(address, headers=who).json()["verdict"] == saved.json()["verdict"]
    undone = client.post(f"{ROOM}/sets/{set_id}/undo", headers=who, json={"key": key()})
    assert undone.json()["verdict"]["answer"] is None


def test_every_fault_of_a_request_is_one_sentence(client: TestClient, database: Database) -> None:
    set_id = a_set(database, 1)
    who = named("anna")
    item = client.get(f"{ROOM}/sets/{set_id}/next", headers=who).json()["items"][0]["id"]
    address = f"{ROOM}/sets/{set_id}/items/{item}/verdict"
    for body, status, words in (
        (a_verdict(reviewer="ben"), 422, "reviewer: extra inputs are not permitted."),
        (a_verdict("perhaps"), 422, "answer: "),
        ({**a_verdict(), "key": "k"}, 422, "key: "),
        (a_verdict("reject"), 400, "Say why it is rejected"),
        (a_verdict(note="x" * 20_000), 422, "note: "),
    ):
        answer = client.put(address, headers=who, json=body)
        assert (answer.status_code, answer.json()["detail"].startswith(words)) == (status, True)
    assert client.put(address, headers=who, content=b"{").status_code == 422
    assert client.get(f"{ROOM}/sets/none", headers=who).status_code == 404
    assert client.get(f"{ROOM}/sets/{set_id}/items/999", headers=who).status_code == 404
    assert client.get(f"{ROOM}/sets/{set_id}/next?count=99", headers=who).status_code == 422
    taken = client.post(f"{ROOM}/sets", headers=who, json={"name": "Pilot"})
    assert (taken.status_code, "already" in taken.json()["detail"]) == (409, True)
    nul = a_verdict("reject", reason="a\0b")
    assert client.put(address, headers=who, json=nul).json()["verdict"]["reason"] == "ab"
    half = json.dumps(a_verdict("reject", reason="\ud800", revision=1))
    assert client.put(address, headers=who, content=half).status_code == 422


def test_odd_numbers_and_signs_are_refused_and_never_crash(any_database: Database) -> None:
    set_id = a_set(any_database, 1)
    settings = Settings(workspace=Path("unused"))
    app = FastAPI()
    app.include_router(review_routes(settings, any_database, signed_in=False))
    client, who = TestClient(app), named("anna")
    for address, status in (
        (f"sets/{set_id}/items/{10**30}", 422),
        (f"sets/{set_id}/items/0", 422),
        ("sets/%00", 404),
        (f"sets/{set_id}/audit?before={10**30}", 422),
        (f"sets/{set_id}/mine?before=2026-01-01T00:00:00", 422),
        (f"sets/{set_id}/mine?answer=%00", 404),
        (f"sets/{set_id}/discussion?offset={10**12}", 422),
        (f"caption-sets/none/versions/{10**20}/entries", 422),
        ("caption-sets/none/changes?new=5", 404),
    ):
        answer = client.get(f"{ROOM}/{address}", headers=who)
        assert (answer.status_code, type(answer.json()["detail"])) == (status, str), address
    assert client.get(f"{ROOM}/sets", headers=named("a%00b")).status_code == 400
    assert client.get(f"{ROOM}/sets", headers=named("x" * 65)).status_code == 400
    recipe = {"name": "Odd", "captioner": "a\0b", "subset": "\0", "job_id": "\0"}
    assert client.post(f"{ROOM}/sets", headers=who, json=recipe).status_code == 400
    line = '{"dataset": "\\ud800", "source": "\\u0000", "text": "A lesion.", "prompt": "\\u0000"}'
    known = '{"dataset": "set", "source": "00000", "text": "A lesion.", "prompt": "\\u0000"}'
    file = {"name": "odd", "format": "jsonl", "content": f"{line}\n{known}"}
    found = client.post(f"{ROOM}/caption-sets/import", headers=who, json=file)
    assert (found.status_code, found.json()["kept"]) == (201, 1)


def test_who_acts_is_the_session_whatever_a_header_says(
    guarded: FastAPI, database: Database
) -> None:
    set_id = a_set(database, 2)
    assert TestClient(guarded).get(f"{ROOM}/sets").status_code == 401
    anna = sign_in(guarded, "anna")
    me = anna.get(f"{ROOM}/me", headers=named("ada")).json()
    assert (me["name"], me["role"], me["may"], me["known"]) == ("anna", "reviewer", ["review"], [])
    item = anna.get(f"{ROOM}/sets/{set_id}/next", headers=named("ben")).json()["items"][0]["id"]
    address = f"{ROOM}/sets/{set_id}/items/{item}/verdict"
    anna.put(address, headers=named("ben"), json=a_verdict())
    ada = sign_in(guarded, "ada")
    assert ada.get(f"{ROOM}/sets/{set_id}/audit").json()["events"][0]["actor"] == "anna"


def test_a_reviewer_may_review_and_nothing_else(guarded: FastAPI, database: Database) -> None:
    set_id = a_set(database, 1)
    anna = sign_in(guarded, "anna")
    for answer in (
        anna.post(f"{ROOM}/sets", json={"name": "Mine"}),
        anna.post(f"{ROOM}/sets/{set_id}/close"),
        anna.put(f"{ROOM}/sets/{set_id}/guidelines", json={"version": 0, "text": "Mine"}),
        anna.get(f"{ROOM}/sets/{set_id}/agreement"),
        anna.get(f"{ROOM}/sets/{set_id}/discussion"),
        anna.get(f"{ROOM}/sources"),
        anna.get(f"{ROOM}/jobs"),
        anna.get(f"{ROOM}/jobs/none"),
        anna.post(f"{ROOM}/caption-sets", json={"name": "x", "review_set": set_id}),
        anna.post(
            f"{ROOM}/caption-sets/import", json={"name": "x", "format": "csv", "content": ""}
        ),
    ):
        assert answer.status_code == 403, answer.text
        assert answer.json()["detail"].endswith(".")
    (view,) = anna.get(f"{ROOM}/sets").json()
    assert view["parts"] == ["reviewer"]


def test_reviewers_of_a_blind_set_see_nothing_of_each_other(
    guarded: FastAPI, database: Database
) -> None:
    set_id = a_set(database, 3, reviewers_per_item=2, adjudicators=["carl"])
    room = f"{ROOM}/sets/{set_id}"
    ben, carl, rob = (sign_in(guarded, name) for name in ("ben", "carl", "rob"))
    judge_all(database, Actor("anna", "anna"), set_id, ("reject", "flag", "approve"))
    items = ben.get(f"{room}/next", params={"count": 1}).json()["items"]
    shown = str(items) + ben.get(room).text + ben.get(f"{room}/audit").text
    assert "A notch is missing" not in shown
    assert "anna" not in shown
    assert all(one["verdict"] is None for one in items)
    ben.put(f"{room}/items/{items[0]['id']}/verdict", json=a_verdict())
    assert ben.get(f"{room}/discussion").status_code == 403
    # The keeper of the set learns who is how far, and no answer of anybody.
    trail = rob.get(f"{room}/audit").json()["events"]
    assert {one["actor"] for one in trail} == {"anna", "ben", "carl"}
    assert all(one["after"] is None for one in trail if one["action"] == "verdict")
    # A third person settles, by letters; a person who reviews does not see the numbers before.
    disputes = carl.get(f"{room}/discussion").json()["disputes"]
    assert [sorted(v["letter"] for v in one["verdicts"]) for one in disputes] == [["A", "B"]]
    assert "anna" not in str(disputes)
    assert "ben" not in str(disputes)
    assert rob.get(f"{room}/agreement").status_code == 200
    rob_item = rob.get(f"{room}/next", params={"count": 1}).json()["items"][0]["id"]
    rob.put(f"{room}/items/{rob_item}/verdict", json=a_verdict())
    assert rob.get(f"{room}/agreement").status_code == 403
    mine = [one["mine"] for one in rob.get(f"{room}/discussion").json()["disputes"]]
    assert len([letter for letter in mine if letter]) == 1
    assert rob.post(f"{room}/close").status_code == 200
    assert rob.get(f"{room}/agreement").status_code == 200
    assert "A notch is missing" in rob.get(f"{room}/audit").text


def test_an_item_of_a_blind_set_is_shown_to_those_it_was_given_to(
    guarded: FastAPI, database: Database
) -> None:
    set_id = a_set(database, 2)
    anna, ben = sign_in(guarded, "anna"), sign_in(guarded, "ben")
    item = anna.get(f"{ROOM}/sets/{set_id}/next?count=1").json()["items"][0]["id"]
    assert anna.get(f"{ROOM}/sets/{set_id}/items/{item}").status_code == 200
    refused = ben.get(f"{ROOM}/sets/{set_id}/items/{item}")
    assert (refused.status_code, "not given to you" in refused.json()["detail"]) == (403, True)


def paint(settings: Settings, file: str, size: tuple[int, int], text: str) -> None:
    """A picture that says in its metadata what it is."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, : size[1] // 2] = 200
    write_image(settings.workspace / file, pixels)
    with Pillow.open(settings.workspace / file) as image:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("dermaflux", text)
        image.save(settings.workspace / file, pnginfo=info)


def test_in_a_real_or_synthetic_test_nothing_tells_until_it_is_closed(
    client: TestClient, settings: Settings, database: Database
) -> None:
    add_images(database, 6)
    add_captions(database, 6)
    add_generated(database, 6)
    for number in range(6):
        paint(settings, f"corpus/{number:05d}.png", (60, 80), "real")
        paint(settings, f"images/{number}.png", (64, 64), "synthetic")
    keeper, who = named("carl"), named("anna")
    body = {"name": "Turing", "kind": "real_or_synthetic", "size": 12, "blind": False}
    made = make(client, settings, database, body)
    assert (made["blind"], made["answers"][:2]) == (True, ["real", "synthetic"])
    room = f"{ROOM}/sets/{made['id']}"
    truth = []
    for _ in range(12):
        shown = client.get(f"{room}/next?count=1", headers=who).json()["items"][0]
        assert (shown["text"], shown["label"], shown["dataset"], shown["source"]) == ("",) * 4
        assert (shown["spans"], shown["measured"], shown["overlay_url"]) == ([], [], None)
        picture = client.get(shown["image_url"], headers=who)
        assert picture.headers["content-type"] == "image/jpeg"
        with Pillow.open(io.BytesIO(picture.content)) as image:
            assert (image.size, image.info.get("dermaflux")) == ((512, 512), None)
        assert b"synthetic" not in picture.content
        truth.append(shown["image_url"].split("v=")[1])
        address = f"{room}/items/{shown['id']}/verdict"
        client.put(address, headers=who, json=a_verdict("synthetic"))
    assert len(set(truth)) == 1
    assert client.get(f"{room}/agreement", headers=keeper).json()["tests"] == []
    client.post(f"{room}/close", headers=keeper)
    everybody, anna = client.get(f"{room}/agreement", headers=keeper).json()["tests"]
    assert (everybody["reviewer"], anna["reviewer"]) == ("all", "anna")
    assert everybody["accuracy"]["value"] == 0.5
    assert everybody["sensitivity"]["value"] == 1.0
    assert everybody["specificity"] == {
        "count": 0,
        "total": 6,
        "value": 0.0,
        "low": 0.0,
        "high": pytest.approx(0.4593, abs=1e-4),
    }
    assert client.post(f"{room}/reopen", headers=keeper).status_code == 409


def test_generated_images_are_reviewed_with_questions_of_their_own(
    client: TestClient, settings: Settings, database: Database
) -> None:
    add_generated(database, 3)
    paint(settings, "images/0.png", (64, 64), "synthetic")
    body = {"name": "Made", "kind": "images", "strategy": "active", "size": None}
    made = make(client, settings, database, body)
    questions = [one["name"] for one in made["attributes"]]
    assert questions == ["realistic", "label_consistent", "caption_consistent", "artefact_free"]
    room = f"{ROOM}/sets/{made['id']}"
    item = client.get(f"{room}/next?count=1", headers=named("anna")).json()["items"][0]
    marks = dict.fromkeys(questions, "approve")
    saved = client.put(
        f"{room}/items/{item['id']}/verdict", headers=named("anna"), json=a_verdict(marks=marks)
    )
    assert saved.json()["verdict"]["marks"] == marks
    # Where measurement and caption differ most comes first.
    assert {one["field"]: one["value"] for one in item["measured"]}["asymmetry"] == "two_axes"


def test_pictures_are_files_of_the_workspace_and_a_missing_one_is_named(
    client: TestClient, settings: Settings, database: Database
) -> None:
    set_id = a_set(database, 1)
    who = named("anna")
    item = client.get(f"{ROOM}/sets/{set_id}/next?count=1", headers=who).json()["items"][0]
    gone = client.get(item["image_url"], headers=who)
    assert (gone.status_code, "no longer" in gone.json()["detail"]) == (404, True)
    paint(settings, "corpus/00000.png", (64, 64), "real")
    there = client.get(item["image_url"], headers=who)
    assert there.content == (settings.workspace / "corpus/00000.png").read_bytes()
    assert "immutable" in there.headers["cache-control"]


def test_caption_sets_are_made_compared_exported_and_imported(
    client: TestClient, database: Database
) -> None:
    set_id = a_set(database, 3)
    judge_all(database, ANNA, set_id)
    who = named("carl")
    body = {"name": "paper set", "review_set": set_id}
    made = client.post(f"{ROOM}/caption-sets", headers=who, json=body)
    assert (made.status_code, made.json()["captions"]) == (201, 3)
    assert client.post(f"{ROOM}/caption-sets", headers=who, json=body).status_code == 409
    room = f"{ROOM}/caption-sets/paper set"
    file = client.get(f"{room}/versions/1/export?format=csv", headers=who)
    assert "paper%20set-1.csv" in file.headers["content-disposition"]
    content = "".join(file.text.splitlines(keepends=True)[:-1]) + '"set","gone","Text.","","",""\n'
    body = {"name": "paper set", "format": "csv", "content": content}
    found = client.post(f"{ROOM}/caption-sets/import", headers=who, json=body).json()
    assert (found["kept"], found["unknown"]) == (2, ["set/gone"])
    view = client.get(f"{room}/changes").json()
    assert (view["old"], view["new"], view["removed"]) == (1, 2, 1)
    assert len(client.get(f"{room}/versions/2/entries").json()) == 2
    assert [one["version"] for one in client.get(f"{room}/versions").json()] == [2, 1]
    assert client.get(f"{ROOM}/caption-sets").json()[0]["versions"] == 2
    assert client.get(f"{room}/versions/9/entries").status_code == 404


def test_agreement_is_reported_an_attribute_and_by_label(
    client: TestClient, database: Database
) -> None:
    set_id = a_set(database, 8, reviewers_per_item=2, blind=False)
    judge_all(database, ANNA, set_id, ("approve", "reject"))
    judge_all(database, BEN, set_id, ("approve", "reject", "approve", "approve"))
    report = client.get(f"{ROOM}/sets/{set_id}/agreement", headers=named("carl")).json()
    rows = {(one["question"], one["group"]): one for one in report["rows"]}
    assert {group for _, group in rows} == {"all", "benign", "malignant"}
    overall = rows["overall", "all"]
    assert (overall["items"], overall["raters"], overall["raw"]["value"]) == (8, 2, 0.75)
    assert overall["cohen"]["low"] < overall["cohen"]["value"] < overall["cohen"]["high"]
    assert rows["asymmetry", "all"]["krippendorff"]["reason"] == (
        "No item has two verdicts to compare."
    )
