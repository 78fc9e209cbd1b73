"""What a database says, in words a person can act on."""

from sqlalchemy.exc import DBAPIError

from backend.errors import DermaFluxError


class StoreError(DermaFluxError):
    """The database could not be read or written."""


_READ_ONLY = (
    "The database {place} is read-only: give the studio the right to write it and its folder, "
    "then try again."
)
_FULL = (
    "The disk that holds the database {place} is full: free some space, then try again; "
    "nothing that was saved is lost."
)
_LOCKED = (
    "The database {place} is locked by another program: close what else is using it, "
    "then try again."
)
_MISSING = (
    "The database {place} cannot be opened: check that its folder exists and can be read "
    "and written."
)
_BROKEN = (
    "The file {place} is not a sound database: restore a backup of it, or set "
    "DERMAFLUX_WORKSPACE to another folder."
)
_OLD = (
    "The database {place} lacks a table or a column that this version needs: run "
    "`python -m backend database upgrade`."
)
_UNREACHABLE = (
    "The database server of {place} does not answer: check that it runs and that "
    "DERMAFLUX_DATABASE_URL has the right host, port and name."
)
_REFUSED = (
    "The database server of {place} refused the login: check the user and the password in "
    "DERMAFLUX_DATABASE_URL."
)
_UNKNOWN_DATABASE = (
    "The database server has no database {place}: create it with `createdb`, or correct "
    "DERMAFLUX_DATABASE_URL."
)

_CROWDED = (
    "The database server of {place} has no connection left: close other programs that use it, "
    "then try again."
)

_PHRASES = (
    ("readonly database", _READ_ONLY),
    ("read-only transaction", _READ_ONLY),
    ("database or disk is full", _FULL),
    ("no space left on device", _FULL),
    ("disk i/o error", _FULL),
    ("database is locked", _LOCKED),
    ("database table is locked", _LOCKED),
    ("lock timeout", _LOCKED),
    ("unable to open database", _MISSING),
    ("not a database", _BROKEN),
    ("malformed", _BROKEN),
    ("no such table", _OLD),
    ("no such column", _OLD),
    ("has no column named", _OLD),
    ("password authentication failed", _REFUSED),
    ("no password supplied", _REFUSED),
)
_STATES = {
    "25006": _READ_ONLY,
    "53100": _FULL,
    "55P03": _LOCKED,
    "40P01": _LOCKED,
    "53300": _CROWDED,
    "42P01": _OLD,
    "42703": _OLD,
    "28P01": _REFUSED,
    "28000": _REFUSED,
    "3D000": _UNKNOWN_DATABASE,
}


def store_error(error: DBAPIError, place: str) -> StoreError | None:
    """The sentence for a driver's error; None where the fault is in the statement, not the store.

    `place` names the database without its password. PostgreSQL errors are told apart by
    SQLSTATE (appendix A of its manual), SQLite's and connection failures by their text.
    """
    state = getattr(error.orig, "sqlstate", None)
    if state in _STATES:
        return StoreError(_STATES[state].format(place=place))
    text = str(error.orig).lower()
    for phrase, sentence in _PHRASES:
        if phrase in text:
            return StoreError(sentence.format(place=place))
    if "does not exist" in text and "database" in text:
        return StoreError(_UNKNOWN_DATABASE.format(place=place))
    if error.connection_invalidated or "connect" in text or "could not translate host" in text:
        return StoreError(_UNREACHABLE.format(place=place))
    return None
