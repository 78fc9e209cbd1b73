"""`cluster`: whether the Ray cluster of the settings can do the studio's jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.output import JsonOption, emit
from backend.cli.progress import CommandError
from backend.cli.workspace import open_workspace


def register(app: typer.Typer) -> None:
    """Add `cluster`."""
    cluster = typer.Typer(no_args_is_help=True, help="Long work on a Ray cluster.")
    cluster.command("check")(check)
    cluster.command("probe", hidden=True)(probe)
    app.add_typer(cluster, name="cluster")


def check(as_json: JsonOption = False) -> None:
    """Look whether the cluster at DERMAFLUX_RAY_ADDRESS can do builds and imports.

    A line each for address, versions, workspace, database and GPUs, as its machines see them; exit
    code 1 where something is missing.
    """
    from backend.jobs.cluster.checking import check_cluster

    checks = []
    with open_workspace() as (settings, _):
        for done in check_cluster(settings):
            checks.append(done)
            if not as_json:
                typer.echo(f"{'ok  ' if done.passed else 'FAIL'}  {done.name}: {done.sentence}")
    if as_json:
        emit(checks, as_json, "")
    if not all(done.passed for done in checks):
        raise CommandError("The cluster cannot do the studio's jobs yet.")


def probe(
    name: Annotated[str, typer.Argument(help="A file of the workspace.")],
    token: Annotated[str, typer.Argument(help="What it holds.")],
    database_from: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Print what each machine of this cluster sees; `cluster check` runs it there."""
    from backend.jobs.cluster.probing import MACHINES, MARK, probe
    from backend.settings import load_settings, with_database_from

    settings = with_database_from(load_settings(), database_from)
    machines = probe(settings, name, token)
    typer.echo(MARK + MACHINES.dump_json(machines).decode())
