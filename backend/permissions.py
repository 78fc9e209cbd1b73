"""What each role may do; asked by every face that knows who is acting."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from backend.accounts import AccountError, get_account
from backend.store.database import Database
from backend.store.tables import Role


class Deed(StrEnum):
    """What changes or takes away something that others rely on."""

    MAKE = "make images"
    RUN_JOBS = "cancel, retry or remove jobs"
    DELETE = "delete images or captions"
    EXPORT = "export images"
    COLLECT = "make or change sets"
    JUDGE_DUPLICATES = "confirm or dismiss duplicates"
    KEEP_MODELS = "download, add or remove models"


_DEEDS: Mapping[Role, frozenset[Deed]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(Deed),
        Role.RESEARCHER: frozenset(Deed) - {Deed.KEEP_MODELS},
        Role.REVIEWER: frozenset(),
    }
)


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
