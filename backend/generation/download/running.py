"""The job that downloads a model or a LoRA; nothing else here asks the network for anything."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from backend.captioning.vision.folders import (
    VISION_FILES,
    check_vision_folder,
    list_vision_models,
)
from backend.files import explained_files, write_file
from backend.generation.download.hub import HubFile, Listing, fetch, list_files, open_hub
from backend.generation.download.token import forget_token, read_token
from backend.generation.errors import DownloadError, ModelError, TokenError
from backend.generation.families import FLUX, family_named
from backend.generation.layout import check_model_folder
from backend.generation.lora.layouts import Family
from backend.generation.lora.shelf import add_lora, list_loras
from backend.generation.models import list_models
from backend.generation.registry import (
    CaptionerRecord,
    LoraRecord,
    ModelRecord,
    Source,
    read_registry,
)
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import list_jobs, submit
from backend.jobs.states import OPEN
from backend.settings import Settings
from backend.store.database import Database

KIND = "download"
LORA, CAPTIONER = "LoRA", "captioner"
MANIFEST = "download.json"
"""What came from where, with the hash of each file: `models check` reads it."""
SPARE_BYTES = 500_000_000
"""Left free on the disk beyond what is downloaded."""
UNIT = 1_000_000
"""Progress counts megabytes."""


@dataclass(frozen=True)
class Offer:
    """A model, LoRA or captioner that is known and not here, and what to know before the yes.

    A captioner is a vision-language model, of none of the families that make images.
    """

    name: str
    title: str
    kind: str
    family: Family | None
    licence: str
    description: str
    source: Source

    @property
    def family_name(self) -> str:
        """As its makers call it."""
        return self.family.full_name if self.family else "vision-language"


def list_offers(db: Database, settings: Settings) -> list[Offer]:
    """Everything that could be downloaded and is not here."""
    registry = read_registry(settings)
    here = {entry.name for entry in list_models(settings)}
    seeing = {model.name for model in list_vision_models(settings)}
    shelved = {view.name for view in list_loras(db, settings)}
    absent: list[ModelRecord | LoraRecord | CaptionerRecord] = [
        *(record for name, record in registry.models.items() if name not in here),
        *(record for name, record in registry.loras.items() if name not in shelved),
        *(record for name, record in registry.captioners.items() if name not in seeing),
    ]
    return [_offer(record, record.source) for record in absent if record.source]


def find_offer(db: Database, settings: Settings, name: str) -> Offer:
    """What can be downloaded under this name.

    Raises:
        ModelError: nothing, or it is here already.
    """
    offers = list_offers(db, settings)
    for offer in offers:
        if offer.name == name:
            return offer
    names = ", ".join(offer.name for offer in offers) or "nothing"
    raise ModelError(
        f"There is nothing to download called {name}, or it is here already: there is {names}."
    )


def needs_token(settings: Settings, offer: Offer) -> bool:
    """Whether the person is to be asked for a token first."""
    return offer.source.gated and read_token(settings) is None


def submit_download(
    db: Database, settings: Settings, name: str, *, confirmed: bool, owner: str | None = None
) -> str:
    """Queue a download that the person has said yes to; returns the id of the job.

    Raises:
        ModelError: nothing of that name can be had, or it is on its way.
        TokenError: it is gated and no token is there.
        DownloadError: without a yes.
    """
    offer = find_offer(db, settings, name)
    require_yes(offer, confirmed=confirmed)
    if needs_token(settings, offer):
        raise TokenError(token_wanted(offer))
    if any(job.payload == {"name": name} for job in list_jobs(db, states=OPEN, kinds=(KIND,))):
        raise ModelError(f"{name} is being downloaded already: the Jobs tab shows how far it is.")
    return submit(
        db,
        kind=KIND,
        payload={"name": name},
        title=download_title(offer),
        owner=owner,
        total=megabytes(offer.source.bytes),
    )


def require_yes(offer: Offer, *, confirmed: bool) -> None:
    """Nothing is downloaded without a yes that has seen size and licence.

    Raises:
        DownloadError: without it.
    """
    if not confirmed:
        raise DownloadError(f"Nothing was downloaded. {terms(offer)}")


def terms(offer: Offer) -> str:
    """What the yes is about, in words."""
    return (
        f"{offer.title} takes about {offer.source.bytes / 1e9:,.1f} GB, comes from "
        f"{offer.source.repo} on the hub, and its licence is: {offer.licence}."
    )


def token_wanted(offer: Offer) -> str:
    """What to do for a gated model."""
    return (
        f"{offer.title} is gated: accept its licence on the page of {offer.source.repo} on the "
        "hub, make a token with read access in your account there, and give it here once."
    )


def download_title(offer: Offer) -> str:
    """What the job is called in lists."""
    return f"Download of {offer.title}"


def run_download(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Bring a model into the models folder, or a LoRA onto the shelf, whole or not at all.

    Raises:
        DermaFluxError: network, hub, token, disk or a wrong hash stand in the way.
        JobStopped: cancelled, interrupted or lost; what has come stays for the next attempt.
    """
    settings = context.settings
    offer = find_offer(context.database, settings, str(payload.get("name")))
    folder = settings.models_dir / ".downloads" / offer.name
    try:
        with open_hub(settings.hub_url, read_token(settings)) as client:
            listing = _bring(context, client, offer, folder)
    except TokenError:
        forget_token(settings)
        raise
    context.check_cancelled()
    if offer.kind == LORA:
        for file in listing.files:
            add_lora(context.database, settings, folder / file.path, name=offer.name)
        with explained_files(folder):
            shutil.rmtree(folder)
    else:
        _settle(settings, offer, listing, folder)
    total = megabytes(listing.bytes)
    context.progress(total, total, f"{offer.title} is here")


def megabytes(size: int) -> int:
    """What the progress of so many bytes counts up to, at least one."""
    return max(1, size // UNIT)


def read_manifest(folder: Path) -> Listing | None:
    """What a downloaded folder was when it came; None for any other folder.

    Raises:
        ModelError: it is damaged.
    """
    if not (folder / MANIFEST).is_file():
        return None
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = tuple(HubFile(**file) for file in values["files"])
        return Listing(str(values["repo"]), str(values["commit"]), files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The {MANIFEST} of the model {folder.name} is damaged: download the model again."
        ) from error


def _bring(context: JobContext, client: httpx.Client, offer: Offer, folder: Path) -> Listing:
    listing = list_files(client, offer.source, offer.source.files or _files(offer))
    total, before = megabytes(listing.bytes), 0
    context.log(
        f"{offer.source.repo} at {listing.commit}: {len(listing.files)} files, "
        f"{listing.bytes:,} bytes"
    )
    _check_disk(listing, folder)
    for number, file in enumerate(listing.files, 1):
        fetch(client, listing, file, folder, _report(context, before, total, number, listing))
        before += file.size
    return listing


def _files(offer: Offer) -> tuple[str, ...]:
    """Patterns of the files that a model of its kind needs."""
    if offer.kind == CAPTIONER:
        return VISION_FILES
    return ((family_named(offer.family) if offer.family else None) or FLUX).files


def _report(
    context: JobContext, before: int, total: int, number: int, listing: Listing
) -> Callable[[int], None]:
    def report(have: int) -> None:
        done = min(total, (before + have) // UNIT)
        message = f"file {number} of {len(listing.files)}, {done:,} of {total:,} MB"
        context.progress(done, total, message)
        context.check_cancelled()

    return report


def _check_disk(listing: Listing, folder: Path) -> None:
    with explained_files(folder):
        folder.mkdir(parents=True, exist_ok=True)
        there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        free = shutil.disk_usage(folder).free
    missing = listing.bytes - there
    if missing > free - SPARE_BYTES:
        raise DownloadError(
            f"The disk has {free / 1e9:,.1f} GB free, and {missing / 1e9:,.1f} GB are still to "
            "come: free some space, or put the workspace on a larger disk, then press Retry."
        )


def _settle(settings: Settings, offer: Offer, listing: Listing, folder: Path) -> None:
    """From the folder of downloads to that of models, once it is complete."""
    if offer.kind == CAPTIONER:
        check_vision_folder(folder)
    else:
        family = check_model_folder(folder)
        if family.family is not offer.family:
            raise DownloadError(
                f"{offer.source.repo} holds a {family.full_name}, and {offer.name} should be a "
                f"{offer.family_name}: correct its entry in the list of models."
            )
    manifest = {
        "repo": listing.repo,
        "commit": listing.commit,
        "files": [asdict(file) for file in listing.files],
    }
    write_file(folder / MANIFEST, json.dumps(manifest, indent=2).encode())
    target = settings.models_dir / offer.name
    with explained_files(target):
        folder.replace(target)


def _offer(record: ModelRecord | LoraRecord | CaptionerRecord, source: Source) -> Offer:
    kinds = {LoraRecord: LORA, CaptionerRecord: CAPTIONER}
    return Offer(
        name=record.name,
        title=record.title or record.name,
        kind=kinds.get(type(record), "model"),
        family=None if isinstance(record, CaptionerRecord) else record.family,
        licence=record.licence,
        description=record.description,
        source=source,
    )
