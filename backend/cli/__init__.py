"""The command line: `python -m backend`, one topic a module, everything the page can do."""

import logging

import typer

from backend.cli.abc import register as register_abc
from backend.cli.accounts import register as register_accounts
from backend.cli.adherence import register as register_adherence
from backend.cli.build import register as register_build
from backend.cli.caption import register as register_caption
from backend.cli.caption_sets import register as register_caption_sets
from backend.cli.cluster import register as register_cluster
from backend.cli.corpus import register as register_corpus
from backend.cli.database import register as register_database
from backend.cli.design import register as register_design
from backend.cli.duplicates import register as register_duplicates
from backend.cli.evaluate import register as register_evaluate
from backend.cli.gallery import register as register_gallery
from backend.cli.generate import register as register_generate
from backend.cli.jobs import register as register_jobs
from backend.cli.lora import register as register_lora
from backend.cli.measuring import register as register_measuring
from backend.cli.models import register as register_models
from backend.cli.replay import register as register_replay
from backend.cli.review import register as register_review
from backend.cli.speed import register as register_speed
from backend.cli.sweep import register as register_sweep
from backend.cli.train import register as register_train
from backend.errors import DermaFluxError

TOPICS = (
    register_abc,
    register_measuring,
    register_design,
    register_generate,
    register_replay,
    register_sweep,
    register_build,
    register_gallery,
    register_corpus,
    register_caption,
    register_review,
    register_caption_sets,
    register_models,
    register_lora,
    register_train,
    register_speed,
    register_adherence,
    register_duplicates,
    register_evaluate,
    register_jobs,
    register_cluster,
    register_accounts,
    register_database,
)
HELP = (
    "DermaFlux Studio from the command line: everything that the page does, for scripts.\n\n"
    "The workspace is the folder ./workspace, or the one that DERMAFLUX_WORKSPACE names. Each "
    "command has a --help of its own and takes --json; one that fails prints one sentence and "
    "ends with exit code 1.\n\n"
    "All images made here are synthetic. Nothing here is a medical device: not for diagnosis."
)

log = logging.getLogger(__name__)


def build_app() -> typer.Typer:
    """The whole command tree."""
    app = typer.Typer(
        name="python -m backend",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for register in TOPICS:
        register(app)
    return app


def main() -> None:
    """Run one command; what goes wrong is one sentence on stderr, never a traceback."""
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        build_app()(prog_name="python -m backend")
    except DermaFluxError as error:
        _fail(str(error))
    except Exception as error:
        log.exception("command crashed")
        _fail(
            f"Something went wrong inside the studio ({type(error).__name__}): the log in the "
            "workspace says where, and DERMAFLUX_LOG_LEVEL=DEBUG shows it here."
        )


def _fail(sentence: str) -> None:
    typer.echo(sentence, err=True)
    raise SystemExit(1)
