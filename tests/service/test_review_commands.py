"""The commands of reviewing: a whole review, from the draw to an imported caption set."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.settings import Settings
from backend.store.database import Database
from tests.service.reviewing import EDITED, add_captions, add_images


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on the workspace of the test; JSON where it prints some."""
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))

    def invoke(*words: str, text: bool = False) -> Any:
        done = CliRunner().invoke(build_app(), [*words, *(() if text else ("--json",))])
        if isinstance(done.exception, DermaFluxError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout if text else json.loads(done.stdout)

    return invoke


def test_a_review_from_the_draw_to_a_caption_set(
    run: Any, database: Database, tmp_path: Path
) -> None:
    add_images(database, 4)
    add_captions(database, 4)
    how = tmp_path / "how.txt"
    how.write_text("Judge what is seen.", "utf-8")
    made = run(
        *("review", "make", "Pilot", "--size", "3", "--reviewers-per-item", "2"),
        *("--guidelines", str(how), "--as", "Rob"),
    )
    assert (made["progress"]["items"], made["created_by"]) == (3, "rob")
    assert run("review", "guidelines", "Pilot", text=True).strip() == "Judge what is seen."
    how.write_text("Judge what is seen, twice.", "utf-8")
    assert run("review", "guidelines", "Pilot", "--file", str(how))["version"] == 2
    for name, answer in (("anna", "approve"), ("ben", "reject")):
        for item in run("review", "next", "Pilot", "--as", name, "--count", "3")["items"]:
            said = answer if item["position"] == 1 else "approve"
            run(
                *("review", "judge", "Pilot", str(item["id"]), "--as", name, "--answer", said),
                *("--reason", "A notch is missing" if said == "reject" else ""),
                *("--mark", "border=reject" if said == "reject" else "border=approve"),
            )
    assert "1 disputed" in run("review", "show", "Pilot", text=True)
    first = str(run("review", "audit", "Pilot")["events"][-3]["item"])
    with pytest.raises(DermaFluxError, match="third person"):
        run(
            *("review", "judge", "Pilot", first, "--as", "ben", "--answer", "approve"),
            "--adjudication",
        )
    run(
        *("review", "judge", "Pilot", first, "--as", "carl", "--answer", "edit"),
        *("--text", EDITED, "--adjudication"),
    )
    agreement = run("review", "agreement", "Pilot", text=True)
    assert "KRIPPENDORFF" in agreement
    out = tmp_path / "verdicts.csv"
    assert run("review", "export", "Pilot", "--out", str(out))["verdicts"] == 7
    assert out.read_text("utf-8").count("\n") == 8
    version = run("caption-sets", "make", "paper", "--from", "Pilot")
    assert version["captions"] == 3
    file = tmp_path / "paper.jsonl"
    run("caption-sets", "export", "paper", "--out", str(file))
    run("review", "undo", "Pilot", "--as", "carl")
    again = run("caption-sets", "make", "paper", "--from", "Pilot", "--anew")
    assert (again["version"], again["removed"]) == (2, 1)
    changed = run("caption-sets", "changes", "paper", text=True)
    assert changed.startswith("paper 1 to 2: 0 added, 1 removed, 0 edited.")
    back = run("caption-sets", "import", "paper", str(file))
    assert back["version"]["content_hash"] == version["content_hash"]
    assert len(run("caption-sets", "versions", "paper")) == 3
    assert run("caption-sets", "list")[0]["captions"] == 3
    assert run("review", "close", "Pilot")["state"] == "closed"
    assert run("review", "reopen", "Pilot")["state"] == "open"
    assert "Pilot" in run("review", "list", text=True)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("review", "show", "none"), "There is no review set 'none'"),
        (("review", "make", "x", "--kind", "poems"), "cannot be made: kind"),
        (("review", "make", "x"), "has written nothing yet"),
        (("caption-sets", "versions", "none"), "There is no caption set 'none'"),
        (("caption-sets", "export", "none", "--out", "x", "--format", "pdf"), "no format 'pdf'"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(
    run: Any, command: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(DermaFluxError, match=sentence):
        run(*command)
