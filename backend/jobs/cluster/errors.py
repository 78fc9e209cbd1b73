"""What stands between a job and the cluster."""

import os
from importlib.util import find_spec
from pathlib import Path

from backend.errors import DermaFluxError


class ClusterError(DermaFluxError):
    """The cluster cannot be reached, or cannot do the job as it is set up."""


def require_ray() -> None:
    """Raises ClusterError where Ray is not installed; to be called before Ray is imported.

    Where it is, its telemetry is off, and the token of this machine's user goes to the cluster.
    """
    if find_spec("ray") is None:
        raise ClusterError(
            "DERMAFLUX_RUNNER=ray needs Ray, which is not installed: run `python -m pip install "
            "-r requirements-ray.txt` with the studio's Python, or unset DERMAFLUX_RUNNER."
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # as `ray start` does where it finds one


def _has_token() -> bool:
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(given) or (Path.home() / ".ray" / "auth_token").is_file()
