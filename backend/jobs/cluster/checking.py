"""Whether a cluster can do the studio's jobs: looked at from here, and from each machine of it."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from backend.files import remove_file, write_file
from backend.jobs.cluster.driver import require_shared_database
from backend.jobs.cluster.errors import ClusterError, require_ray
from backend.jobs.cluster.probing import MACHINES, MARK, Machine, here
from backend.jobs.cluster.submission import run_program, submissions
from backend.settings import Settings

WAIT_S = 120.0


@dataclass(frozen=True)
class Check:
    """One thing that has to be so, and whether it is, in a sentence."""

    name: str
    passed: bool
    sentence: str


def check_cluster(settings: Settings) -> Iterator[Check]:
    """The checks in order, each as soon as it is done; where one rules the rest out, it is last.

    Raises:
        ClusterError: Ray is not installed here.
        FileError: the workspace cannot be written.
    """
    require_ray()
    try:
        submissions(settings)
    except ClusterError as error:
        yield Check("address", False, str(error))
        return
    yield Check("address", True, f"A Ray cluster answers at {settings.ray_address}.")
    token = secrets.token_hex(16)
    file = settings.workspace / f"cluster-{token[:8]}.probe"
    write_file(file, token.encode())
    try:
        machines = _looked_at(settings, file.name, token)
    except ClusterError as error:
        yield Check("program", False, str(error))
        return
    finally:
        remove_file(file)
    yield _versions(machines)
    yield _workspace(settings, machines)
    yield _database(settings, machines)
    gpus = sum(machine.gpus for machine in machines)
    yield Check("GPUs", True, f"{gpus} on {_count(len(machines))}.")


def _looked_at(settings: Settings, name: str, token: str) -> list[Machine]:
    text = run_program(settings, ["cluster", "probe", name, token], WAIT_S)
    for line in text.splitlines():
        if line.startswith(MARK):
            return MACHINES.validate_json(line.removeprefix(MARK))
    raise ClusterError(
        "The cluster cannot run the studio's program: install the studio with "
        "requirements-ray.txt under the same path on all machines, and start Ray there with its "
        f"Python. The cluster said: {(text.strip().splitlines() or ['nothing'])[-1]}"
    )


def _versions(machines: list[Machine]) -> Check:
    expected = here()
    for machine in machines:
        for library, version in expected.items():
            found = machine.versions.get(library, "none")
            if found != version:
                return Check(
                    "versions",
                    False,
                    f"The machine {machine.name} has {library} {found}, and this one {version}: "
                    "install the same versions everywhere, or images may differ.",
                )
    words = ", ".join(f"{library} {version}" for library, version in expected.items())
    return Check("versions", True, f"{_count(len(machines))} with {words}, as here.")


def _workspace(settings: Settings, machines: list[Machine]) -> Check:
    blind = [machine.name for machine in machines if not machine.sees_workspace]
    if blind:
        return Check(
            "workspace",
            False,
            f"{', '.join(blind)} cannot read {settings.workspace}: put the workspace on a file "
            "system that all machines share under the same path.",
        )
    return Check("workspace", True, f"{settings.workspace} is seen by {_count(len(machines))}.")


def _database(settings: Settings, machines: list[Machine]) -> Check:
    for machine in machines:
        if machine.database_error:
            sentence = f"The machine {machine.name} says: {machine.database_error}"
            return Check("database", False, sentence)
    try:
        require_shared_database(settings, {machine.address for machine in machines})
    except ClusterError as error:
        return Check("database", False, str(error))
    return Check("database", True, f"It is reached by {_count(len(machines))}.")


def _count(machines: int) -> str:
    return f"{machines} machine{'' if machines == 1 else 's'}"
