"""Captions by real vision-language models of random weights, both kinds by the same code."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tomlkit
from PIL import Image
from typer.testing import CliRunner

from backend.captioning.errors import CaptioningError
from backend.captioning.findings import Check
from backend.captioning.prompts import LABEL_FREE, PAPER
from backend.captioning.records import CaptionView, count_captions, iterate_captions
from backend.captioning.running import check_task, submit_captions
from backend.captioning.task import CaptionTask, Decoding
from backend.captioning.versions import find_version, list_versions
from backend.captioning.vision.answering import answer
from backend.captioning.vision.folders import (
    VisionModel,
    find_vision_model,
    list_vision_models,
)
from backend.captioning.vision.loading import Loaded, load_vision_model
from backend.captioning.vision.precision import Place, choose_precision
from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.download.running import find_offer, submit_download
from backend.generation.errors import DownloadError
from backend.generation.models import list_models
from backend.generation.pipelines import Device, choose_device
from backend.jobs.context import WRITE_EVERY_S
from backend.jobs.queue import JobView, cancel, claim, get_job, job_log
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from tests.service.corpus_pictures import caption, fill_corpus
from tests.service.standing_hub import standing_hub
from tests.service.studio import wait_for
from tests.tiny_captioners import (
    build_tiny_gemma,
    build_tiny_intern,
    build_tiny_llama,
    build_tiny_qwen,
)

TOKENS = 12
GREEDY = Decoding(max_new_tokens=TOKENS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models by the name of their kind; copy to change them."""
    root = tmp_path_factory.mktemp("captioners")
    return {
        "mllama": build_tiny_llama(root / "tiny-llama"),
        "qwen2_5_vl": build_tiny_qwen(root / "tiny-qwen"),
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Database]]:
    """A workspace with seven images, one of them of plain skin."""
    folder = tmp_path_factory.mktemp("corpus")
    settings = Settings(workspace=folder / "workspace", device="cpu", threads=1)
    prepare_workspace(settings)
    database = open_database(settings)
    fill_corpus(settings, database, folder / "set", 7)
    yield settings, database
    database.close()


def describe(
    corpus: tuple[Settings, Database], folder: Path, **choices: object
) -> tuple[object, list[str], list[CaptionView]]:
    """The job, its log, and all captions of the one version that it made."""
    settings, database = corpus
    before = {one.reference for one in list_versions(database)}
    values = {"captioner": "transformers", "model": str(folder), "decoding": GREEDY, **choices}
    job = caption(settings, database, **values)
    log = [entry.text for entry in job_log(database, job.id)]
    new = [one for one in list_versions(database) if one.reference not in before]
    assert len(new) <= 1
    views = list(iterate_captions(database, new[0].captioner, new[0].version)) if new else []
    return job, log, views


def images_with_prompts() -> list[tuple[Image.Image, str]]:
    """Of several shapes, and prompts of several lengths."""
    rng = np.random.default_rng(1)
    return [
        (Image.fromarray(rng.integers(0, 255, (90, 60 + 40 * n, 3), np.uint8)), prompt)
        for n, prompt in enumerate(["Describe it.", PAPER, LABEL_FREE])
    ]


@pytest.mark.parametrize("kind", ["mllama", "qwen2_5_vl"])
def test_every_image_gets_the_same_answer_alone_and_beside_others(
    corpus: tuple[Settings, Database], folders: dict[str, Path], kind: str
) -> None:
    settings, database = corpus
    model = find_vision_model(settings, str(folders[kind]))
    assert (model.kind, model.problem) == (kind, None)
    job, log, views = describe(corpus, folders[kind], batch=4)
    assert (job.state, job.error) == (JobState.DONE, None)
    assert len(views) == 7
    assert f"{model.title} runs in float32 on the processor." in log
    assert any("tells the captioner the label" in line for line in log)
    flags = {finding.check for one in views for finding in one.findings}
    assert Check.TRUNCATION in flags
    loaded = load_vision_model(model, choose_device(settings), "float32")
    questions = images_with_prompts()
    together = answer(loaded, questions, GREEDY)
    assert together == [answer(loaded, [one], GREEDY)[0] for one in questions]
    assert len({one.text for one in together}) > 1
    again = caption(
        settings, database, captioner="transformers", model=str(folders[kind]), decoding=GREEDY
    )
    assert again.state is JobState.DONE
    assert "of the 0 done now" in job_log(database, again.id)[-1].text


@pytest.mark.parametrize("build", [build_tiny_gemma, build_tiny_intern])
def test_other_kinds_answer_by_the_same_code(
    settings: Settings, tmp_path: Path, build: Callable[[Path], Path]
) -> None:
    model = find_vision_model(settings, str(build(tmp_path / "tiny")))
    loaded = load_vision_model(model, choose_device(settings), "float32")
    questions = images_with_prompts()
    together = answer(loaded, questions, GREEDY)
    assert together == [answer(loaded, [one], GREEDY)[0] for one in questions]
    assert all(one.cut for one in together)


def test_a_version_can_be_read_and_another_prompt_is_another_version(
    corpus: tuple[Settings, Database], folders: dict[str, Path]
) -> None:
    _, database = corpus
    prompt = "Say what you see."
    job, log, views = describe(corpus, folders["qwen2_5_vl"], prompt=prompt, batch=7)
    assert job.error is None
    assert not any("label" in line for line in log)
    version = find_version(database, views[0].prompt)
    assert (version.prompt, version.model) == (prompt, "tiny-qwen")
    assert version.version.startswith("tiny-qwen-")
    assert version.settings["precision"] == "float32"
    assert version.settings["max_new_tokens"] == TOKENS
    assert len(version.identity) == 64
    with pytest.raises(CaptioningError, match="no captioner oracle"):
        find_version(database, "oracle")


def test_a_batch_that_does_not_fit_is_halved_and_one_that_never_fits_ends_in_a_sentence(
    corpus: tuple[Settings, Database], folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def crowded(limit: int) -> None:
        def full(loaded: Loaded, questions: list[object], *rest: object) -> object:
            tried.append(len(questions))
            if len(questions) > limit:
                raise MemoryError
            return answer(loaded, questions, *rest)

        monkeypatch.setattr("backend.captioning.vision.describing.answer", full)

    crowded(2)
    folder = folders["qwen2_5_vl"]
    job, log, views = describe(corpus, folder, prompt="Once.", batch=7)
    assert (job.error, len(views)) == (None, 7)
    assert tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert "memory ran out: going on with 1 images at once" in log
    crowded(0)
    job, _, views = describe(corpus, folder, prompt="Never.", batch=2)
    assert job.state is JobState.FAILED
    assert str(job.error).startswith("Memory ran out while trying 1 images at once with tiny-qwen")
    assert views == []


def test_killed_in_the_middle_and_run_again_no_image_is_missing_and_none_twice(
    corpus: tuple[Settings, Database], folders: dict[str, Path]
) -> None:
    settings, database = corpus
    prompt = settings.workspace / "long.txt"
    prompt.write_text("Describe it at length.")
    options = {"model": folders["mllama"], "prompt": prompt, "batch": 1, "max-new-tokens": 120}
    command = [sys.executable, "-m", "backend", "caption", "--captioner", "transformers"]
    command += [f"--{name}={value}" for name, value in options.items()]
    before = {one.prompt: one for one in count_captions(database)}

    def new() -> list[int]:
        counts = [one for one in count_captions(database) if one.prompt not in before]
        return [one.captions + one.unsure for one in counts]

    process = subprocess.Popen(
        command, env=os.environ | settings.environment(), stderr=subprocess.DEVNULL
    )
    wait_for(lambda: bool(new()) or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < new()[0] < 7, "killed too late to show anything"
    long = Decoding(max_new_tokens=120)
    text = prompt.read_text()
    job, log, _ = describe(corpus, folders["mllama"], prompt=text, batch=4, decoding=long)
    assert job.error is None
    assert new() == [7]
    assert "of the 7 done now" not in log[-1]


def test_a_model_stays_in_memory_between_jobs_and_a_cancelled_one_ends_at_the_next_token(
    corpus: tuple[Settings, Database], folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = corpus
    loads: list[Loaded] = []
    tokens_after = 0

    def load(model: VisionModel, *rest: object) -> Loaded:
        loads.append(load_vision_model(model, *rest))
        return loads[-1]

    monkeypatch.setattr("backend.captioning.vision.loading.load_vision_model", load)
    worker = Worker(settings, database)

    def work(prompt: str, *, cancelled_at_once: bool = False) -> JobView:
        decoding = Decoding(max_new_tokens=4, temperature=0.8, seed=3)
        folder = str(folders["qwen2_5_vl"])
        task = CaptionTask(captioner="transformers", model=folder, prompt=prompt, decoding=decoding)
        job = claim(database, submit_captions(database, task), worker.identity)
        if cancelled_at_once:

            def at_the_first_token(*_: object) -> None:
                nonlocal tokens_after
                if tokens_after == 0:
                    cancel(database, job.id)
                tokens_after += 1
                time.sleep(WRITE_EVERY_S)

            loads[0].network.register_forward_hook(at_the_first_token)
        worker.run_job(job)
        return get_job(database, job.id)

    assert [work("One.").error, work("Two.").error] == [None, None]
    assert [loaded.model.name for loaded in loads] == ["tiny-qwen"]
    assert work("Three.", cancelled_at_once=True).state is JobState.CANCELLED
    assert tokens_after <= 2
    worker.warm.release()


def changed(folder: Path, target: Path, name: str, **values: object) -> Path:
    """A copy of a model with other values in one of its JSON files."""
    shutil.copytree(folder, target)
    file = target / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    return target


def test_what_cannot_be_used_is_refused_in_a_sentence(
    settings: Settings, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = folders["qwen2_5_vl"]

    def refused(model: str | Path) -> str:
        task = CaptionTask(captioner="transformers", model=str(model))
        with pytest.raises(DermaFluxError) as caught:
            check_task(settings, task)
        return str(caught.value)

    def without(*names: str) -> Path:
        copy = Path(shutil.copytree(folder, tmp_path / f"no-{names[0]}"))
        for name in names:
            (copy / name).unlink()
        return copy

    said = refused("Llama-3.2-11B-Vision-Instruct")
    assert said.startswith("Llama 3.2 11B Vision Instruct is not here: it takes about 21.3 GB")
    assert "get it with `models download Llama-3.2-11B-Vision-Instruct`" in said
    assert "no vision-language model oracle" in refused("oracle")
    assert "has no chat template" in refused(without("chat_template.jinja"))
    assert "reads no images" in refused(without("processor_config.json"))
    assert "config.json is missing" in refused(without("config.json"))
    pickled = without("model.safetensors")
    assert "weights in safetensors is missing" in refused(pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x02")
    assert "a pickle, which can run any program" in refused(pickled)
    cut = Path(shutil.copytree(folder, tmp_path / "cut"))
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "truncated" in refused(cut)
    device = Device("cpu", "cpu", "float32", 1)
    own = changed(
        folder, tmp_path / "own", "config.json", model_type="own", auto_map={"AutoConfig": "a.B"}
    )
    (own / "a.py").write_text("raise SystemExit('code of a model was run')")
    with pytest.raises(CaptioningError, match="wants to run code of its own, which is never done"):
        load_vision_model(find_vision_model(settings, str(own)), device, "float32")
    strange = changed(folder, tmp_path / "strange", "config.json", model_type="bert")
    with pytest.raises(CaptioningError, match="strange"):
        load_vision_model(find_vision_model(settings, str(strange)), device, "float32")


def test_models_of_the_workspace_are_listed_by_name_and_not_among_those_that_make_images(
    settings: Settings, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folders["mllama"], settings.models_dir / "seer")
    (found,) = list_vision_models(settings)
    assert (found.name, found.kind, found.problem) == ("seer", "mllama", None)
    assert found.bytes == 2 * found.weights
    assert find_vision_model(settings, "seer") == found
    assert "seer" not in {one.name for one in list_models(settings)}
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    shown = CliRunner().invoke(build_app(), ["captions", "models"]).stdout
    assert [line.split()[0] for line in shown.splitlines()][:2] == ["NAME", "seer"]
    assert "not here: `models download medgemma-4b-it`" in shown


def test_a_captioner_is_downloaded_after_a_yes_and_then_found_by_its_name(
    settings: Settings, database: Database, folders: dict[str, Path], tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(folders["qwen2_5_vl"], tmp_path / "repository"))
    (repository / "original").mkdir()
    (repository / "original" / "params.json").write_text("{}")
    (repository / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    entry = {"name": "seer", "licence": "MIT", "source": {"repo": "lab/seer", "bytes": 300_000}}
    settings.own_models_toml.write_text(tomlkit.dumps({"captioner": [entry]}))
    with standing_hub(repository, "lab/seer") as hub:
        there = settings.model_copy(update={"hub_url": hub.url})
        offer = find_offer(database, there, "seer")
        assert (offer.kind, offer.family_name, offer.licence) == (
            "captioner",
            "vision-language",
            "MIT",
        )
        with pytest.raises(DownloadError, match="licence is: MIT"):
            submit_download(database, there, "seer", confirmed=False)
        job_id = submit_download(database, there, "seer", confirmed=True)
        worker = Worker(there, database)
        worker.run_job(claim(database, job_id, worker.identity))
    assert get_job(database, job_id).error is None
    assert find_vision_model(settings, "seer").kind == "qwen2_5_vl"
    names = {file.name for file in (settings.models_dir / "seer").iterdir()}
    assert not names & {"original", "pytorch_model.bin"}


def test_what_the_page_imports_brings_no_torch() -> None:
    modules = ("running", "comparison", "versions", "prompts", "vision.folders", "server.running")
    names = ", ".join(f"backend.captioning.{name}" for name in modules)
    code = (
        f"import sys, {names}; print(*{{'torch', 'transformers', 'diffusers'}} & {{*sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")


LLAMA, SMALL = 10_670_000_000, 4_300_000_000


@pytest.mark.parametrize(
    ("weights", "gigabytes", "native", "precision"),
    [
        (LLAMA, 80, True, "bfloat16"),
        (LLAMA, 24, True, "8bit"),
        (LLAMA, 12, True, "4bit"),
        (SMALL, 16, True, "bfloat16"),
        (SMALL, 16, False, "float16"),
    ],
)
def test_the_most_precise_that_fits_a_card_is_chosen(
    weights: int, gigabytes: int, native: bool, precision: str
) -> None:
    card = Place("a card", True, gigabytes * 10**9, native)
    choice = choose_precision("Llama", weights, card, "auto", quantiser=True)
    assert choice.precision == precision
    assert choice.sentence.startswith("Llama")


def test_without_bitsandbytes_or_room_one_sentence_says_so() -> None:
    card = Place("a card", True, 12 * 10**9, True)
    with pytest.raises(CaptioningError, match=r"25.6 GB in bfloat16.*in 4 bits it would fit"):
        choose_precision("Llama", LLAMA, card, "auto", quantiser=False)
    with pytest.raises(CaptioningError, match="8bit needs bitsandbytes, which is not installed"):
        choose_precision("Llama", LLAMA, card, "8bit", quantiser=False)
    with pytest.raises(CaptioningError, match="choose a smaller model"):
        choose_precision("Llama", 10 * LLAMA, card, "auto", quantiser=True)
    processor = Place("the processor", False, 30 * 10**9, False)
    assert choose_precision("Llama", LLAMA, processor, "auto").precision == "bfloat16"
    with pytest.raises(CaptioningError, match="needs a graphics card"):
        choose_precision("Llama", LLAMA, processor, "4bit", quantiser=True)
