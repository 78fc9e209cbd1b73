"""A request becomes images: the same ones every time, marked, in the gallery, or a sentence."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from backend.abc.attributes import Asymmetry, Border, Colour
from backend.files import temporary_name
from backend.generation.errors import ModelError
from backend.generation.models import usable_model
from backend.generation.pipelines import choose_device, load_model
from backend.generation.provenance import SYNTHETIC_XMP, read_png
from backend.generation.running import preview_file
from backend.images import read_image
from backend.jobs.queue import cancel, get_job, retry
from backend.jobs.states import JobState
from tests.service.studio import (
    CAPTION,
    Studio,
    break_weights,
    open_studio,
    partial_files,
    tiny_request,
    wait_for,
)

LONG = "A lesion with a very irregular, notched and ragged border and many colours. " * 12


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace for all tests here: the model is loaded once."""
    studio = open_studio(tmp_path_factory.mktemp("studio"), tiny_flux)
    yield studio
    studio.database.close()


def test_a_request_gives_the_same_pixels_in_a_batch_alone_and_again(studio: Studio) -> None:
    batch = studio.make(tiny_request(count=3))
    again = studio.make(tiny_request(count=3))
    alone = studio.make(tiny_request(seed=9))
    assert [image.seed for image in batch] == [7, 8, 9]
    assert len({image.pixel_hash for image in batch}) == 3
    assert [image.pixel_hash for image in batch] == [image.pixel_hash for image in again]
    assert alone[0].pixel_hash == batch[2].pixel_hash
    assert alone[0].path.read_bytes() == batch[2].path.read_bytes()


def test_a_recalled_png_makes_its_own_pixels_again(studio: Studio) -> None:
    (first,) = studio.make(tiny_request(caption=LONG, seed=3, guidance_scale=2.0, steps=3))
    (second,) = studio.make(read_png(first.path).request)
    assert second.pixel_hash == first.pixel_hash


def test_our_loop_gives_the_pixels_of_a_bare_flux_pipeline(studio: Studio) -> None:
    import torch
    from diffusers import FluxPipeline

    (image,) = studio.make(tiny_request(width=96))
    bare = FluxPipeline.from_pretrained(studio.settings.models_dir / "tiny", dtype=torch.float32)
    expected = bare(
        CAPTION,
        width=96,
        height=64,
        num_inference_steps=4,
        guidance_scale=3.5,
        max_sequence_length=32,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    assert np.array_equal(read_image(image.path), np.asarray(expected))


def test_every_image_is_described_measured_and_marked(studio: Studio) -> None:
    (image,) = studio.make(tiny_request())
    provenance = read_png(image.path)
    assert provenance.request == image.request
    assert image.request.max_sequence_length == 32
    assert provenance.model_hash == load_hash(studio)
    assert provenance.scheduler == "FlowMatchEulerDiscreteScheduler"
    assert (provenance.precision, provenance.threads) == ("float32", 1)
    assert set(provenance.libraries) == {"torch", "diffusers", "transformers"}
    assert image.requested.asymmetry is Asymmetry.SYMMETRIC
    assert image.requested.border is Border.REGULAR
    assert image.requested.colours == (Colour.LIGHT_BROWN,)
    assert image.found or image.measured.colours == ()
    with Image.open(image.thumbnail) as thumbnail:
        assert SYNTHETIC_XMP.encode() in thumbnail.info["xmp"]
        assert thumbnail.size == (64, 64)


def load_hash(studio: Studio) -> str:
    from backend.generation.models import model_hash

    return model_hash(studio.settings.models_dir / "tiny")


def test_the_command_line_gives_the_same_files_and_prints_nothing_but_json(
    studio: Studio, tmp_path: Path
) -> None:
    pages = studio.make(tiny_request(caption=LONG, count=2))
    command = [sys.executable, "-m", "backend", "generate", "--model", "tiny", "--seed", "7"]
    command += ["--caption", LONG, "--count", "2", "--steps", "4", "--size", "64"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "new" / "images"), "--json"],
        env=os.environ | studio.settings.environment(),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    files = [Path(image["file"]) for image in printed["images"]]
    assert [file.read_bytes() for file in files] == [image.path.read_bytes() for image in pages]
    assert sorted((tmp_path / "new" / "images").iterdir()) == files
    assert len(studio.images(printed["job"])) == 2
    assert get_job(studio.database, printed["job"]).state is JobState.DONE
    for noise in ("truncated", "Warning", "77 tokens", "Token indices"):
        assert noise not in done.stderr


def test_a_running_job_shows_a_marked_preview_and_takes_it_away(studio: Studio) -> None:
    job_id = studio.submit(tiny_request(steps=100, width=128, height=128))
    file = preview_file(studio.settings.jobs_dir / job_id, 0)
    thread = threading.Thread(target=studio.work)
    thread.start()
    wait_for(file.exists)
    preview = file.read_bytes()
    thread.join()
    assert SYNTHETIC_XMP.encode() in preview
    assert read_image(preview).shape == (16, 16, 3)
    assert not file.exists()
    assert get_job(studio.database, job_id).message == "image 1 of 1, step 100 of 100"


def test_cancel_keeps_what_is_finished_and_retry_makes_only_the_rest(studio: Studio) -> None:
    job_id = studio.submit(tiny_request(count=8, steps=60))
    thread = threading.Thread(target=studio.work)
    thread.start()
    wait_for(lambda: len(studio.images(job_id)) > 0)
    cancel(studio.database, job_id)
    thread.join()
    kept = studio.images(job_id)
    assert 0 < len(kept) < 8
    assert get_job(studio.database, job_id).state is JobState.CANCELLED
    assert not any((studio.settings.jobs_dir / job_id).iterdir())
    retry(studio.database, job_id)
    assert studio.work().state is JobState.DONE
    images = studio.images(job_id)
    assert [image.position for image in images] == list(range(8))
    assert images[: len(kept)] == kept
    assert partial_files(studio.settings) == []


def test_a_full_disk_fails_the_job_with_a_sentence_and_leaves_nothing_half_written(
    studio: Studio,
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    job_id = studio.submit(tiny_request())
    folder = studio.settings.images_dir / job_id
    folder.mkdir()
    (folder / temporary_name(f"{job_id}-0000.png")).symlink_to("/dev/full")
    job = studio.work()
    assert job.state is JobState.FAILED
    assert str(job.error).startswith("The disk is full")
    assert studio.images(job_id) == []
    assert list(folder.iterdir()) == []
    retry(studio.database, job_id)
    assert studio.work().state is JobState.DONE


def test_a_model_that_breaks_while_its_job_waits_fails_it_with_a_sentence(
    studio: Studio, tiny_flux: Path
) -> None:
    job_id = studio.submit(tiny_request())
    weights = Path("vae", "diffusion_pytorch_model.safetensors")
    whole = (tiny_flux / weights).read_bytes()
    (studio.settings.models_dir / "tiny" / weights).write_bytes(whole[:-1])
    with pytest.raises(ModelError, match="truncated"):
        studio.submit(tiny_request())
    job = studio.work()
    (studio.settings.models_dir / "tiny" / weights).write_bytes(whole)
    assert (job.id, job.state) == (job_id, JobState.FAILED)
    assert "truncated" in str(job.error)
    assert len(studio.make(tiny_request())) == 1


def test_a_model_that_is_edited_while_it_is_loaded_is_loaded_anew(
    studio: Studio, tiny_flux: Path
) -> None:
    (before,) = studio.make(tiny_request(seed=21))
    weights = Path("transformer", "diffusion_pytorch_model.safetensors")
    edited = studio.settings.models_dir / "tiny" / weights
    tensors = load_file(tiny_flux / weights)
    tensors["x_embedder.weight"] = tensors["x_embedder.weight"] * 1.5
    save_file(tensors, edited)
    (after,) = studio.make(tiny_request(seed=21))
    shutil.copyfile(tiny_flux / weights, edited)
    (again,) = studio.make(tiny_request(seed=21))
    hashes = [read_png(image.path).model_hash for image in (before, after, again)]
    assert after.pixel_hash != before.pixel_hash == again.pixel_hash
    assert hashes[1] != hashes[0] == hashes[2]


def test_weights_that_give_no_colours_end_in_a_sentence(studio: Studio, tiny_flux: Path) -> None:
    break_weights(tiny_flux, studio.settings.models_dir / "broken")
    studio.submit(tiny_request(model="broken"))
    job = studio.work()
    assert job.state is JobState.FAILED
    assert "numbers that are no colours" in str(job.error)


def test_parts_that_do_not_fit_together_end_in_a_sentence(studio: Studio, tiny_flux: Path) -> None:
    folder = shutil.copytree(tiny_flux, studio.settings.models_dir / "mixed")
    config = folder / "transformer" / "config.json"
    config.write_text(
        config.read_text().replace('"num_attention_heads": 2', '"num_attention_heads": 3')
    )
    with pytest.raises(ModelError, match="do not fit together"):
        load_model(
            studio.settings, usable_model(studio.settings, "mixed"), choose_device(studio.settings)
        )


def test_the_modules_of_the_web_process_import_no_model_library() -> None:
    modules = ("request", "models", "gallery", "provenance", "export", "tokens", "running")
    modules += ("lora.shelf", "lora.choice", "lora.export", "lora.adapters")
    program = (
        "import sys\n"
        + "".join(f"import backend.generation.{name}\n" for name in modules)
        + "heavy = {'torch', 'diffusers', 'transformers', 'timm', 'gradio'}\n"
        "print(*(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
