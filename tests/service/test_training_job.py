"""The whole way of a small LoRA: planned, trained by the real program as a job, onto the shelf."""

from pathlib import Path

from backend.finetuning.planning import make_run
from backend.finetuning.run_folder import Wish
from backend.finetuning.runs import RunState, get_run
from backend.finetuning.shelving import name_on_shelf
from backend.finetuning.submitting import submit_run
from backend.generation.lora.layouts import Family
from backend.generation.lora.shelf import get_lora
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, get_job
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from tests.service.planned_runs import tiny_config, write_pairs


def test_a_lora_is_trained_as_a_job_and_can_be_used(
    settings: Settings, database: Database, tiny_flux: Path, tmp_path: Path
) -> None:
    (settings.models_dir / "tiny").symlink_to(tiny_flux, target_is_directory=True)
    config = tiny_config(write_pairs(tmp_path / "pairs"), checkpoint_every=2, sample_every=0)
    run = make_run(database, settings, config)
    submit_run(database, settings, run.path.name)
    claimed = claim_next(database, this_process())
    assert claimed is not None
    Worker(settings, database).run_job(claimed)
    job = get_job(database, claimed.id)
    assert (job.state, job.error, job.done) == (JobState.DONE, None, 4)
    view = get_run(database, settings, run.path.name)
    assert (view.state, view.wished) == (RunState.DONE, frozenset[Wish]())
    name = name_on_shelf(database, settings, run)
    assert name is not None
    lora = get_lora(database, settings, name)
    assert (lora.family, lora.ranks) == (Family.FLUX, (4,))
