"""Starts DermaFlux Studio: settings, database, worker, web app. Run with `python app.py`."""

import sys
from contextlib import ExitStack, closing

from backend.errors import DermaFluxError
from backend.jobs.supervisor import Supervisor
from backend.logs import configure_logging
from backend.settings import load_settings, prepare_workspace
from backend.store.database import open_database
from studio.exposure import exposure_notice
from studio.server import create_app
from studio.serving import end_like_ctrl_c, open_port, serve, sole_use


def main() -> int:
    """Serve until Ctrl+C or SIGTERM; 1 and one sentence where the studio cannot start."""
    end_like_ctrl_c()
    try:
        with ExitStack() as stack:
            run(stack)
    except DermaFluxError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(stack: ExitStack) -> None:
    """Start everything in order; `stack` ends it in the opposite one."""
    settings = load_settings()
    prepare_workspace(settings)
    stack.enter_context(sole_use(settings))
    configure_logging(settings, "studio")
    listener = stack.enter_context(closing(open_port(settings)))
    database = stack.enter_context(closing(open_database(settings)))
    app = create_app(settings, database)
    print(exposure_notice(settings) or "Only this machine can reach the studio.", flush=True)
    supervisor = Supervisor(settings, database)
    stack.callback(supervisor.stop)
    supervisor.start()
    serve(app, settings, listener)


if __name__ == "__main__":
    sys.exit(main())
