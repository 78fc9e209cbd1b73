"""What is behind the version of a captioner: its model, its prompt and how it decodes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.captioning.errors import CaptioningError
from backend.captioning.records import count_captions
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import CaptionerVersionRow

NAME_CHARACTERS = 40

Setting = str | int | float | bool


@dataclass(frozen=True)
class CaptionerVersion:
    """A version as text; `identity` says which weights, or which server, `model` names."""

    captioner: str
    version: str
    model: str
    identity: str
    prompt: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    created_at: datetime | None = None

    @property
    def reference(self) -> str:
        """How it is named to `captions compare`."""
        return f"{self.captioner}:{self.version}"


def version_of(
    captioner: str, model: str, identity: str, prompt: str, settings: Mapping[str, Setting]
) -> CaptionerVersion:
    """The version that follows from what a caption depends on; the same gives the same."""
    facts = json.dumps([captioner, model, identity, prompt, dict(settings)], sort_keys=True)
    name = re.sub(r"[^\w.-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-.")
    digest = hashlib.sha256(facts.encode()).hexdigest()[:12]
    version = f"{name[:NAME_CHARACTERS]}-{digest}"
    return CaptionerVersion(captioner, version, model, identity, prompt, dict(settings))


def remember_version(db: Database, version: CaptionerVersion) -> None:
    """Keep what is behind a version, unless it is kept already."""
    key = (version.captioner, version.version)
    with db.session() as session:
        if session.get(CaptionerVersionRow, key) is not None:
            return
    row = CaptionerVersionRow(
        captioner=version.captioner,
        version=version.version,
        model=version.model,
        identity=version.identity,
        prompt=version.prompt,
        settings=dict(version.settings),
        created_at=now(),
    )
    try:
        with db.session() as session:
            session.add(row)
    except IntegrityError:  # another job was first
        return


def list_versions(db: Database) -> list[CaptionerVersion]:
    """Every version that is remembered or has captions, by captioner, the oldest first."""
    statement = select(CaptionerVersionRow).order_by(
        CaptionerVersionRow.captioner, CaptionerVersionRow.created_at
    )
    with db.session() as session:
        known = [_view(row) for row in session.scalars(statement)]
    there = {(one.captioner, one.version) for one in known}
    others = [
        CaptionerVersion(one.captioner, one.prompt, "", "", "")
        for one in count_captions(db)
        if (one.captioner, one.prompt) not in there
    ]
    return sorted([*known, *others], key=lambda one: one.captioner)


def find_version(db: Database, reference: str) -> CaptionerVersion:
    """The version that `captioner:version`, a captioner with only one, or the start of a version
    names.

    Raises:
        CaptioningError: none does, or several do.
    """
    versions = list_versions(db)
    exact = [one for one in versions if reference in (one.reference, one.version)]
    if not exact:
        exact = [
            one
            for one in versions
            if one.captioner == reference
            or one.version.startswith(reference)
            or one.reference.startswith(reference)
        ]
    if len(exact) == 1:
        return exact[0]
    names = ", ".join(one.reference for one in (exact or versions)) or "none so far"
    if exact:
        raise CaptioningError(f"{reference} has several versions: say which of {names}.")
    raise CaptioningError(f"There is no captioner {reference}: there is {names}.")


def _view(row: CaptionerVersionRow) -> CaptionerVersion:
    return CaptionerVersion(
        captioner=row.captioner,
        version=row.version,
        model=row.model,
        identity=row.identity,
        prompt=row.prompt,
        settings=row.settings,
        created_at=row.created_at,
    )
