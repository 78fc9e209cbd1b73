"""What a worker of the cluster has in its hands while it does a part of a job."""

import socket
from pathlib import Path

from backend.jobs.cluster.errors import ClusterError
from backend.jobs.context import JobContext
from backend.jobs.queue import JobView
from backend.logs import configure_logging
from backend.settings import Settings
from backend.store.database import open_database


class ShardContext(JobContext):
    """The context of a part: it sees that the job has to end; progress is the driver's to say."""

    def progress(
        self,
        done: int,
        total: int | None = None,
        message: str = "",
        *,
        rate: float | None = None,
    ) -> None:
        """Nothing: parts are counted where they come together."""


def open_shard(settings: Settings, job: JobView) -> ShardContext:
    """The context of a part of a job in this process.

    Raises:
        ClusterError: this machine does not see the workspace.
        StoreError: it does not reach the database.
    """
    require_visible(settings.jobs_dir / job.id)
    configure_logging(settings, "shard")
    return ShardContext(settings, open_database(settings, migrate=False), job)


def require_visible(*folders: Path) -> None:
    """Raises ClusterError where a folder of a job is not on this machine under the same path."""
    for folder in folders:
        if not folder.is_dir():
            raise ClusterError(
                f"The machine {socket.gethostname()} of the cluster does not see {folder}: put it "
                "on a file system that all machines share under the same path."
            )
