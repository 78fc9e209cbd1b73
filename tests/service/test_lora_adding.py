"""A LoRA as large as the authors' is put onto the shelf by a job, without filling the memory."""

import json
import resource
from pathlib import Path

import pytest

from backend.generation.errors import LoraError
from backend.generation.lora.adding import KIND, run_add, submit_add
from backend.generation.lora.facts import ALL_LINEAR_LAYERS
from backend.generation.lora.shelf import get_lora, list_loras, remove_lora
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, cancel, claim_next, get_job, retry
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from tests.lora_files import kohya_lora, kohya_modules, save_lora
from tests.service.studio import partial_files

HIDDEN, RANK, DOUBLE, SINGLE = 3072, 64, 19, 38
WIDTHS = {
    "attn_qkv": (1, 3),
    "attn_proj": (1, 1),
    "mlp_0": (1, 4),
    "mlp_2": (4, 1),
    "mod_lin": (1, 6),
    "linear1": (1, 7),
    "linear2": (5, 1),
    "modulation_lin": (1, 3),
}
"""Inside and outside of each layer, in units of the hidden width."""
AUTHORS_PARAMETERS = 306_315_264
MEMORY_KB = 200 * 1024


def authors_size(path: Path) -> Path:
    """A sound file with the tensors of the authors' LoRA in bf16, all zero and not on the disk."""
    header: dict[str, object] = {}
    end = 0
    for module in kohya_modules(DOUBLE, SINGLE):
        inside, outside = next(width for kind, width in WIDTHS.items() if module.endswith(kind))
        for part, shape in (
            ("lora_down", [RANK, inside * HIDDEN]),
            ("lora_up", [outside * HIDDEN, RANK]),
        ):
            start, end = end, end + 2 * shape[0] * shape[1]
            header[f"{module}.{part}.weight"] = {
                "dtype": "BF16",
                "shape": shape,
                "data_offsets": [start, end],
            }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
    return path


def work(settings: Settings, database: Database) -> JobView:
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    return get_job(database, job.id)


def test_a_file_of_the_size_of_the_authors_is_added_with_the_memory_left_as_it_was(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    file = authors_size(tmp_path / "flux_lora_64_64.safetensors")
    assert file.stat().st_size > 612_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    submit_add(database, settings, file)
    job = work(settings, database)
    assert (job.state, job.error) == (JobState.DONE, None)
    assert job.title == "LoRA flux_lora_64_64, 613 MB"
    added = get_lora(database, settings, "flux_lora_64_64")
    assert (added.parameters, added.ranks) == (AUTHORS_PARAMETERS, (RANK,))
    assert added.targets == ALL_LINEAR_LAYERS
    assert added.bytes == added.path.stat().st_size == file.stat().st_size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB
    assert partial_files(settings) == []


def test_what_its_header_tells_is_refused_before_anything_is_queued(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    whole = save_lora(tmp_path / "whole.safetensors", kohya_lora(hidden=32))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    pickle = tmp_path / "lora.safetensors"
    pickle.write_bytes(b"\x80\x04\x95" + bytes(100))
    for file, sentence in (
        (cut, "truncated"),
        (pickle, "is a pickle"),
        (tmp_path / "none.safetensors", "There is no file"),
        (tmp_path, "There is no file"),
    ):
        with pytest.raises(LoraError, match=sentence):
            submit_add(database, settings, file)
    assert claim_next(database, this_process()) is None


def test_a_name_that_is_taken_is_refused_and_a_file_that_went_ends_the_job_with_a_sentence(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    first = save_lora(tmp_path / "mole.safetensors", kohya_lora(hidden=32))
    submit_add(database, settings, first)
    assert work(settings, database).error is None
    second = save_lora(tmp_path / "b" / "mole.safetensors", kohya_lora(hidden=32, seed=1))
    with pytest.raises(LoraError, match="a LoRA called mole on the shelf already"):
        submit_add(database, settings, second)
    submit_add(database, settings, second, name="other")
    second.unlink()
    job = work(settings, database)
    assert (job.state, job.kind) == (JobState.FAILED, KIND)
    assert "There is no file" in (job.error or "")
    assert [view.name for view in list_loras(database, settings)] == ["mole"]


def test_a_job_that_is_done_again_finds_its_work_done(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    submit_add(database, settings, save_lora(tmp_path / "mole.safetensors", kohya_lora(hidden=32)))
    job = claim_next(database, this_process())
    assert job is not None
    context = JobContext(settings, database, job)
    for _ in range(2):
        run_add(context, job.payload, WarmState())
    assert [view.name for view in list_loras(database, settings)] == ["mole"]
    remove_lora(database, settings, "mole")
    run_add(context, job.payload, WarmState())
    assert get_lora(database, settings, "mole").path.is_file()


def test_a_cancelled_job_leaves_nothing_and_can_be_retried(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    job_id = submit_add(
        database, settings, save_lora(tmp_path / "mole.safetensors", kohya_lora(hidden=32))
    )
    cancel(database, job_id)
    assert list_loras(database, settings) == []
    retry(database, job_id)
    assert work(settings, database).state is JobState.DONE
