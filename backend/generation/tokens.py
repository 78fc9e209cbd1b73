"""How many tokens a caption takes in each text encoder, without loading an encoder."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from backend.generation.errors import ModelError
from backend.generation.families import CLIP_LENGTH
from backend.generation.models import ModelEntry

CLIP_LIMIT = CLIP_LENGTH
_CLIP_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
_CLIP_START, _CLIP_END = "<|startoftext|>", "<|endoftext|>"


def count_tokens(entry: ModelEntry, caption: str) -> tuple[int, int | None]:
    """Tokens of the caption for (CLIP, T5), start and end marks included, nothing cut off.

    CLIP reads the first `CLIP_LIMIT`, T5 the model's `max_sequence_length`; Stable Diffusion 1.x
    has no T5.

    Raises:
        ModelError: a tokenizer is missing or damaged.
    """
    clip = len(_tokenizer(entry.folder / "tokenizer").encode(caption).ids)
    if "tokenizer_2" not in entry.kind.tokenizers:
        return clip, None
    return clip, len(_tokenizer(entry.folder / "tokenizer_2").encode(caption).ids)


def token_counts(entry: ModelEntry, captions: Sequence[str]) -> list[int]:
    """Tokens of each caption for the encoder of the model that reads the most: T5, else CLIP.

    Raises:
        ModelError: a tokenizer is missing or damaged.
    """
    name = "tokenizer_2" if "tokenizer_2" in entry.kind.tokenizers else "tokenizer"
    encoded = _tokenizer(entry.folder / name).encode_batch(list(captions))
    return [len(one.ids) for one in encoded]


def _tokenizer(folder: Path) -> Tokenizer:
    files = [folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt")]
    changed = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
    return _load(folder, changed)


@lru_cache(maxsize=8)
def _load(folder: Path, changed: tuple[int, ...]) -> Tokenizer:  # noqa: ARG001 - part of the key
    try:
        if (folder / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        else:
            tokenizer = _clip_tokenizer(folder)
    except Exception as error:  # tokenizers raises nothing narrower
        raise ModelError(
            f"The {folder.name} of the model {folder.parent.name} is missing or damaged: "
            "copy or download the folder again."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _clip_tokenizer(folder: Path) -> Tokenizer:
    """CLIP's tokenizer from the two files of its first release, which FLUX.1-dev ships."""
    bpe = models.BPE.from_file(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        unk_token=_CLIP_END,
        end_of_word_suffix="</w>",
        continuing_subword_prefix="",
    )
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    start, end = tokenizer.token_to_id(_CLIP_START), tokenizer.token_to_id(_CLIP_END)
    if start is None or end is None:
        raise ModelError(f"The tokenizer of the model {folder.parent.name} has no end of text.")
    tokenizer.post_processor = processors.RobertaProcessing(
        (_CLIP_END, end), (_CLIP_START, start), trim_offsets=False, add_prefix_space=False
    )
    return tokenizer
