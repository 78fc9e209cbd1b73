"""What each machine of a cluster says of itself, asked by a program that runs on the cluster."""

import platform
import socket
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pydantic import TypeAdapter
from sqlalchemy import text

from backend.errors import DermaFluxError
from backend.files import read_file
from backend.jobs.cluster.driver import attached
from backend.jobs.cluster.errors import ClusterError
from backend.settings import Settings
from backend.store.database import open_database

MARK = "dermaflux-machines "
"""Begins the line of the program's output that is read."""
LIBRARIES = ("ray", "torch", "diffusers", "transformers", "pillow")
WAIT_S = 60.0


@dataclass(frozen=True)
class Machine:
    """A machine of the cluster; `database_error` is empty where it reaches the database."""

    name: str
    address: str
    versions: dict[str, str]
    sees_workspace: bool
    database_error: str
    gpus: int


MACHINES = TypeAdapter(list[Machine])


def here() -> dict[str, str]:
    """What makes images and copies, and what carries them, by version."""
    versions = {"Python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "none"
    return versions


def probe(settings: Settings, name: str, token: str) -> list[Machine]:
    """Each machine of the cluster that this process is on.

    `token` is what the file `name` in the workspace holds. Raises ClusterError where this process
    is on no cluster, or a machine does not answer in time.
    """
    with attached():
        import ray
        from ray.exceptions import GetTimeoutError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = []
        for node in ray.nodes():
            if not node["Alive"]:
                continue
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, scheduling_strategy=there)(_machine)
            gpus = int(node["Resources"].get("GPU", 0))
            address = str(node["NodeManagerAddress"])
            asked.append(task.remote(settings, name, token, address, gpus))
        try:
            return list(ray.get(asked, timeout=WAIT_S))
        except GetTimeoutError as error:
            raise ClusterError(
                f"Not every machine of the cluster answered within {WAIT_S:.0f} s: look at "
                "`ray status` on its head."
            ) from error


def _machine(settings: Settings, name: str, token: str, address: str, gpus: int) -> Machine:
    try:
        sees = read_file(settings.workspace / name).decode() == token
    except DermaFluxError:
        sees = False
    return Machine(
        name=socket.gethostname(),
        address=address,
        versions=here(),
        sees_workspace=sees,
        database_error=_database_error(settings) if sees else "",
        gpus=gpus,
    )


def _database_error(settings: Settings) -> str:
    """Asked only where the workspace is seen: a SQLite file would be made anew elsewhere."""
    try:
        database = open_database(settings, migrate=False)
        try:
            with database.session() as session:
                session.execute(text("SELECT 1 FROM job"))
        finally:
            database.close()
    except DermaFluxError as error:
        return str(error)
    return ""
