"""A model hub over HTTP: what a repository holds, and its files piece by piece.

The addresses are those of the Hugging Face Hub: `api/models/REPO/revision/REVISION?blobs=true`
lists files with size and hash (SHA-256 of large files, the Git blob's SHA-1 of small ones), and
`REPO/resolve/REVISION/PATH` gives a file, from any byte on.
"""

import fnmatch
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.files import explained_files
from backend.generation.errors import DownloadError, TokenError
from backend.generation.layout import is_variant
from backend.generation.registry import Source

CHUNK = 2**20
CONNECT_S, READ_S = 15.0, 60.0
UNAUTHORISED, FORBIDDEN, NOT_FOUND, PARTIAL = 401, 403, 404, 206
PART_SUFFIX = ".part"


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; `sha256`, or else `git_sha1` over Git's header and the content."""

    path: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True)
class Listing:
    """What is to be downloaded: the files at one commit."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)


class _Lfs(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class _Sibling(BaseModel):
    model_config = ConfigDict(extra="ignore")
    rfilename: str
    size: int | None = Field(None, ge=0)
    blobId: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")  # noqa: N815 - the hub's name
    lfs: _Lfs | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    siblings: list[_Sibling]


@contextmanager
def open_hub(url: str, token: str | None) -> Iterator[httpx.Client]:
    """A client for the hub; the token goes to that host alone, also where it sends us elsewhere."""
    headers = {"User-Agent": "DermaFlux-Studio"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    with httpx.Client(
        base_url=f"{url}/", headers=headers, timeout=timeout, follow_redirects=True
    ) as client:
        yield client


def list_files(client: httpx.Client, source: Source, patterns: tuple[str, ...]) -> Listing:
    """The files of a repository that follow the patterns, at the commit that its revision is now.

    Raises:
        TokenError: the repository is gated, and the token missing or refused.
        DownloadError: no connection, no such repository, or an answer that cannot be used.
    """
    with _explained(source.repo):
        answer = client.get(
            f"api/models/{source.repo}/revision/{source.revision}", params={"blobs": "true"}
        )
        _check(answer, source.repo)
    try:
        found = _Answer.model_validate_json(answer.content)
    except ValidationError as error:
        raise DownloadError(
            f"The hub's answer about {source.repo} cannot be read: check DERMAFLUX_HUB_URL."
        ) from error
    files = [_file(source.repo, sibling) for sibling in found.siblings]
    wanted = tuple(file for file in files if _is_wanted(file.path, patterns))
    if not wanted:
        raise DownloadError(
            f"The repository {source.repo} holds none of the files that are needed, such as "
            f"{patterns[0]}: it is not in diffusers layout."
        )
    return Listing(source.repo, found.sha, wanted)


def fetch(
    client: httpx.Client,
    listing: Listing,
    file: HubFile,
    folder: Path,
    on_bytes: Callable[[int], None],
) -> None:
    """Bring one file into the folder, from where an earlier attempt was cut off.

    `on_bytes` is told how many bytes of the file are there; what it raises ends the attempt, and
    what has come stays for the next.

    Raises:
        TokenError, DownloadError: as `list_files`; also cut off, or a wrong hash: then the file
            is removed.
        FileError: the disk refuses.
    """
    target = folder / file.path
    if target.is_file():
        on_bytes(file.size)
        return
    part = target.with_name(target.name + PART_SUFFIX)
    with explained_files(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not part.is_file() or part.stat().st_size > file.size:
            part.write_bytes(b"")
    if part.stat().st_size < file.size:
        _receive(client, listing, file, part, on_bytes)
    if not has_hash(part, file):
        with explained_files(part):
            part.unlink()
        raise DownloadError(
            f"The file {file.path} of {listing.repo} is not what the hub says it is (its hash is "
            "wrong), and was removed: download it again."
        )
    with explained_files(target):
        part.replace(target)


def has_hash(path: Path, file: HubFile) -> bool:
    """Whether a file has the size and the hash that the hub gave; reads all of it."""
    if path.stat().st_size != file.size:
        return False
    if file.sha256 is not None:
        return _digest(path, hashlib.sha256()) == file.sha256
    header = f"blob {file.size}\0".encode()
    return _digest(path, hashlib.sha1(header, usedforsecurity=False)) == file.git_sha1


def _receive(
    client: httpx.Client,
    listing: Listing,
    file: HubFile,
    part: Path,
    on_bytes: Callable[[int], None],
) -> None:
    have = part.stat().st_size
    on_bytes(have)
    address = f"{listing.repo}/resolve/{listing.commit}/{file.path}"
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    with (
        _explained(listing.repo),
        client.stream("GET", address, headers=headers) as answer,
    ):
        _check(answer, listing.repo)
        resumed = answer.status_code == PARTIAL and _starts_at(answer, have)
        have = have if resumed else 0
        with explained_files(part), part.open("ab" if resumed else "wb") as stream:
            for piece in answer.iter_raw():
                stream.write(piece)
                have += len(piece)
                if have > file.size:
                    break
                on_bytes(have)
    if have < file.size:
        raise DownloadError(
            f"The download of {file.path} was cut off after {have:,} of {file.size:,} bytes: "
            "press Retry, it goes on from there."
        )


def _starts_at(answer: httpx.Response, first: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {first}-")


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise DownloadError(
            f"The hub did not answer in time about {repo}: press Retry, it goes on where it was."
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"The connection to the hub broke while {repo} was read: check the network, then "
            "press Retry, it goes on where it was."
        ) from error


def _check(answer: httpx.Response, repo: str) -> None:
    status = answer.status_code
    if status == UNAUTHORISED:
        raise TokenError(
            f"The hub wants a token for {repo}, or refused the one it got: make one with read "
            "access in your account there, accept the licence on the model's page, and give it in "
            "the Models tab or with --token-file."
        )
    if status == FORBIDDEN:
        raise DownloadError(
            f"The hub knows your token, but your account may not read {repo} yet: accept its "
            "licence on the model's page, then download again."
        )
    if status == NOT_FOUND:
        raise DownloadError(f"The hub has no {repo} at that revision: check its name.")
    if not answer.is_success:
        raise DownloadError(
            f"The hub answered {status} about {repo}: wait a while, then press Retry."
        )


def _file(repo: str, sibling: _Sibling) -> HubFile:
    path = PurePosixPath(sibling.rfilename)
    if path.is_absolute() or ".." in path.parts or "\\" in sibling.rfilename:
        raise DownloadError(
            f"The repository {repo} names the file {sibling.rfilename}, which would lie outside "
            "its folder: nothing of it is downloaded."
        )
    size = sibling.lfs.size if sibling.lfs else sibling.size
    if size is None or (sibling.lfs is None and sibling.blobId is None):
        raise DownloadError(
            f"The hub gives no size or hash for {path} of {repo}, so that it could not be "
            "checked: nothing is downloaded."
        )
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    return HubFile(path.as_posix(), size, sha256, None if sha256 else sibling.blobId)


def _is_wanted(path: str, patterns: tuple[str, ...]) -> bool:
    matches = any(
        path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)
        for pattern in patterns
    )
    return matches and not is_variant(PurePosixPath(path).name)


def _digest(path: Path, digest: "hashlib._Hash") -> str:
    with explained_files(path), path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
