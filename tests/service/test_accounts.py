"""Accounts: argon2 hashes, names that are one in any spelling, and always somebody in charge."""

import pytest

from backend.accounts import (
    AccountError,
    change_password,
    create_account,
    get_account,
    has_accounts,
    list_accounts,
    parse_role,
    set_disabled,
    verify,
)
from backend.store.database import Database
from backend.store.tables import Account, Role

SECRET = "four green apples fall"
OTHER = "seven slow trains wait"


def test_a_name_and_its_password_open_the_account(any_database: Database) -> None:
    create_account(any_database, " Anna@Clinic.example ", SECRET, Role.ADMIN)
    account = verify(any_database, "anna@clinic.EXAMPLE", SECRET)
    assert account is not None
    assert (account.name, account.role) == ("anna@clinic.example", Role.ADMIN)
    assert verify(any_database, "anna@clinic.example", SECRET + " ") is None
    assert verify(any_database, "anna@clinic.example", SECRET * 100) is None
    assert verify(any_database, "nobody", SECRET) is None


def test_the_database_holds_argon2_hashes_only(database: Database) -> None:
    create_account(database, "anna", SECRET, Role.ADMIN)
    create_account(database, "ben", SECRET, Role.REVIEWER)
    with database.session() as session:
        hashes = [account.password_hash for account in session.query(Account)]
    assert all(entry.startswith("$argon2id$") for entry in hashes)
    assert hashes[0] != hashes[1]


def test_a_new_password_replaces_the_old_one(any_database: Database) -> None:
    create_account(any_database, "anna", SECRET, Role.RESEARCHER)
    change_password(any_database, "Anna", OTHER)
    assert verify(any_database, "anna", SECRET) is None
    assert verify(any_database, "anna", OTHER) is not None


def test_a_disabled_account_is_closed_until_it_is_opened_again(any_database: Database) -> None:
    create_account(any_database, "anna", SECRET, Role.RESEARCHER)
    assert set_disabled(any_database, "anna", disabled=True).disabled
    assert verify(any_database, "anna", SECRET) is None
    assert not has_accounts(any_database)
    set_disabled(any_database, "anna", disabled=False)
    assert verify(any_database, "anna", SECRET) is not None
    assert has_accounts(any_database)


def test_the_last_admin_cannot_be_disabled(database: Database) -> None:
    create_account(database, "anna", SECRET, Role.ADMIN)
    create_account(database, "ben", SECRET, Role.ADMIN)
    set_disabled(database, "ben", disabled=True)
    with pytest.raises(AccountError, match="'anna' is the last admin"):
        set_disabled(database, "anna", disabled=True)
    assert verify(database, "anna", SECRET) is not None


def test_a_name_is_taken_in_any_spelling(any_database: Database) -> None:
    create_account(any_database, "anna", SECRET, Role.ADMIN)
    with pytest.raises(AccountError, match="There is an account 'anna' already"):
        create_account(any_database, "ANNA", OTHER, Role.REVIEWER)
    assert [account.name for account in list_accounts(any_database)] == ["anna"]


@pytest.mark.parametrize("name", ["", "  ", "a b", "../x", "-anna", "änne", "a" * 65, "a\x00b"])
def test_odd_names_are_refused(database: Database, name: str) -> None:
    with pytest.raises(AccountError, match="An account name has 1 to 64 signs"):
        create_account(database, name, SECRET, Role.ADMIN)


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "has 0 signs: use at least 12"),
        ("short", "has 5 signs: use at least 12"),
        ("ababababababab", "repeats a few signs"),
        ("my name is Wilhelmina", "contains the account name"),
        ("Password1234", "first to be guessed"),
        ("DermaFlux2026!", "first to be guessed"),
        ("1234567890ab", "first to be guessed"),
        ("x" * 100 + "abcdef" * 100, "too long"),
    ],
)
def test_weak_passwords_are_one_sentence(database: Database, password: str, sentence: str) -> None:
    with pytest.raises(AccountError, match=sentence) as caught:
        create_account(database, "wilhelmina", password, Role.ADMIN)
    assert password == "" or password not in str(caught.value)
    assert not has_accounts(database)


def test_a_changed_password_is_checked_as_well(database: Database) -> None:
    create_account(database, "anna", SECRET, Role.ADMIN)
    with pytest.raises(AccountError, match="at least 12"):
        change_password(database, "anna", "short")
    with pytest.raises(AccountError, match="There is no account 'ben'"):
        change_password(database, "ben", OTHER)
    assert get_account(database, "ben") is None


def test_roles_are_read_in_any_spelling_and_no_other() -> None:
    assert parse_role(" Reviewer ") is Role.REVIEWER
    with pytest.raises(AccountError, match="use admin, researcher, reviewer"):
        parse_role("root")
