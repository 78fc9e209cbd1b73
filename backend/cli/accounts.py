"""Commands for accounts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.workspace import open_workspace
from backend.errors import DermaFluxError

Name = Annotated[str, typer.Argument(help="The account's name; upper and lower case are one.")]
FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input, for scripts."),
]


def register(app: typer.Typer) -> None:
    """Add `accounts`."""
    accounts = typer.Typer(
        no_args_is_help=True, help="Say who may log in; needed before others can reach the studio."
    )
    for name, command in (
        ("add", add),
        ("list", list_),
        ("disable", disable),
        ("password", password),
    ):
        accounts.command(name)(command)
    app.add_typer(accounts, name="accounts")


def add(
    name: Name,
    role: Annotated[
        str, typer.Option(help="admin, researcher or reviewer.", show_default=True)
    ] = "researcher",
    password_stdin: FromStdin = False,
    as_json: JsonOption = False,
) -> None:
    """Add an account; the password is asked for twice and kept as an argon2 hash only."""
    from backend.accounts import create_account, parse_role

    chosen = parse_role(role)
    secret = _password(password_stdin)
    with open_workspace() as (_, database):
        account = create_account(database, name, secret, chosen)
    emit(account, as_json, f"{account.name} can log in as {account.role}.")


def list_(as_json: JsonOption = False) -> None:
    """List the accounts and their roles."""
    from backend.accounts import list_accounts

    with open_workspace() as (_, database):
        accounts = list_accounts(database)
    rows = [
        (account.name, account.role, "disabled" if account.disabled else "open")
        for account in accounts
    ]
    emit(accounts, as_json, aligned(("NAME", "ROLE", "STATE"), rows))


def disable(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Open the account again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Close an account: its sessions end and it can no longer log in."""
    from backend.accounts import set_disabled

    with open_workspace() as (_, database):
        account = set_disabled(database, name, disabled=not undo)
    emit(account, as_json, f"{account.name} is {'disabled' if account.disabled else 'open'}.")


def password(name: Name, password_stdin: FromStdin = False, as_json: JsonOption = False) -> None:
    """Give an account a new password."""
    from backend.accounts import change_password

    secret = _password(password_stdin)
    with open_workspace() as (_, database):
        change_password(database, name, secret)
    emit({"changed": name}, as_json, f"{name} has a new password.")


def _password(from_stdin: bool) -> str:
    """Raises DermaFluxError where there is nobody to ask."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise DermaFluxError(
            "A password can only be asked for in a terminal: give --password-stdin and pipe it in."
        )
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
