"""The buttons inside the Corpus tab's own HTML reach their handlers, without a browser."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.corpus.exporting import KIND as EXPORT
from backend.corpus.queries import CorpusFilter
from backend.corpus.subsets import list_subsets, make_subset
from backend.jobs.queue import list_jobs
from backend.store.database import Database
from studio.layout import build_page
from tests.service.test_corpus_catalogue import fill
from tests.web.shell import opened

Press = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[gr.Blocks, Database]]:
    """The page over a catalogue of two hundred rows and a subset `some`."""
    with opened(tmp_path / "workspace") as (settings, database):
        fill(database)
        make_subset(database, "some", (CorpusFilter(dataset="ddi"),))
        yield build_page(settings, database), database


@pytest.fixture
def press(page: tuple[gr.Blocks, Database]) -> Press:
    """Sends an action to a bridge; returns what the handler draws, by the ids on the page."""

    def pressed(bridge: str, action: str, value: str) -> dict[str, Any]:
        blocks = page[0]
        text = json.dumps({"action": action, "value": value, "on": True, "nonce": 1})
        (source,) = [one for one in blocks.blocks.values() if one.elem_id == bridge]
        (handler,) = [
            one for one in blocks.fns.values() if [key for key, _ in one.targets] == [source._id]
        ]
        values = {
            part: text if part is source else getattr(part, "value", None)
            for part in handler.inputs
        }
        drawn = handler.fn(values)
        assert set(drawn) <= set(handler.outputs)
        return {part.elem_id: value for part, value in drawn.items()}

    return pressed


def test_a_subset_is_browsed_exported_and_removed(
    page: tuple[gr.Blocks, Database], press: Press
) -> None:
    bridge, database = "corpus-subsets-bridge", page[1]
    (subset,) = list_subsets(database)
    assert press(bridge, "browse", "some")["corpus-place"].endswith(f"of {subset.images}")
    assert "as imagefolder" in press(bridge, "export", "some")["corpus-exports"]
    assert [job.total for job in list_jobs(database, kinds=(EXPORT,))] == [subset.images]
    drawn = press(bridge, "remove_subset", "some")
    assert "is removed" in drawn["subset-notice"]
    assert list_subsets(database) == []


def test_an_import_leads_to_its_images(press: Press) -> None:
    drawn = press("corpus-import-bridge", "browse", "ddi")
    assert drawn["corpus-dataset"].value == "=ddi"
    assert press("corpus-import-bridge", "report", "ddi")["report-dataset"].value == "ddi"
