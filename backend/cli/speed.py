"""`profiles` and `cache`: how images are made faster, and the captions that are kept encoded."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.sampling import ModelOption
from backend.cli.workspace import open_workspace
from backend.generation.profile import Profile


def register(app: typer.Typer) -> None:
    """Add `profiles` and `cache`."""
    app.command("profiles")(profiles)
    cache = typer.Typer(
        no_args_is_help=True, help="Captions that are kept encoded, under hashes of their text."
    )
    cache.command("show")(show)
    cache.command("clear")(clear)
    app.add_typer(cache, name="cache")


def profiles(model: ModelOption = "starter", as_json: JsonOption = False) -> None:
    """List the speed profiles, and say which one suits this device and why."""
    from backend.generation.models import usable_model
    from backend.generation.pipelines import choose_device, plan_for

    with open_workspace() as (settings, _):
        entry = usable_model(settings, model)
        choice = plan_for(entry, None, choose_device(settings))
    rows = [(profile.value, profile.description) for profile in Profile]
    value = {
        "profiles": {profile.value: profile.description for profile in Profile},
        "automatic": choice.plan.profile,
        "why": choice.sentence,
    }
    emit(value, as_json, [*aligned(("PROFILE", "WHAT IT DOES"), rows), "", choice.sentence])


def show(as_json: JsonOption = False) -> None:
    """Show how many captions are kept encoded, and how much disk they take."""
    from backend.generation.speed.embeddings import cache_contents

    with open_workspace() as (settings, _):
        contents, folder = cache_contents(settings.text_cache_dir), settings.text_cache_dir
        limit = settings.text_cache_gb
    value = {
        "folder": folder,
        "captions": contents.captions,
        "bytes": contents.bytes,
        "limit_gb": limit,
        "unused_since": contents.unused_since,
    }
    kept = f"{contents.captions:,} captions, {contents.bytes / 1e6:,.1f} MB of {limit:g} GB"
    emit(value, as_json, [kept if limit else f"{kept}: the cache is off", str(folder)])


def clear(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove all encoded captions; they are encoded again when they are needed."""
    from backend.cli.progress import CommandError
    from backend.generation.speed.embeddings import clear_cache

    if not yes and not typer.confirm("Remove all encoded captions?", err=True):
        raise CommandError("Nothing was removed.")
    with open_workspace() as (settings, _):
        removed = clear_cache(settings.text_cache_dir)
    value = {"captions": removed.captions, "bytes": removed.bytes}
    emit(value, as_json, f"{removed.captions:,} captions, {removed.bytes / 1e6:,.1f} MB removed.")
