"""What each role may do; asked by every face that knows who is acting."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import AccountError, get_account
from backend.store.database import Database
from backend.store.tables import Account, Role


class Deed(StrEnum):
    """What changes or takes away something that others rely on."""

    MAKE = "make images"
    RUN_JOBS = "cancel, retry or remove jobs"
    DELETE = "delete images or captions"
    EXPORT = "export images"
    IMPORT = "import datasets"
    COLLECT = "make or change sets"
    CAPTION = "caption images or compare captions"
    TRAIN = "train, change or remove LoRA runs"
    JUDGE_DUPLICATES = "confirm or dismiss duplicates"
    RELABEL = "change the labels of a dataset"
    KEEP_MODELS = "download, add or remove models"
    REVIEW = "review captions or images"
    ADJUDICATE = "adjudicate what reviewers disagree on"
    KEEP_REVIEWS = "make, change or export review sets and caption sets"


_DEEDS: Mapping[Role, frozenset[Deed]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(Deed),
        Role.RESEARCHER: frozenset(Deed) - {Deed.KEEP_MODELS},
        Role.REVIEWER: frozenset({Deed.REVIEW}),
    }
)


def deeds_in(session: Session, account: str | None) -> frozenset[Deed]:
    """All that an account may do; everything where nobody signs in, nothing once it is closed."""
    if account is None:
        return frozenset(Deed)
    found = session.execute(
        select(Account.role, Account.disabled).where(Account.name == account)
    ).first()
    return frozenset() if found is None or found.disabled else _DEEDS[found.role]


def authorise(db: Database, account: str | None, deed: Deed, *, owner: str | None = None) -> None:
    """Whether `account` may do this, to what belongs to `owner` where that is known.

    No account means that nobody signs in: the studio is on its own machine alone. Only an admin
    may lay hands on the jobs of somebody else.

    Raises:
        AccountError: the role, or the owner, does not allow it.
    """
    if account is None:
        return
    found = get_account(db, account)
    if found is None or found.disabled:
        raise AccountError("This account is closed: ask an admin to open it again.")
    if deed not in _DEEDS[found.role]:
        raise AccountError(f"A {found.role} may not {deed}: ask {_who_may(deed)}.")
    if owner not in (None, found.name) and found.role is not Role.ADMIN:
        raise AccountError(f"This job belongs to {owner}: ask them or an admin.")


def _who_may(deed: Deed) -> str:
    return (
        "a researcher, or an admin for another role"
        if deed in _DEEDS[Role.RESEARCHER]
        else "an admin"
    )
