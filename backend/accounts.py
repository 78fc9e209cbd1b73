"""Accounts for a studio that others can reach: who may log in, and as what."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.errors import DermaFluxError
from backend.store.database import Database
from backend.store.tables import Account, Role

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
FEWEST_SIGNS = 5
FEWEST_OWN_SIGNS = 8

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_GUESSED_FIRST = (
    "password",
    "passwort",
    "qwerty",
    "letmein",
    "dermaflux",
    "dermatology",
    "melanoma",
    "1234567890",
)


class AccountError(DermaFluxError):
    """An account that cannot be made or changed as asked."""


@dataclass(frozen=True)
class AccountView:
    """An account without its password hash; `stamp` changes with the password."""

    name: str
    role: Role
    created_at: datetime
    disabled: bool
    stamp: str = field(repr=False)


def parse_role(text: str) -> Role:
    """The role of that name; raises AccountError for any other."""
    try:
        return Role(text.strip().lower())
    except ValueError:
        raise AccountError(f"There is no role '{text}': use {', '.join(Role)}.") from None


def create_account(db: Database, name: str, password: str, role: Role) -> AccountView:
    """Add a person; the name is kept in lower case.

    Raises AccountError for a name in use or of odd signs and for a password easily guessed.
    """
    name = _checked_name(name)
    _check_password(password, name)
    account = Account(name=name, role=role, password_hash=PasswordHasher().hash(password))
    try:
        with db.session() as session:
            session.add(account)
    except IntegrityError:
        raise AccountError(
            f"There is an account '{name}' already: choose another name, or give it a new password."
        ) from None
    return _view(account)


def verify(db: Database, name: str, password: str) -> AccountView | None:
    """The account that a name and a password open, or None.

    An unknown or disabled name costs as much time as a wrong password, so that names cannot be
    found out by the clock.
    """
    hasher = PasswordHasher()
    with db.session() as session:
        account = _find(session, name)
        if account is None or account.disabled:
            hasher.hash(password[:LONGEST_PASSWORD])
            return None
        if not _matches(hasher, account.password_hash, password):
            return None
        if hasher.check_needs_rehash(account.password_hash):
            account.password_hash = hasher.hash(password)
        return _view(account)


def change_password(db: Database, name: str, password: str) -> None:
    """Give an account a new password; raises AccountError as `create_account` does."""
    _check_password(password, name.strip().lower())
    with db.session() as session:
        _get(session, name).password_hash = PasswordHasher().hash(password)


def set_disabled(db: Database, name: str, disabled: bool) -> AccountView:
    """Close an account or open it again; raises AccountError for the last open admin."""
    with db.session() as session:
        account = _get(session, name)
        if disabled and account.role is Role.ADMIN and _open_admins(session) <= {account.name}:
            raise AccountError(
                f"'{account.name}' is the last admin: add another admin before you disable it."
            )
        account.disabled = disabled
        return _view(account)


def get_account(db: Database, name: str) -> AccountView | None:
    """The account of that name, or None; a session asks this on each request."""
    with db.session() as session:
        account = _find(session, name)
        return None if account is None else _view(account)


def list_accounts(db: Database) -> list[AccountView]:
    """All accounts by name, the disabled ones too."""
    with db.session() as session:
        return [
            _view(account) for account in session.scalars(select(Account).order_by(Account.name))
        ]


def has_accounts(db: Database) -> bool:
    """Whether anybody can log in."""
    open_accounts = select(func.count()).select_from(Account).where(Account.disabled.is_(False))
    with db.session() as session:
        return bool(session.scalar(open_accounts))


def _checked_name(name: str) -> str:
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise AccountError(
            "An account name has 1 to 64 signs, Latin letters, digits and . _ @ + -, and starts "
            "with a letter or a digit: choose another."
        )
    return name


def _check_password(password: str, name: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise AccountError(
            f"The password has {len(password)} signs: use at least {SHORTEST_PASSWORD}, for "
            "example four words."
        )
    if len(password) > LONGEST_PASSWORD:
        raise AccountError(f"The password is too long: use at most {LONGEST_PASSWORD} signs.")
    plain = password.lower()
    if len(set(plain)) < FEWEST_SIGNS:
        raise AccountError("The password repeats a few signs: use more different ones.")
    if len(name) > 2 and name in plain:
        raise AccountError("The password contains the account name: choose one without it.")
    rest = min((plain.replace(guess, "") for guess in _GUESSED_FIRST), key=len)
    if len(rest) < len(plain) and len(rest) < FEWEST_OWN_SIGNS:
        raise AccountError(
            "The password is among the first to be guessed: use, for example, four words that "
            "have nothing to do with each other."
        )


def _matches(hasher: PasswordHasher, password_hash: str, password: str) -> bool:
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _open_admins(session: Session) -> set[str]:
    admins = select(Account.name).where(Account.role == Role.ADMIN, Account.disabled.is_(False))
    return set(session.scalars(admins))


def _find(session: Session, name: str) -> Account | None:
    return session.scalar(select(Account).where(Account.name == name.strip().lower()))


def _get(session: Session, name: str) -> Account:
    account = _find(session, name)
    if account is None:
        raise AccountError(
            f"There is no account '{name}': `python -m backend accounts list` names them."
        )
    return account


def _view(account: Account) -> AccountView:
    stamp = hashlib.sha256(f"{account.id}:{account.password_hash}".encode()).hexdigest()[:16]
    return AccountView(account.name, account.role, account.created_at, account.disabled, stamp)
