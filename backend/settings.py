"""Everything that can be set from outside, read once at an entry point and handed down."""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL

from backend.errors import DermaFluxError

PREFIX = "DERMAFLUX_"
TEST_PREFIX = "DERMAFLUX_TEST_"
REPOSITORY = Path(__file__).resolve().parent.parent


class SettingsError(DermaFluxError):
    """A setting that cannot be used, named as the person wrote it."""


class Settings(BaseSettings):
    """One workspace folder and a few choices; each field is also a DERMAFLUX_* variable.

    `model_folders` is split at the path separator of the system, `allowed_hosts` at commas.
    `text_cache_gb` is how much disk encoded captions may take; 0 keeps none.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    workspace: Path = Field(Path("workspace"), validate_default=True)
    database_url: str | None = Field(None, repr=False)
    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, ge=1, le=1024)
    model_folders: Annotated[tuple[Path, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    runner: Literal["local", "ray"] = "local"
    ray_address: str = "http://127.0.0.1:8265"
    leakage: Literal["report", "refuse"] = "report"
    hub_url: str = "https://huggingface.co"
    text_cache_gb: float = Field(4.0, ge=0)

    @field_validator("workspace")
    @classmethod
    def _absolute(cls, workspace: Path) -> Path:
        return workspace.expanduser().absolute()

    @field_validator("model_folders", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(Path(part).expanduser() for part in value.split(os.pathsep) if part.strip())

    @field_validator("model_folders")
    @classmethod
    def _absolute_folders(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder.absolute() for folder in folders)

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("hub_url")
    @classmethod
    def _web_address(cls, address: str) -> str:
        if not re.fullmatch(r"https?://[\w.:\[\]-]+(/[\w./-]*)?", address):
            raise ValueError("write an address such as https://huggingface.co")
        return address.rstrip("/")

    @field_validator("ray_address")
    @classmethod
    def _jobs_address(cls, address: str) -> str:
        if not re.fullmatch(r"https?://([\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}/?", address):
            raise ValueError("write the address of Ray's dashboard, such as http://127.0.0.1:8265")
        return address.rstrip("/")

    @property
    def database(self) -> str:
        """SQLAlchemy URL, password included; a SQLite file in the workspace unless set."""
        if self.database_url is not None:
            return self.database_url
        path = str(self.workspace / "studio.db")
        return URL.create("sqlite", database=path).render_as_string(hide_password=False)

    @property
    def images_dir(self) -> Path:
        """Generated images, never changed once written."""
        return self.workspace / "images"

    @property
    def thumbnails_dir(self) -> Path:
        """Small copies for the gallery; can be made again from the images."""
        return self.workspace / "thumbnails"

    @property
    def jobs_dir(self) -> Path:
        """One folder a job, for previews."""
        return self.workspace / "jobs"

    @property
    def exports_dir(self) -> Path:
        """What a person asked to take away."""
        return self.workspace / "exports"

    @property
    def designs_dir(self) -> Path:
        """Caption tables that builds follow, named by their content."""
        return self.workspace / "designs"

    @property
    def sets_dir(self) -> Path:
        """The card, samples and members of each synthetic set, one folder a build."""
        return self.workspace / "sets"

    @property
    def corpus_dir(self) -> Path:
        """Standardised copies of imported images and their thumbnails, named by content."""
        return self.workspace / "corpus"

    @property
    def models_dir(self) -> Path:
        """Models in diffusers layout, one folder each."""
        return self.workspace / "models"

    @property
    def loras_dir(self) -> Path:
        """The files of the LoRA shelf, named by what is in them."""
        return self.workspace / "loras"

    @property
    def fingerprints_file(self) -> Path:
        """Hashes and tiny thumbnails of the images whose duplicates were sought; made again."""
        return self.workspace / "fingerprints.db"

    @property
    def text_cache_dir(self) -> Path:
        """Encoded captions under hashes; can be made again from the captions."""
        return self.workspace / "cache" / "text-embeddings"

    @property
    def logs_dir(self) -> Path:
        """JSON lines, one file a process."""
        return self.workspace / "logs"

    @property
    def starter_dir(self) -> Path:
        """The embedded starter model."""
        return REPOSITORY / "assets" / "starter"

    @property
    def embedded_loras_dir(self) -> Path:
        """LoRAs that come with the studio, one folder each."""
        return self.starter_dir / "loras"

    @property
    def models_toml(self) -> Path:
        """What the studio knows about models by name."""
        return REPOSITORY / "assets" / "models.toml"

    @property
    def own_models_toml(self) -> Path:
        """What the user has added to that."""
        return self.workspace / "models.toml"

    @property
    def hub_token_file(self) -> Path:
        """The token for gated models, readable by its owner alone."""
        return self.workspace / "secrets" / "hub-token"

    @property
    def database_url_file(self) -> Path:
        """The database's address for jobs on a cluster, readable by its owner alone."""
        return self.workspace / "secrets" / "database-url"

    def environment(self) -> dict[str, str]:
        """These settings as variables, so that another process reads the same."""
        separators = {"model_folders": os.pathsep, "allowed_hosts": ","}
        variables = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple):
                value = separators[name].join(map(str, value))
            if value is not None and value != "":
                variables[PREFIX + name.upper()] = str(value)
        return variables

    def process_environment(self) -> dict[str, str]:
        """The environment of another process with exactly these settings."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(PREFIX) or name.upper().startswith(TEST_PREFIX)
        }
        return kept | self.environment()


def load_settings() -> Settings:
    """The settings of this process, from its environment.

    Raises SettingsError for a variable that is unknown or holds a value that cannot be used.
    """
    _refuse_unknown(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def with_database_from(settings: Settings, file: Path | None) -> Settings:
    """The settings with the database whose address is in a file, where one is given.

    Raises SettingsError where it cannot be read.
    """
    if file is None:
        return settings
    try:
        return settings.model_copy(update={"database_url": file.read_text("utf-8")})
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The address of the database cannot be read from {file}: check that this machine "
            "sees the workspace."
        ) from error


def prepare_workspace(settings: Settings) -> None:
    """Make the folders of the workspace, and try that they can be written.

    Raises SettingsError where they cannot.
    """
    folders = (
        settings.workspace,
        settings.images_dir,
        settings.thumbnails_dir,
        settings.jobs_dir,
        settings.exports_dir,
        settings.models_dir,
        settings.loras_dir,
        settings.logs_dir,
    )
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.workspace):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"The workspace {settings.workspace} cannot be written ({reason}): "
            "set DERMAFLUX_WORKSPACE to a folder of yours with free space."
        ) from error


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(
        name
        for name in map(str.upper, environment)
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in known
    )
    if unknown:
        raise SettingsError(
            f"There is no setting {unknown[0]}: unset it, or use one of {', '.join(sorted(known))}."
        )


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = PREFIX + str(first["loc"][0]).upper()
    problem = first["msg"].removeprefix("Value error, ")
    return f"{name} cannot be used: {problem[:1].lower()}{problem[1:].rstrip('.')}."
