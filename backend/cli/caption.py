"""`caption`: captions for images of the corpus, and what speaks against them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.caption_comparison import compare
from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import run_to_its_end
from backend.cli.workspace import open_workspace

if TYPE_CHECKING:
    from backend.captioning.task import CaptionTask


_GROUP = "Model and prompt (transformers, openai)"
_SERVER = "Server (openai)"


def register(app: typer.Typer) -> None:
    """Add `caption` and `captions`."""
    app.command("caption")(caption)
    captions = typer.Typer(
        no_args_is_help=True, help="Captions of the corpus: counts, checks, versions, comparison."
    )
    captions.command("list")(list_)
    captions.command("show")(show)
    captions.command("check")(check)
    captions.command("version")(version)
    captions.command("models")(models)
    captions.command("compare")(compare)
    app.add_typer(captions, name="captions")


def caption(
    captioner: Annotated[
        str,
        typer.Option(help="measured, transformers, openai, or archive for a file of captions."),
    ] = "measured",
    subset: Annotated[str | None, typer.Option(help="Of `corpus subset list`.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of `corpus list`.")] = None,
    archive: Annotated[
        Path | None, typer.Option(help="JSON or JSON lines, as the paper's authors released.")
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="One a core if unset.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A folder, a name of `captions models`, or what the server calls it.",
            rich_help_panel=_GROUP,
        ),
    ] = None,
    prompt: Annotated[
        str,
        typer.Option(
            help="paper (names the label), label-free, or a text file; [label] is filled in.",
            rich_help_panel=_GROUP,
        ),
    ] = "paper",
    max_new_tokens: Annotated[
        int, typer.Option(min=1, max=4096, rich_help_panel=_GROUP, help="The longest answer.")
    ] = 300,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, rich_help_panel=_GROUP, help="0 is greedy.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, rich_help_panel=_GROUP, help="Where not greedy.")] = 0,
    batch: Annotated[
        int, typer.Option(min=1, max=256, rich_help_panel=_GROUP, help="Images at once.")
    ] = 8,
    precision: Annotated[
        str,
        typer.Option(
            help="auto, float32, bfloat16, float16, 8bit or 4bit.", rich_help_panel=_GROUP
        ),
    ] = "auto",
    again_unsure: Annotated[
        bool,
        typer.Option(
            "--again-unsure",
            help="Ask again about images that it was unsure of.",
            rich_help_panel=_GROUP,
        ),
    ] = False,
    base_url: Annotated[
        str | None,
        typer.Option(help="Such as http://127.0.0.1:11434/v1.", rich_help_panel=_SERVER),
    ] = None,
    images_may_leave: Annotated[
        bool,
        typer.Option(
            "--images-may-leave",
            help="The server is outside, and the images may go there.",
            rich_help_panel=_SERVER,
        ),
    ] = False,
    key_variable: Annotated[
        str | None,
        typer.Option(help="Environment variable that holds the key.", rich_help_panel=_SERVER),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="File that its owner alone may read.", rich_help_panel=_SERVER),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, rich_help_panel=_SERVER, help="Requests at once.")
    ] = 4,
    requests_per_minute: Annotated[
        float | None, typer.Option(min=0.1, rich_help_panel=_SERVER, help="All together.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, rich_help_panel=_SERVER, help="Seconds an answer.")
    ] = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Caption images of the corpus; those that have a caption by the same version keep it.

    Example: python -m backend caption --captioner measured --dataset ham10000
    """
    from backend.captioning.prompts import read_prompt
    from backend.captioning.records import count_captions
    from backend.captioning.running import KIND, caption_title, check_task

    values: dict[str, object] = {
        "captioner": captioner,
        "subset": subset,
        "dataset": dataset,
        "archive": archive.absolute() if archive else None,
        "processes": processes,
        "model": _model(captioner, model),
        "prompt": read_prompt(prompt),
        "decoding": {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "seed": seed,
        },
        "batch": batch,
        "precision": precision,
        "again_unsure": again_unsure,
        "server": base_url
        and {
            "base_url": base_url,
            "images_may_leave": images_may_leave,
            "key_variable": key_variable,
            "key_file": key_file.absolute() if key_file else None,
            "concurrency": concurrency,
            "requests_per_minute": requests_per_minute,
            "timeout_s": timeout,
        },
    }
    task = _task(values)
    with open_workspace() as (settings, database):
        check_task(settings, task)
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=task.model_dump(mode="json"),
            title=caption_title(task),
            total=0,
        )
        counts = [one for one in count_captions(database) if one.captioner == captioner]
    lines = [
        f"{one.captioner} {one.prompt}: {one.captions:,} captions, {one.unsure:,} images unsure, "
        f"{one.flagged:,} captions flagged."
        for one in counts
    ]
    emit({"job": job.id, "counts": counts}, as_json, lines)


def _model(captioner: str, given: str | None) -> str | None:
    """A folder under its whole path, as the job may run elsewhere."""
    if captioner == "transformers" and given and Path(given).expanduser().is_dir():
        return str(Path(given).expanduser().absolute())
    return given


def _task(values: dict[str, object]) -> CaptionTask:
    """Raises CaptioningError, naming the option that cannot be used."""
    from pydantic import ValidationError

    from backend.captioning.errors import CaptioningError
    from backend.captioning.task import CaptionTask

    try:
        return CaptionTask.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][-1]).replace("_", "-").removesuffix("-s")
        problem = first["msg"].removeprefix("Value error, ")
        raise CaptioningError(
            f"--{option} cannot be used: {problem[:1].lower()}{problem[1:].rstrip('.')}."
        ) from None


def models(as_json: JsonOption = False) -> None:
    """List the vision-language models that are here, and those that are known by name."""
    from backend.captioning.vision.folders import list_vision_models
    from backend.files import size_words
    from backend.generation.registry import read_registry

    with open_workspace() as (settings, _):
        here = list_vision_models(settings)
        known = read_registry(settings).captioners
    names = {one.name for one in here}
    absent = [record for name, record in known.items() if name not in names and record.source]
    rows = [
        (one.name, one.kind, size_words(one.bytes), one.licence, one.problem or "ready")
        for one in here
    ]
    rows += [
        (
            record.name,
            "",
            size_words(record.source.bytes),
            record.licence,
            f"not here: `models download {record.name}`",
        )
        for record in absent
        if record.source
    ]
    head = ("NAME", "KIND", "SIZE", "LICENCE", "STATE")
    emit({"models": here, "known": absent}, as_json, aligned(head, rows))


def version(
    reference: Annotated[
        str,
        typer.Argument(help="Of `captions list`: a captioner, a version, or captioner:version."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Print what is behind a version of a captioner: model, prompt and settings."""
    from backend.captioning.versions import find_version

    with open_workspace() as (_, database):
        found = find_version(database, reference)
    lines = [f"{found.captioner} {found.version}"]
    lines += [f"model: {found.model or 'not recorded'}", f"identity: {found.identity}"]
    lines += [f"{name}: {value}" for name, value in found.settings.items()]
    lines += ["prompt:", f"  {found.prompt}"] if found.prompt else ["It follows no prompt."]
    emit(found, as_json, lines)


def list_(as_json: JsonOption = False) -> None:
    """Count the captions of each captioner, by version of its prompt, and what flags them."""
    from backend.captioning.records import count_captions, count_findings

    with open_workspace() as (_, database):
        counts = count_captions(database)
        findings = {
            f"{one.captioner} {one.prompt}": count_findings(database, one.captioner, one.prompt)
            for one in counts
        }
    rows = [
        (
            one.captioner,
            one.prompt,
            f"{one.captions:,}",
            f"{one.unsure:,}",
            f"{one.flagged:,}",
            ", ".join(
                f"{check} {count:,}"
                for check, count in findings[f"{one.captioner} {one.prompt}"].items()
            ),
        )
        for one in counts
    ]
    head = ("CAPTIONER", "VERSION", "CAPTIONS", "UNSURE", "FLAGGED", "CHECKS")
    emit({"counts": counts, "findings": findings}, as_json, aligned(head, rows))


def show(
    image: Annotated[str, typer.Argument(help="Id of an image, or its name in its dataset.")],
    as_json: JsonOption = False,
) -> None:
    """Print every caption of an image, with the findings."""
    from backend.captioning.errors import CaptioningError
    from backend.captioning.records import captions_of
    from backend.corpus.queries import find_corpus

    with open_workspace() as (settings, database):
        found = find_corpus(database, settings, image, limit=1)
        if not found:
            raise CaptioningError(f"There is no image {image} in the corpus.")
        views = captions_of(database, found[0].id)
    lines = []
    for one in views:
        lines += [f"{one.captioner} {one.prompt}: {one.text or one.unsure}"]
        lines += [f"  {finding.severity}: {finding.reason}" for finding in one.findings]
    emit(views, as_json, lines or ["The image has no caption."])


def check(
    text: Annotated[str, typer.Argument(help="A caption.")],
    image: Annotated[Path | None, typer.Option(help="The picture that it describes.")] = None,
    strip: Annotated[
        bool, typer.Option(help="Print the caption without sentences that give the label away.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a caption, against its picture where one is given."""
    from backend.abc.measure import measure
    from backend.captioning.checks import check_caption, strip_leaks
    from backend.captioning.seen import seen_in
    from backend.images import read_image

    seen = seen_in(measure(read_image(image))) if image else None
    findings = check_caption(text, seen=seen)
    stripped = strip_leaks(text) if strip else text
    lines = [f"{one.severity}: {one.check.words}. {one.reason}" for one in findings]
    shown = [stripped] if strip else []
    emit(
        {"findings": findings, "caption": stripped},
        as_json,
        [*shown, *(lines or ["Nothing speaks against it."])],
    )
