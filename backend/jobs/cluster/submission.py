"""The Jobs API of a Ray cluster: asked for what runs there, and given jobs of the studio."""

import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backend.files import write_private_file
from backend.jobs.cluster.errors import ClusterError, require_ray
from backend.jobs.queue import JobView
from backend.settings import REPOSITORY, Settings

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

CONNECT_TIMEOUT_S = 3.0
LOOK_EVERY_S = 0.5
ENDED = ("FAILED", "STOPPED", "SUCCEEDED")


@dataclass(frozen=True)
class Submission:
    """What the cluster says of a job that it was given; `ended` whether its process is gone."""

    status: str

    @property
    def ended(self) -> bool:
        """Whether the process of the job is gone."""
        return self.status in ENDED


def submission_id(job: JobView) -> str:
    """One an attempt: handing a job over twice is one submission."""
    return f"dermaflux-{job.id}-{job.attempt}"


def submissions(settings: Settings) -> dict[str, Submission]:
    """Everything that was ever submitted to the cluster, by submission id.

    Raises ClusterError where Ray is not installed, or the cluster does not answer.
    """
    with _client(settings) as client:
        return {
            str(details.submission_id): Submission(str(getattr(details.status, "value", "")))
            for details in client.list_jobs()
        }


def submit(settings: Settings, job: JobView) -> None:
    """Have the cluster run a queued job: its process claims the row and does the work.

    Raises:
        ClusterError: the cluster does not take it.
        FileError: the workspace cannot be written.
    """
    command, variables = _program(settings, ["jobs", "run", job.id])
    name = submission_id(job)
    with _client(settings) as client:
        try:
            client.submit_job(
                entrypoint=command, submission_id=name, runtime_env={"env_vars": variables}
            )
        except RuntimeError:
            if name not in {one.submission_id for one in client.list_jobs()}:
                raise  # else somebody handed it over just now


def run_program(settings: Settings, arguments: list[str], seconds: float) -> str:
    """What `python -m backend ARGUMENTS` prints on the cluster, and what Ray says where it fails.

    Raises:
        ClusterError: the cluster does not take it, or it does not end within so many seconds.
        FileError: the workspace cannot be written.
    """
    command, variables = _program(settings, arguments)
    deadline = time.monotonic() + seconds
    with _client(settings) as client:
        name = client.submit_job(entrypoint=command, runtime_env={"env_vars": variables})
        while (details := client.get_job_info(name)).status not in ENDED:
            if time.monotonic() > deadline:
                client.stop_job(name)
                raise ClusterError(
                    f"The cluster did not run a program within {seconds:.0f} s: look at `ray "
                    "status` on its head."
                )
            time.sleep(LOOK_EVERY_S)
        failed = details.status != "SUCCEEDED"
        return f"{client.get_job_logs(name)}\n{details.message if failed else ''}"


def _program(settings: Settings, arguments: list[str]) -> tuple[str, dict[str, str]]:
    """A command of ours as the cluster starts it, and its variables.

    Ray shows both on its dashboard: the address of the database, which may hold a password, goes
    through a file.
    """
    command = [sys.executable, "-m", "backend", *arguments]
    variables = settings.environment()
    if settings.database_url is not None:
        write_private_file(settings.database_url_file, settings.database_url)
        variables.pop("DERMAFLUX_DATABASE_URL")
        command += ["--database-from", str(settings.database_url_file)]
    own = {"PYTHONPATH": str(REPOSITORY), "RAY_USAGE_STATS_ENABLED": "0"}
    return shlex.join(command), variables | own


def stop(settings: Settings, job: JobView) -> None:
    """Ask the process of a job to end; raises ClusterError where the cluster refuses."""
    with _client(settings) as client:
        client.stop_job(submission_id(job))


@contextmanager
def _client(settings: Settings) -> Iterator["JobSubmissionClient"]:
    require_ray()
    _require_open(settings.ray_address)
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient
    from requests import RequestException

    address = settings.ray_address
    try:
        yield JobSubmissionClient(address)
    except AuthenticationError as error:
        raise ClusterError(
            f"The Ray cluster at {address} asks for a token that this machine does not have: "
            "copy ~/.ray/auth_token from its head, or set RAY_AUTH_TOKEN."
        ) from error
    except (RequestException, ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"What answers at {address} does not act as the dashboard of a Ray cluster "
            f"({type(error).__name__}): check DERMAFLUX_RAY_ADDRESS, and that the cluster is well."
        ) from error


def _require_open(address: str) -> None:
    """Ray's own client would wait for minutes."""
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_TIMEOUT_S):
            return
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"No Ray cluster answers at {address}: start it with `ray start --head`, or set "
            "DERMAFLUX_RAY_ADDRESS to the address of its dashboard."
        ) from error
