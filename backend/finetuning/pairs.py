"""The pairs that a LoRA learns from: an image with its caption, and which are held out.

They come from a version of a caption set over the corpus, or from a folder with `metadata.jsonl`,
the layout of our exports and of the `datasets` library. Held out is by patient, then lesion, then
near-duplicate group.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError
from sqlalchemy import select

from backend.abc.attributes import Label
from backend.abc.caption_text import CaptionError, clean_caption
from backend.corpus.picture_sets import own_name
from backend.corpus.pictures import Picture
from backend.corpus.recipe import Fit
from backend.corpus.splits import leakproof_groups, split_groups
from backend.corpus.states import PairState
from backend.exports.rows import METADATA, caption_in
from backend.finetuning.config import TrainingData
from backend.finetuning.errors import FinetuningError
from backend.generation.models import ModelEntry
from backend.generation.tokens import token_counts
from backend.review.caption_sets import get_version
from backend.settings import Settings
from backend.store.database import Database
from backend.store.review_tables import CaptionSet, CaptionSetEntry, CaptionSetVersion
from backend.store.tables import CorpusImage, CorpusSubset, CorpusSubsetMember, DuplicatePairRow

NAMED = 20
"""Of what is left out for one reason so many are named."""
TRAINING, VALIDATION = "training", "validation"
NO_FILE, NOT_IN_CORPUS = "the image file is missing", "the image is no longer in the corpus"
OUTSIDE_SUBSET, BROKEN = "outside the subset", "the image cannot be read"
BAD_NOISE = "its lowest_noise is no number from 0 to below 1"
KIN = "of the patient, lesion or pixels of an image held out, but learnt at much noise alone"
NO_CAPTION, TWICE = "the line has no image or no caption", "a second caption for the same image"
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its caption.

    key: the image's id, or its path below the folder; content: SHA-256 that changes with the
    pixels; origin: how the caption came into its set; width, height: how many pixels of its own
    the file carries, fewer than it has where it was enlarged; label: empty where nobody said;
    lowest_noise: learnt at noise levels above it alone, in 0..1 from data to noise, where the
    layout of an image is settled and its texture is not (Daras et al., Ambient Diffusion Omni,
    2025, learn so from images of another quality).
    """

    key: str
    path: Path
    content: str
    caption: str
    label: str
    dataset: str
    origin: str
    patient: str | None
    lesion: str | None
    width: int
    height: int
    held_out: bool = False
    lowest_noise: float = 0.0


@dataclass(frozen=True)
class LeftOut:
    """Why something is no pair, how many there were of it, and the first of them by name."""

    reason: str
    count: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Pairs:
    """All pairs in a fixed order.

    name, version, source_hash: of the caption set, or the folder's name, None and a hash of its
    rows; notes: sentences for the person.
    """

    name: str
    version: int | None
    source_hash: str
    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def training(self) -> tuple[Pair, ...]:
        """Those that are learnt from."""
        return tuple(pair for pair in self.pairs if not pair.held_out)

    @property
    def validation(self) -> tuple[Pair, ...]:
        """Those that are held out."""
        return tuple(pair for pair in self.pairs if pair.held_out)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over which pixels go with which caption on which side: a run's identity."""
        digest = hashlib.sha256(b"dermaflux pairs 1\n")
        for pair in self.pairs:
            values: tuple[object, ...] = (pair.content, pair.caption, pair.held_out)
            values += (pair.lowest_noise,) if pair.lowest_noise else ()
            digest.update(json.dumps(values, ensure_ascii=False).encode() + b"\n")
        return digest.hexdigest()


@dataclass
class _Found:
    """Pairs before they are split, links between near-duplicates, and what was left out."""

    pairs: list[Pair] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, reason: str, name: str) -> None:
        self.left_out.setdefault(reason, []).append(name)


def load_pairs(db: Database, settings: Settings, data: TrainingData) -> Pairs:
    """The pairs that `data` names, with the same ones held out every time.

    Raises:
        FinetuningError: nothing can be learnt from, or the folder cannot be read.
        ReviewMissingError: there is no such caption set or version.
    """
    if data.folder is not None:
        found, rows_hash = _read_folder(data.folder.expanduser())
        name, version, source_hash = data.folder.name, None, rows_hash
    else:
        view = get_version(db, str(data.caption_set), data.version)
        name, version, source_hash = view.name, view.version, view.content_hash
        found = _read_caption_set(db, settings, view.name, view.version, data.subset)
    where = f"The caption set '{name}'" if version else f"The folder {name}"
    if not found.pairs:
        raise FinetuningError(_nothing(where, found.left_out))
    pairs, notes = _held_out(found, data.validation_share)
    left_out = tuple(
        LeftOut(reason, len(names), tuple(names[:NAMED]))
        for reason, names in sorted(found.left_out.items())
    )
    return Pairs(name, version, source_hash, tuple(pairs), left_out, tuple(notes))


def long_captions(pairs: Sequence[Pair], entry: ModelEntry, length: int) -> list[str]:
    """The distinct captions of more tokens than the longest text encoder reads.

    `length` is T5's, in tokens; a model without T5 reads CLIP's 77.

    Raises:
        ModelError: a tokenizer is missing or damaged.
    """
    distinct = list(dict.fromkeys(pair.caption for pair in pairs))
    found = []
    for first in range(0, len(distinct), _AT_ONCE):
        part = distinct[first : first + _AT_ONCE]
        counts = token_counts(entry, part)
        found += [text for text, count in zip(part, counts, strict=True) if count > length]
    return found


def labels_of(pairs: Sequence[Pair]) -> Mapping[str, int]:
    """How many pairs there are of each label; an unknown one is the empty word."""
    return Counter(pair.label for pair in pairs)


def _read_caption_set(
    db: Database, settings: Settings, name: str, version: int, subset: str | None
) -> _Found:
    found = _Found()
    members = _members(db, subset) if subset is not None else None
    same: dict[str, str] = {}
    with db.session() as session:
        for entry, image in session.execute(_entries(name, version)):
            if members is not None and entry.image_id not in members:
                found.leave_out(OUTSIDE_SUBSET, entry.source)
                continue
            if image is None:
                found.leave_out(NOT_IN_CORPUS, entry.source)
                continue
            path = settings.workspace / image.file
            if not path.is_file():
                found.leave_out(NO_FILE, entry.source)
                continue
            found.pairs.append(_corpus_pair(entry, image, path))
            first = same.setdefault(image.pixel_hash, entry.image_id)
            if first != entry.image_id:
                found.duplicates.append((first, entry.image_id))
        rows = select(DuplicatePairRow.first_id, DuplicatePairRow.second_id).where(
            DuplicatePairRow.state != PairState.DISMISSED
        )
        found.duplicates += [(one, other) for one, other in session.execute(rows)]
    return found


def _entries(name: str, version: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return (
        select(CaptionSetEntry, CorpusImage)
        .join(CaptionSetVersion, CaptionSetVersion.id == CaptionSetEntry.version_id)
        .join(CaptionSet, CaptionSet.id == CaptionSetVersion.set_id)
        .outerjoin(CorpusImage, CorpusImage.id == CaptionSetEntry.image_id)
        .where(CaptionSet.name == name, CaptionSetVersion.version == version)
        .order_by(CaptionSetEntry.dataset, CaptionSetEntry.source)
        .execution_options(yield_per=_AT_ONCE)
    )


def _members(db: Database, subset: str) -> frozenset[str]:
    with db.session() as session:
        subset_id = session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == subset))
        if subset_id is None:
            raise FinetuningError(f"There is no subset '{subset}': choose another, or none.")
        statement = select(CorpusSubsetMember.image_id).where(
            CorpusSubsetMember.subset_id == subset_id
        )
        return frozenset(session.scalars(statement))


def _corpus_pair(entry: CaptionSetEntry, image: CorpusImage, path: Path) -> Pair:
    side = _own_side(image.recipe, image.width, image.height)
    return Pair(
        key=image.id,
        path=path,
        content=hashlib.sha256(f"{image.pixel_hash} {image.recipe}".encode()).hexdigest(),
        caption=entry.text,
        label=image.label.value,
        dataset=image.dataset,
        origin=str(entry.origin),
        patient=own_name(image.dataset, image.patient),
        lesion=own_name(image.dataset, image.lesion),
        width=side,
        height=side,
    )


def _own_side(recipe: str, width: int, height: int) -> int:
    """Of the square standard copy: no more than the original had of what the copy shows."""
    side, fit = recipe.split("-")[:2]
    original = max(width, height) if fit == Fit.PAD else min(width, height)
    return min(int(side), original)


def _read_folder(folder: Path) -> tuple[_Found, str]:
    """The pairs of a folder, and a hash over its metadata."""
    found = _Found()
    file = folder / METADATA
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise FinetuningError(
            f"The folder {folder} has no {METADATA} that can be read: name a folder that was "
            "exported as an image folder."
        ) from error
    except UnicodeDecodeError as error:
        raise FinetuningError(f"{file} is not UTF-8: save it so.") from error
    root = folder.resolve()
    seen: set[str] = set()
    same: dict[str, str] = {}
    for number, row in _rows(text):
        pair = _folder_pair(root, number, row, seen, found)
        if pair is not None:
            found.pairs.append(pair)
            first = same.setdefault(pair.content, pair.key)
            if first != pair.key:
                found.duplicates.append((first, pair.key))
    return found, hashlib.sha256(data).hexdigest()


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield number, row if isinstance(row, Mapping) else {}


def _folder_pair(
    root: Path, number: int, row: Mapping[str, object], seen: set[str], found: _Found
) -> Pair | None:
    name = row.get("file_name")
    text = caption_in(row)
    try:
        if not isinstance(name, str) or not name or "\0" in name or not isinstance(text, str):
            raise CaptionError(NO_CAPTION)
        caption = clean_caption(text)
    except CaptionError:
        found.leave_out(NO_CAPTION, f"line {number}")
        return None
    if name in seen:
        found.leave_out(TWICE, name)
        return None
    seen.add(name)
    path = (root / name).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        found.leave_out(NO_FILE, name)
        return None
    lowest = _lowest_noise(row)
    if lowest is None:
        found.leave_out(BAD_NOISE, name)
        return None
    try:
        width, height = _own_size(path, row)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        found.leave_out(BROKEN, name)
        return None
    dataset = _word(row.get("dataset"))
    return Pair(
        key=name,
        path=path,
        content=hashlib.sha256(path.read_bytes()).hexdigest(),
        caption=caption,
        label=_label(row, name),
        dataset=dataset,
        origin=_word(row.get("origin")) or "imported",
        patient=own_name(dataset, _word(row.get("patient"))),
        lesion=own_name(dataset, _word(row.get("lesion"))),
        width=width,
        height=height,
        lowest_noise=lowest,
    )


def _lowest_noise(row: Mapping[str, object]) -> float | None:
    """What a row states, 0 where it states nothing or null; None for what cannot be one."""
    value = row.get("lowest_noise")
    value = 0 if value is None else value
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return float(number) if 0 <= number < 1 else None


def _own_size(path: Path, row: Mapping[str, object]) -> tuple[int, int]:
    """Sides of the upright file, less where its row says that the original had fewer pixels."""
    with Image.open(path) as image:
        width, height = image.size
        if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # turned by a quarter
            width, height = height, width
    sides = [row.get("width"), row.get("height")]
    if all(isinstance(side, int) and side > 0 for side in sides):
        smaller = min(side for side in sides if isinstance(side, int))
        scale = min(1.0, smaller / min(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    return width, height


def _label(row: Mapping[str, object], name: str) -> str:
    said = _word(row.get("label")).casefold() or PurePosixPath(name).parent.name.casefold()
    return said if said in set(Label) else ""


def _word(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int) else ""


def _held_out(found: _Found, share: float) -> tuple[list[Pair], list[str]]:
    """The pairs with those held out marked, and what is to be said about it.

    Those learnt at much noise alone are never held out; kin of what is held out is left out.
    """
    pairs = found.pairs
    whole = {pair.key: pair for pair in pairs if not pair.lowest_noise}
    if len(pairs) == 1:
        note = "There is only one pair: nothing can be held out, so that there is no validation."
        return pairs, [note]
    if share == 0:
        return pairs, ["Nothing is held out, so that there is no validation."]
    if len(whole) < 2:
        note = (
            f"All pairs but {len(whole)} are learnt at much noise alone, and those are never held "
            "out: there is no validation."
        )
        return pairs, [note]
    pictures = [Picture(one.key, one.path, one.patient, one.lesion) for one in pairs]
    groups = leakproof_groups(pictures, found.duplicates)
    dealt = [[key for key in group if key in whole] for group in groups]
    split = split_groups(
        [group for group in dealt if group],
        {key: pair.label for key, pair in whole.items()},
        {TRAINING: 1 - share, VALIDATION: share},
    )
    held = {key for key, name in split.items() if name == VALIDATION}
    if not held or len(held) == len(whole):
        note = (
            f"The {len(whole)} pairs cannot be divided by patient, lesion and near-duplicate so "
            "that some are held out: there is no validation."
        )
        return pairs, [note]
    kin = {key for group in groups if not held.isdisjoint(group) for key in group} - held
    kept = [pair for pair in pairs if pair.key not in kin]
    for pair in pairs:
        if pair.key in kin:
            found.leave_out(KIN, pair.key)
    return [replace(one, held_out=one.key in held) for one in kept], []


def _nothing(where: str, left_out: Mapping[str, Sequence[str]]) -> str:
    if not left_out:
        return f"{where} holds no pair: approve captions first, or choose another."
    reasons = "; ".join(f"{reason} ({len(names):,})" for reason, names in left_out.items())
    return f"{where} has nothing to learn from: {reasons}. Repair that, or choose another."
