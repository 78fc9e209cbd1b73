"""Encoded captions kept in the workspace, so that the text encoders need not be loaded again.

For FLUX, whose encodings depend on the caption and its length alone (T5 and pooled CLIP).
One safetensors file a caption, named by a hash: no caption is stored in plain text. What was not
used for longest is dropped when the cache grows beyond its limit.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.files import FileError, read_file, remove_file, write_file
from backend.generation.denoising import TextEmbeddings
from backend.generation.layout import weight_files
from backend.generation.models import ModelEntry, remembered_hash
from backend.generation.weights import hash_tensors

SUFFIX = ".safetensors"
VERSION = 1


@dataclass(frozen=True)
class CacheContents:
    """What the cache holds: captions, their bytes, and when the one unused longest was used."""

    captions: int
    bytes: int
    unused_since: datetime | None


@dataclass(frozen=True)
class EmbeddingStore:
    """A folder of at most `limit` bytes; `identity` names everything else that decides the numbers.

    See `text_identity`; device and precision belong to it too.
    """

    folder: Path
    limit: int
    identity: str

    def read(self, caption: str, length: int) -> TextEmbeddings | None:
        """What is kept of a caption at a T5 length; None where nothing is, or it is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        file = self._file(caption, length)
        if not file.is_file():
            return None
        try:
            tensors = load(read_file(file))
            embeddings = TextEmbeddings(tensors["prompt"], tensors["pooled"], length)
        except FileError:
            return None
        except (SafetensorError, KeyError):
            remove_file(file)
            return None
        with contextlib.suppress(OSError):
            os.utime(file)
        return embeddings

    def write(self, caption: str, embeddings: TextEmbeddings) -> None:
        """Keep an encoded caption, and drop those unused longest beyond the limit.

        Raises:
            FileError: disk full, or the workspace cannot be written.
        """
        from safetensors.torch import save

        both = {"prompt": embeddings.prompt, "pooled": embeddings.pooled}
        data = save({name: part.contiguous() for name, part in both.items() if part is not None})
        if len(data) > self.limit:
            return
        write_file(self._file(caption, embeddings.max_sequence_length), data)
        self._trim()

    def _file(self, caption: str, length: int) -> Path:
        key = json.dumps([VERSION, self.identity, length, caption])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}{SUFFIX}"

    def _trim(self) -> None:
        kept = 0
        for file, facts in sorted(_files(self.folder), key=lambda item: -item[1].st_mtime_ns):
            kept += facts.st_size
            if kept > self.limit:
                remove_file(file)


def text_identity(entry: ModelEntry, *, cache: Path) -> str:
    """SHA-256 over the tensors of the text encoders and over the files that say how to use them.

    `cache` is a folder that remembers the answer for files of the same size and time of change.

    Raises:
        ModelError: weights are missing or damaged.
    """
    names = entry.kind.text_encoders
    encoders = [(name, weight_files(entry.folder / name)) for name in names]
    texts = [
        file
        for name in (*names, *entry.kind.tokenizers)
        for file in sorted((entry.folder / name).iterdir())
        if file.is_file() and (name in entry.kind.tokenizers or file.name == "config.json")
    ]

    def compute() -> str:
        digest = hashlib.sha256(hash_tensors(encoders).encode())
        for file in texts:
            content = hashlib.sha256(read_file(file)).hexdigest()
            digest.update(f"{file.parent.name}/{file.name}:{content}:".encode())
        return digest.hexdigest()

    weights = [file for _, files in encoders for file in files]
    return remembered_hash([*weights, *texts], compute, cache=cache)


def cache_contents(folder: Path) -> CacheContents:
    """What lies in the cache now."""
    facts = [facts for _, facts in _files(folder)]
    oldest = min((fact.st_mtime for fact in facts), default=None)
    since = None if oldest is None else datetime.fromtimestamp(oldest, UTC)
    return CacheContents(len(facts), sum(fact.st_size for fact in facts), since)


def clear_cache(folder: Path) -> CacheContents:
    """Remove all encoded captions; returns what there was.

    Raises:
        FileError: the file system refuses.
    """
    before = cache_contents(folder)
    for file, _ in _files(folder):
        remove_file(file)
    return before


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Another worker may drop a file while this one looks."""
    for file in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            yield file, file.stat()
