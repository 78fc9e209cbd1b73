"""Settings come from DERMAFLUX_ variables; what cannot be used is named in one sentence."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from backend.settings import Settings, SettingsError, load_settings, prepare_workspace


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("DERMAFLUX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_variables_everything_is_local(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.workspace == tmp_path / "workspace"
    assert settings.host == "127.0.0.1"
    assert settings.database == f"sqlite:///{tmp_path / 'workspace' / 'studio.db'}"
    assert settings.allowed_hosts == ()


def test_variables_are_read_as_people_write_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", "~/lesions")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DERMAFLUX_PORT", "8080")
    monkeypatch.setenv("DERMAFLUX_ALLOWED_HOSTS", "studio.example, 10.0.0.1,")
    monkeypatch.setenv("DERMAFLUX_MODEL_FOLDERS", f"models{os.pathsep}/data/flux")
    monkeypatch.setenv("DERMAFLUX_LOG_LEVEL", "debug")
    monkeypatch.setenv("DERMAFLUX_THREADS", "")
    settings = load_settings()
    assert settings.workspace == tmp_path / "lesions"
    assert settings.port == 8080
    assert settings.allowed_hosts == ("studio.example", "10.0.0.1")
    assert settings.model_folders == (tmp_path / "models", Path("/data/flux"))
    assert settings.log_level == "DEBUG"
    assert settings.threads is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DERMAFLUX_PORT", "many", "input should be a valid integer"),
        ("DERMAFLUX_PORT", "70000", "less than or equal to 65535"),
        ("DERMAFLUX_DEVICE", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("DERMAFLUX_THREADS", "0", "greater than or equal to 1"),
        ("DERMAFLUX_RUNNER", "slurm", "'local' or 'ray'"),
        ("DERMAFLUX_RAY_ADDRESS", "auto", "the address of Ray's dashboard"),
        ("DERMAFLUX_LOG_LEVEL", "chatty", "'DEBUG'"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"{name} cannot be used: ")
    assert problem in message
    assert "\n" not in message


def test_a_misspelt_variable_is_named_and_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMAFLUX_WORKSPCE", "/data")
    with pytest.raises(SettingsError, match=r"no setting DERMAFLUX_WORKSPCE.*DERMAFLUX_WORKSPACE"):
        load_settings()


def test_variables_for_tests_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMAFLUX_TEST_POSTGRES_URL", "postgresql://localhost/test")
    assert load_settings().database_url is None


def test_another_process_reads_the_same_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(
        workspace=tmp_path / "a folder, with comma",
        database_url="postgresql://anna:secret@host/studio",
        port=0,
        device="cpu",
        threads=3,
        model_folders=(tmp_path / "one", tmp_path / "two"),
        allowed_hosts=("studio.example",),
        log_level="WARNING",
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_the_password_of_the_database_is_not_in_the_settings_text() -> None:
    assert "secret" not in repr(Settings(database_url="postgresql://anna:secret@host/studio"))


def test_settings_do_not_change_and_take_nothing_unknown(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    with pytest.raises(ValidationError):
        settings.port = 1
    with pytest.raises(ValidationError):
        Settings(colour="red")


def test_the_workspace_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path / "deep" / "workspace")
    prepare_workspace(settings)
    (settings.images_dir / "one.png").write_bytes(b"x")
    prepare_workspace(settings)
    assert (settings.images_dir / "one.png").exists()
    assert settings.jobs_dir.is_dir()


def test_a_workspace_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SettingsError, match=r"cannot be written .*set DERMAFLUX_WORKSPACE"):
        prepare_workspace(Settings(workspace=tmp_path / "file" / "workspace"))


def test_the_starter_model_belongs_to_the_programme_and_not_to_the_workspace() -> None:
    settings = Settings()
    assert settings.starter_dir.parent.name == "assets"
    assert settings.models_toml.parent == settings.starter_dir.parent
    assert settings.workspace not in settings.starter_dir.parents
