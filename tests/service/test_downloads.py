"""Downloads from a hub of our own: after a yes, resumed, checked, and with a token kept close."""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.generation.download.running import (
    MANIFEST,
    UNIT,
    find_offer,
    list_offers,
    submit_download,
)
from backend.generation.download.token import keep_token, read_token
from backend.generation.errors import DownloadError, ModelError, TokenError
from backend.generation.model_folders import check_model
from backend.generation.models import list_models, usable_model
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, cancel, claim_next, get_job, job_log, retry
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from tests.service.standing_hub import COMMIT, StandingHub, standing_hub

REPO = "lab/tiny-sd"
SECRET = "hf_tinyTokenForTests123"
UNET = "unet/diffusion_pytorch_model.safetensors"
ENTRY = f"""
[[model]]
name = "lesions"
family = "sd1"
title = "Lesions"
licence = "CreativeML OpenRAIL-M"

[model.source]
repo = "{REPO}"
bytes = 3_000_000
gated = GATED
"""


@pytest.fixture
def repository(tiny_sd: Path, tmp_path: Path) -> Path:
    """The tiny Stable Diffusion as its makers would upload it, with what nobody needs here."""
    folder = Path(shutil.copytree(tiny_sd, tmp_path / "repository"))
    (folder / "dermaflux.json").unlink()
    (folder / "README.md").write_text("A card.")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"half")
    return folder


@pytest.fixture
def hub(repository: Path) -> Iterator[StandingHub]:
    """The hub with that repository."""
    with standing_hub(repository, REPO) as hub:
        yield hub


@pytest.fixture
def here(settings: Settings, hub: StandingHub) -> Settings:
    """A workspace that knows the repository as a model called lesions."""
    settings.own_models_toml.write_text(ENTRY.replace("GATED", "false"))
    return settings.model_copy(update={"hub_url": hub.url, "device": "cpu", "threads": 1})


def work(settings: Settings, database: Database) -> JobView:
    """Do the next job; returns it as it ended."""
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    return get_job(database, job.id)


def download(settings: Settings, database: Database) -> JobView:
    """Say yes and download."""
    submit_download(database, settings, "lesions", confirmed=True)
    return work(settings, database)


def test_a_model_that_is_not_here_is_offered_with_size_and_licence(
    here: Settings, database: Database
) -> None:
    offer = find_offer(database, here, "lesions")
    assert (offer.licence, offer.source.bytes, offer.source.gated) == (
        "CreativeML OpenRAIL-M",
        3_000_000,
        False,
    )
    offered = {offer.name: offer.kind for offer in list_offers(database, here)}
    assert offered.items() >= {"FLUX.1-dev": "model", "dermaflux": "LoRA"}.items()
    assert "starter" not in offered


def test_without_a_yes_the_hub_is_not_even_asked(
    here: Settings, database: Database, hub: StandingHub
) -> None:
    with pytest.raises(DownloadError, match="licence is: CreativeML OpenRAIL-M"):
        submit_download(database, here, "lesions", confirmed=False)
    assert claim_next(database, this_process()) is None
    assert hub.seen_tokens == []


def test_a_downloaded_model_is_whole_checked_and_usable(
    here: Settings, database: Database, repository: Path
) -> None:
    job = download(here, database)
    assert (job.state, job.error) == (JobState.DONE, None)
    assert job.done == job.total
    entry = usable_model(here, "lesions")
    assert entry.title == "Lesions"
    names = {path.relative_to(entry.folder).as_posix() for path in entry.folder.rglob("*.*")}
    assert UNET in names
    assert not {name for name in names if name.endswith((".bin", ".md", ".part"))}
    assert not {name for name in names if ".fp16." in name}
    assert (entry.folder / UNET).read_bytes() == (repository / UNET).read_bytes()
    found = check_model(here, "lesions")
    assert found.compared == found.files == len(names - {MANIFEST})
    assert COMMIT in (entry.folder / MANIFEST).read_text()
    assert not (here.models_dir / ".downloads" / "lesions").exists()
    with pytest.raises(ModelError, match="here already"):
        submit_download(database, here, "lesions", confirmed=True)


def test_a_download_that_is_cut_off_goes_on_at_the_byte_where_it_was(
    here: Settings, database: Database, hub: StandingHub
) -> None:
    hub.cut[UNET] = 50_000
    cut = download(here, database)
    assert cut.state is JobState.FAILED
    assert "Retry" in str(cut.error)
    assert [entry.name for entry in list_models(here)] == ["starter"]
    part = here.models_dir / ".downloads" / "lesions" / f"{UNET}.part"
    assert part.stat().st_size == 50_000
    before = len(hub.asked)
    retry(database, cut.id)
    assert work(here, database).state is JobState.DONE
    again = dict(hub.asked[before:])
    assert again[UNET] == "bytes=50000-"
    assert not set(again) & {name for name, _ in hub.asked[:before] if name != UNET}
    assert check_model(here, "lesions").compared > 0


@pytest.mark.parametrize("name", [UNET, "tokenizer/tokenizer.json"])
def test_a_file_with_a_wrong_hash_is_removed_and_named(
    here: Settings, database: Database, hub: StandingHub, name: str
) -> None:
    hub.forged.add(name)
    job = download(here, database)
    assert job.state is JobState.FAILED
    assert f"The file {name} of {REPO} is not what the hub says it is" in str(job.error)
    assert not [
        path for path in here.models_dir.rglob("*") if path.name.startswith(Path(name).name)
    ]
    hub.forged.clear()
    retry(database, job.id)
    assert work(here, database).state is JobState.DONE


def test_a_gated_model_asks_for_a_token_once_and_keeps_it_to_itself(
    here: Settings, database: Database, hub: StandingHub, caplog: pytest.LogCaptureFixture
) -> None:
    here.own_models_toml.write_text(ENTRY.replace("GATED", "true"))
    hub.token = SECRET
    with pytest.raises(TokenError, match="accept its licence"):
        submit_download(database, here, "lesions", confirmed=True)
    keep_token(here, f" {SECRET}\n")
    assert stat.S_IMODE(here.hub_token_file.stat().st_mode) == 0o600
    caplog.set_level("DEBUG")
    job = download(here, database)
    assert job.state is JobState.DONE
    assert {given for path, given in hub.seen_tokens if path.startswith("/storage/")} == {None}
    assert {given for path, given in hub.seen_tokens if path.startswith("/api/")} == {
        f"Bearer {SECRET}"
    }
    assert SECRET not in caplog.text
    assert SECRET not in f"{job} {job_log(database, job.id)}"
    holding = [
        path
        for path in here.workspace.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert holding == [here.hub_token_file]


def test_a_refused_token_is_forgotten_and_the_sentence_says_what_to_do(
    here: Settings, database: Database, hub: StandingHub
) -> None:
    hub.token = SECRET
    keep_token(here, "hf_anotherOne12345")
    job = download(here, database)
    assert job.state is JobState.FAILED
    assert "wants a token for lab/tiny-sd, or refused the one it got" in str(job.error)
    assert "anotherOne" not in str(job.error)
    assert read_token(here) is None


@pytest.mark.parametrize("token", ["", "two words", "hf_ümlaut12", "short", "hf_line\nbreak123"])
def test_what_cannot_be_a_token_is_refused_without_being_repeated(
    here: Settings, token: str
) -> None:
    with pytest.raises(TokenError) as refused:
        keep_token(here, token)
    assert not token.strip() or token not in str(refused.value)
    assert read_token(here) is None


def test_a_hub_that_is_away_gives_one_sentence(here: Settings, database: Database) -> None:
    away = here.model_copy(update={"hub_url": "http://127.0.0.1:9"})
    job = download(away, database)
    assert job.state is JobState.FAILED
    assert "The connection to the hub broke" in str(job.error)


def test_a_file_that_would_lie_outside_is_refused(
    here: Settings, database: Database, hub: StandingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = hub.listing().replace(b"tokenizer/tokenizer.json", b"tokenizer/../../../evil.json")
    monkeypatch.setattr(hub, "listing", lambda: listing)
    job = download(here, database)
    assert "would lie outside its folder" in str(job.error)
    assert not list(here.workspace.rglob("evil.json"))


def test_a_cancelled_download_keeps_what_has_come(here: Settings, database: Database) -> None:
    job_id = submit_download(database, here, "lesions", confirmed=True)
    with pytest.raises(ModelError, match="being downloaded already"):
        submit_download(database, here, "lesions", confirmed=True)
    assert cancel(database, job_id).state is JobState.CANCELLED
    retry(database, job_id)
    assert work(here, database).state is JobState.DONE


def test_a_check_names_the_file_that_is_no_longer_what_came(
    here: Settings, database: Database
) -> None:
    download(here, database)
    file = here.models_dir / "lesions" / UNET
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError, match=f"The file {UNET} of the model lesions is not what"):
        check_model(here, "lesions")


def test_a_lora_goes_onto_the_shelf(settings: Settings, database: Database, tmp_path: Path) -> None:
    from backend.generation.lora.shelf import get_lora
    from tests.lora_files import kohya_lora, save_lora

    repository = tmp_path / "repository"
    save_lora(repository / "flux_lora_64_64.safetensors", kohya_lora(hidden=32))
    with standing_hub(repository, "StathisGln/DermaFlux") as hub:
        here = settings.model_copy(update={"hub_url": hub.url})
        submit_download(database, here, "dermaflux", confirmed=True)
        job = work(here, database)
    assert (job.state, job.error) == (JobState.DONE, None)
    assert get_lora(database, here, "dermaflux").ranks == (4,)
    assert job.total == max(1, get_lora(database, here, "dermaflux").bytes // UNIT)
