"""`python -m backend`: quick to start, JSON for scripts, one sentence and exit code 1 on errors."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from backend.cli import build_app
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, finish, get_job, submit, write_log
from backend.jobs.states import JobState
from backend.settings import REPOSITORY, Settings
from backend.store.database import Database

SECRET = "four green apples fall"


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command in this process; its output as text, or as JSON where it was asked for."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str, given: str | None = None) -> Any:
        result = CliRunner().invoke(build_app(), arguments, input=given, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout) if "--json" in arguments else result.stdout

    return command


def process(
    settings: Settings, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        cwd=REPOSITORY,
        env=os.environ | settings.environment() | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def commands(app: typer.Typer) -> list[list[str]]:
    """The words of every command of the tree that is shown."""
    found = [[str(command.name)] for command in app.registered_commands if not command.hidden]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found += [[str(group.name), *words] for words in commands(group.typer_instance)]
    return found


def test_every_command_has_help_and_every_parameter_a_word() -> None:
    app = build_app()
    assert len(commands(app)) >= 14
    for words in commands(app):
        result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0, words
        described = [line for line in result.stdout.splitlines() if line.strip(" │╭╰─╮╯")]
        assert len(described) >= 3, words
        if words != ["worker"]:
            assert "--json" in result.stdout, words


def test_help_starts_without_the_database_or_torch() -> None:
    program = (
        "import sys; from backend.cli import build_app; build_app(); "
        "print({'torch', 'diffusers', 'transformers', 'sqlalchemy', 'numpy', 'skimage', 'cv2'} "
        "& set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_jobs_are_listed_shown_cancelled_retried_and_removed(run: Any, database: Database) -> None:
    job_id = submit(database, kind="generate", payload={}, title="4 images", total=80)
    listed = run("jobs", "list", "--state", "queued", "--json")
    assert listed["total"] == 1
    assert [job["id"] for job in listed["jobs"]] == [job_id]
    assert "4 images" in run("jobs", "list")
    assert run("jobs", "show", job_id, "--json")["queue_position"] == 1
    assert "number 1 in the queue" in run("jobs", "show", job_id)

    assert run("jobs", "cancel", job_id, "--json")["state"] == "cancelled"
    assert run("jobs", "retry", job_id, "--json")["attempt"] == 2
    write_log(database, job_id, "a line")
    assert [line["text"] for line in run("jobs", "log", job_id, "--json")] == ["a line"]
    run("jobs", "cancel", job_id)
    assert "is removed" in run("jobs", "remove", job_id)
    assert run("jobs", "list", "--json") == {"total": 0, "jobs": []}


def test_listing_tells_the_truth_when_no_studio_runs(run: Any, database: Database) -> None:
    job_id = submit(database, kind="generate", payload={}, title="one")
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as gone:
        pass
    worker = this_process()
    job = claim_next(database, type(worker)(worker.host, gone.pid, 1.0))
    assert job is not None
    assert run("jobs", "list", "--json")["jobs"][0]["state"] == "interrupted"
    assert get_job(database, job_id).state is JobState.INTERRUPTED


def test_a_failed_job_shows_why(run: Any, database: Database) -> None:
    job_id = submit(database, kind="generate", payload={}, title="one")
    job = claim_next(database, this_process())
    assert job is not None
    finish(database, job, JobState.FAILED, "The model is gone.")
    assert "The model is gone." in run("jobs", "show", job_id)


def test_accounts_are_added_listed_disabled_and_given_passwords(run: Any) -> None:
    account = run(
        *("accounts", "add", "Anna", "--role", "admin", "--password-stdin", "--json"),
        given=f"{SECRET}\n",
    )
    assert (account["name"], account["role"], account["disabled"]) == ("anna", "admin", False)
    run("accounts", "add", "ben", "--password-stdin", given=f"{SECRET}\n")
    assert run("accounts", "disable", "ben", "--json")["disabled"]
    assert not run("accounts", "disable", "ben", "--undo", "--json")["disabled"]
    run("accounts", "password", "ben", "--password-stdin", given="seven slow trains wait\n")
    listed = run("accounts", "list", "--json")
    assert [(entry["name"], entry["role"]) for entry in listed] == [
        ("anna", "admin"),
        ("ben", "researcher"),
    ]
    assert "hash" not in json.dumps(listed)


def test_the_database_is_found_checked_and_upgraded(run: Any, settings: Settings) -> None:
    file = str(settings.workspace / "studio.db")
    assert run("database", "path").strip() == file
    assert run("database", "path", "--json") == {"kind": "sqlite", "place": file}
    assert run("database", "upgrade", "--json")["differences"] == []
    report = run("database", "check", "--json")
    assert report["sound"]
    assert report["damage"] == []


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["jobs", "show", "nothing"], {}, "There is no job nothing"),
        (["jobs", "list"], {"DERMAFLUX_PORT": "many"}, "DERMAFLUX_PORT cannot be used"),
        (["jobs", "list"], {"DERMAFLUX_COLOUR": "red"}, "There is no setting DERMAFLUX_COLOUR"),
        (["worker"], {"DERMAFLUX_DATABASE_URL": "mysql://a/b"}, "of the kind 'mysql'"),
        (["accounts", "add", "anna"], {}, "can only be asked for in a terminal"),
        (["accounts", "add", "anna", "--role", "root"], {}, "There is no role 'root'"),
        (["database", "check"], {}, "needs care"),
    ],
)
def test_an_error_is_one_sentence_on_stderr_and_exit_code_1(
    settings: Settings, arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = process(settings, *arguments, **environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr + done.stdout


def test_a_crash_is_one_sentence_and_its_place_in_the_log(settings: Settings) -> None:
    program = (
        "import backend.store.schema as schema, backend.cli as cli\n"
        "def schema_state(_): raise KeyError('a secret caption')\n"
        "schema.schema_state = schema_state\n"
        "cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "database", "upgrade"],
        cwd=REPOSITORY,
        env=os.environ | settings.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Something went wrong inside the studio (KeyError)" in done.stderr
    assert "Traceback" not in done.stderr
    logged = (settings.logs_dir / "command.jsonl").read_text()
    assert '"exception": "KeyError"' in logged
    assert "secret caption" not in logged + done.stderr + done.stdout
