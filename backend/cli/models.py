"""`models`: which models are here or can be had; add, check, download and remove them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.workspace import open_workspace
from backend.files import size_words

if TYPE_CHECKING:
    from backend.generation.download.running import Offer
    from backend.generation.models import ModelEntry
    from backend.settings import Settings
    from backend.store.database import Database

Name = Annotated[str, typer.Argument(help="As `models list` names it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add `models`."""
    models = typer.Typer(
        no_args_is_help=True, help="Models: list, add, check, download and remove them."
    )
    for name, command in (
        ("list", list_),
        ("show", show),
        ("add", add),
        ("check", check),
        ("download", download),
        ("remove", remove),
        ("hash", hash_),
        ("forget-token", forget_token),
    ):
        models.command(name)(command)
    app.add_typer(models, name="models")


def list_(as_json: JsonOption = False) -> None:
    """List the models that are here, with what stands in the way of those that cannot be used,
    and those that can be downloaded, with size and licence.
    """
    from backend.generation.download.running import list_offers
    from backend.generation.models import list_models

    with open_workspace() as (settings, database):
        entries = list_models(settings)
        offers = list_offers(database, settings)
    here = [
        (
            entry.name,
            entry.kind.full_name,
            size_words(entry.bytes),
            entry.licence,
            entry.problem or "ready",
        )
        for entry in entries
    ]
    had = [
        (
            offer.name,
            offer.family_name,
            size_words(offer.source.bytes),
            offer.licence,
            f"not here, a {offer.kind}: `models download {offer.name}`",
        )
        for offer in offers
    ]
    text = aligned(("NAME", "FAMILY", "SIZE", "LICENCE", "STATE"), [*here, *had])
    more = "A folder in diffusers layout, or a single safetensors file: `models add PATH`."
    emit({"models": entries, "offers": offers}, as_json, [*text, "", more])


def show(name: Name, as_json: JsonOption = False) -> None:
    """Show what is known of a model, here or not."""
    from backend.generation.download.running import list_offers
    from backend.generation.models import find_model

    with open_workspace() as (settings, database):
        offer = next((one for one in list_offers(database, settings) if one.name == name), None)
        entry = None if offer else find_model(settings, name)
    if offer is not None:
        emit(offer, as_json, _offered(offer))
    elif entry is not None:
        emit(entry, as_json, _facts(entry))


def add(
    path: Annotated[
        Path,
        typer.Argument(help="A model's folder in diffusers layout, or a single safetensors file."),
    ],
    base: Annotated[
        str | None,
        typer.Option(help="For a single file: the model here that it was made from."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The folder's or file's name if unset.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a model from anywhere on this machine.

    A folder is listed and stays where it is. A single file becomes a folder of the workspace, with
    the tokenizer and settings of the model that it was made from.
    """
    from backend.generation.model_folders import add_model
    from backend.generation.models import find_model

    with open_workspace() as (settings, database):
        if path.is_dir():
            entry = add_model(settings, path, name)
        else:
            entry = find_model(settings, _convert(settings, database, path, base, name))
    emit(entry, as_json, [f"{entry.name} is in the list of models.", *_facts(entry)])


def _convert(
    settings: Settings, database: Database, file: Path, base: str | None, name: str | None
) -> str:
    from backend.generation.single_file.running import (
        KIND,
        conversion_task,
        conversion_title,
        plan_conversion,
        tensors_in,
    )

    task = conversion_task(file, base or "", name)
    run_to_its_end(
        settings,
        database,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=conversion_title(task),
        total=tensors_in(plan_conversion(settings, task)),
    )
    return task.name


def check(
    model: Annotated[str, typer.Argument(help="A name from `models list`, or a folder.")],
    as_json: JsonOption = False,
) -> None:
    """Check a model: of a folder its layout, of a listed model every byte of its files.

    Files that were downloaded are compared with the hashes of the hub.
    """
    from backend.generation.layout import check_model_folder
    from backend.generation.model_folders import check_model

    if Path(model).is_dir():
        family = check_model_folder(Path(model))
        facts = {"folder": Path(model).absolute(), "usable": True, "family": family.family}
        emit(facts, as_json, f"{model} can be used: a complete {family.full_name}.")
        return
    with open_workspace() as (settings, _):
        found = check_model(settings, model)
    against = (
        f"{found.compared} files are as the hub has them"
        if found.compared
        else "nothing to compare with, it was not downloaded here"
    )
    text = (
        f"{model} is whole: {found.family.full_name}, {size_words(found.bytes)}, {against}; "
        f"tensors {found.hash}."
    )
    emit(found, as_json, text)


def download(
    name: Name,
    yes: Yes = False,
    token_file: Annotated[
        Path | None, typer.Option(help="A file that holds the token for a gated model.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Download a model or a LoRA, after showing its size and licence and hearing a yes.

    Cut off, it goes on where it was when the command is given again. Each file is compared with
    the hash that the hub states. A gated model needs a token, asked for once and kept in a file
    that only its owner can read.
    """
    from backend.generation.download.running import (
        KIND,
        download_title,
        find_offer,
        megabytes,
        require_yes,
        terms,
    )

    with open_workspace() as (settings, database):
        offer = find_offer(database, settings, name)
        agreed = yes or typer.confirm(f"{terms(offer)} Download it?", err=True)
        require_yes(offer, confirmed=agreed)
        _ask_for_token(settings, offer, token_file)
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload={"name": name},
            title=download_title(offer),
            total=megabytes(offer.source.bytes),
        )
    emit({"downloaded": name, "job": job.id}, as_json, f"{offer.title} is here as {name}.")


def remove(name: Name, yes: Yes = False, as_json: JsonOption = False) -> None:
    """Remove a model; a folder outside the workspace is only taken off the list."""
    from backend.generation.model_folders import remove_model
    from backend.generation.models import find_model

    with open_workspace() as (settings, _):
        entry = find_model(settings, name)
        question = f"Remove {name} ({size_words(entry.bytes)} in {entry.folder})?"
        if not yes and not typer.confirm(question, err=True):
            raise CommandError("Nothing was removed.")
        said = remove_model(settings, name)
    emit({"removed": name}, as_json, said)


def hash_(name: Name, as_json: JsonOption = False) -> None:
    """Print the identity of a model: SHA-256 over its tensors, as its images carry it."""
    from backend.generation.models import hash_cache, model_hash, usable_model

    with open_workspace() as (settings, _):
        entry = usable_model(settings, name)
        value = model_hash(entry.folder, cache=hash_cache(settings))
    emit({"model": name, "sha256": value}, as_json, value)


def forget_token(as_json: JsonOption = False) -> None:
    """Remove the token for gated models from the workspace."""
    from backend.generation.download.token import forget_token as forget

    with open_workspace() as (settings, _):
        forget(settings)
    emit({"forgotten": True}, as_json, "No token is kept.")


def _ask_for_token(settings: Settings, offer: Offer, token_file: Path | None) -> None:
    from backend.files import read_file
    from backend.generation.download.running import needs_token, token_wanted
    from backend.generation.download.token import keep_token

    if token_file is not None:
        keep_token(settings, read_file(token_file).decode("utf-8", errors="replace"))
    elif needs_token(settings, offer):
        typer.echo(token_wanted(offer), err=True)
        keep_token(settings, typer.prompt("Token", hide_input=True, err=True))


def _facts(entry: ModelEntry) -> list[str]:
    facts = {
        "title": entry.title,
        "family": entry.kind.full_name,
        "folder": entry.folder,
        "listed because": entry.origin,
        "size": size_words(entry.bytes),
        "licence": entry.licence,
        "for": entry.description or "not stated",
        "sides in pixels": ", ".join(str(side) for side in entry.sizes),
        "steps": entry.steps,
        "guidance": entry.guidance_scale,
        "attribute guidance": _guided(entry),
        "text length": f"{entry.max_sequence_length} tokens",
        "state": entry.problem or "ready",
    }
    return aligned(("FACT", "VALUE"), facts.items())


def _guided(entry: ModelEntry) -> str:
    side = entry.guided_side
    return f"at {side} px" if side else "none, it comes without a classifier"


def _offered(offer: Offer) -> list[str]:
    facts = {
        "title": offer.title,
        "family": offer.family_name,
        "for": offer.description,
        "size": f"about {size_words(offer.source.bytes)}",
        "licence": offer.licence,
        "from": f"{offer.source.repo} on the hub, revision {offer.source.revision}",
        "gated": "yes, needs a token" if offer.source.gated else "not known to be",
        "state": f"not here: `models download {offer.name}`",
    }
    return aligned(("FACT", "VALUE"), facts.items())
