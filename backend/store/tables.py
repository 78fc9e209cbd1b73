"""The tables: jobs, images, builds, corpus, duplicates, captions, LoRAs and accounts."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    Modality,
    Site,
    SkinTone,
)
from backend.captioning.findings import Check, Severity
from backend.corpus.states import PairState
from backend.generation.profile import Profile
from backend.jobs.states import JobState
from backend.store.columns import SkinToneColumn, UtcDateTime, now, words

KEY_LENGTH = 40
NAME_LENGTH = 200
FILE_LENGTH = 500


class Role(StrEnum):
    """What an account may do."""

    ADMIN = "admin"
    RESEARCHER = "researcher"
    REVIEWER = "reviewer"


class ColourSource(StrEnum):
    """Whether a colour was asked for or found in the pixels."""

    REQUESTED = "requested"
    MEASURED = "measured"


class Verdict(StrEnum):
    """What became of a candidate of a dataset build."""

    PASSED = "passed"  # fits the rules; the choice among its like is not made yet
    KEPT = "kept"
    BEATEN = "beaten"  # fits the rules, but another of its place agreed better
    NO_LESION = "no_lesion"
    UNSURE = "unsure"
    DUPLICATE = "duplicate"


class Table(DeclarativeBase):
    """Base of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class StatedColumns:
    """What was asked for: the fields of LesionAttributes except its colours, as columns."""

    asymmetry: Mapped[Asymmetry | None] = mapped_column(words(Asymmetry))
    border: Mapped[Border | None] = mapped_column(words(Border))
    edge: Mapped[Edge | None] = mapped_column(words(Edge))
    pattern: Mapped[ColourPattern | None] = mapped_column(words(ColourPattern))
    label: Mapped[Label | None] = mapped_column(words(Label))
    diagnosis: Mapped[Diagnosis | None] = mapped_column(words(Diagnosis))
    modality: Mapped[Modality | None] = mapped_column(words(Modality))
    skin_tone: Mapped[SkinTone | None] = mapped_column(SkinToneColumn)
    site: Mapped[Site | None] = mapped_column(words(Site))
    diameter_mm: Mapped[float | None]


class Job(Table):
    """One piece of long work; `rate` is steps per second, `worker_*` say who runs it.

    `queued_at` orders the queue: a retry goes to its end.
    """

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_queue", "state", "queued_at", "id"),)

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), index=True)
    title: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[JobState] = mapped_column(words(JobState))
    attempt: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    owner: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    worker_host: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    worker_pid: Mapped[int | None]
    worker_started: Mapped[float | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    message: Mapped[str] = mapped_column(Text, default="")
    rate: Mapped[float | None]
    eta_s: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)
    cancel_requested: Mapped[bool] = mapped_column(default=False)


class JobLog(Table):
    """What a job had to say, for the person who started it."""

    __tablename__ = "job_log"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    level: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)


class WorkerProcess(Table):
    """A worker that lives, or lived until `seen_at`."""

    __tablename__ = "worker"
    __table_args__ = (Index("ix_worker_seen_at", "seen_at"),)

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    host: Mapped[str] = mapped_column(String(NAME_LENGTH))
    pid: Mapped[int]
    started: Mapped[float]
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ready: Mapped[bool] = mapped_column(default=False)
    job_id: Mapped[str | None] = mapped_column(String(KEY_LENGTH))


class Image(StatedColumns, Table):
    """A generated image: its files (relative to the workspace), what was asked, what was measured.

    It outlives its job, hence no foreign key to it. `request` is the GenerationRequest of this
    image alone. `deleted_at` hides it until it is restored or purged.
    """

    __tablename__ = "image"
    __table_args__ = (
        Index(
            "ix_image_gallery",
            "deleted_at",
            "created_at",
            "id",
            "starred",
            "label",
            "model",
            "job_id",
            "asymmetry",
            "border",
            "skin_tone",
            "colour_mask",
            "measured_asymmetry",
            "measured_border",
            "measured_skin_tone",
            "measured_colour_mask",
            "profile",
        ),
    )

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(KEY_LENGTH), index=True)
    position: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    file: Mapped[str] = mapped_column(String(FILE_LENGTH))
    thumbnail: Mapped[str] = mapped_column(String(FILE_LENGTH))
    width: Mapped[int]
    height: Mapped[int]
    pixel_hash: Mapped[str] = mapped_column(String(64), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    caption: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(NAME_LENGTH))
    seed: Mapped[int] = mapped_column(BigInteger)
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    profile: Mapped[Profile] = mapped_column(words(Profile), default=Profile.EXACT)
    colour_mask: Mapped[int] = mapped_column(default=0)
    measured_asymmetry: Mapped[Asymmetry | None] = mapped_column(words(Asymmetry))
    measured_border: Mapped[Border | None] = mapped_column(words(Border))
    measured_edge: Mapped[Edge | None] = mapped_column(words(Edge))
    measured_pattern: Mapped[ColourPattern | None] = mapped_column(words(ColourPattern))
    measured_skin_tone: Mapped[SkinTone | None] = mapped_column(SkinToneColumn)
    measured_colour_mask: Mapped[int] = mapped_column(default=0)
    measured_confidence: Mapped[float | None]
    found: Mapped[bool] = mapped_column(default=False)
    starred: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    colours: Mapped[list["ImageColour"]] = relationship(
        order_by="ImageColour.source, ImageColour.rank",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="selectin",
    )


class ImageColour(Table):
    """A colour of an image; rank 0 is the dominant one."""

    __tablename__ = "image_colour"
    __table_args__ = (Index("ix_image_colour_source_colour", "source", "colour"),)

    image_id: Mapped[str] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[ColourSource] = mapped_column(words(ColourSource), primary_key=True)
    colour: Mapped[Colour] = mapped_column(words(Colour), primary_key=True)
    rank: Mapped[int]


class ImageSet(Table):
    """A named set of images; `note` says what it is for."""

    __tablename__ = "image_set"

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    note: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class ImageSetMember(Table):
    """An image in a set; a deleted image stays in it, and is back when it is restored."""

    __tablename__ = "image_set_member"

    set_id: Mapped[str] = mapped_column(
        ForeignKey("image_set.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[str] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class BuildImage(Table):
    """A candidate of a dataset build and what was decided; the kept ones are the set.

    `position` is its place in the set, `attempt` counts the candidates of that place. It outlives
    its job, as the images do. `thumbnail` (24 x 24 RGB bytes) is there while it may be compared.
    """

    __tablename__ = "build_image"
    __table_args__ = (Index("ix_build_image_verdict", "job_id", "verdict"),)

    job_id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[Label | None] = mapped_column(words(Label))
    seed: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[Verdict] = mapped_column(words(Verdict))
    agreement: Mapped[float]
    confidence: Mapped[float]
    measured: Mapped[dict[str, Any]] = mapped_column(JSON)
    pixel_hash: Mapped[str] = mapped_column(String(64))
    thumbnail: Mapped[bytes | None]
    image_id: Mapped[str | None] = mapped_column(String(KEY_LENGTH), index=True)


class CatalogueColumns:
    """What is known of an imported image, whatever it is labelled.

    `target` is the dataset's own label where it has one; `rule` the version of the label rule.
    """

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64))
    source_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    source_path: Mapped[str] = mapped_column(Text)
    patient: Mapped[str] = mapped_column(String(NAME_LENGTH))
    lesion: Mapped[str] = mapped_column(String(NAME_LENGTH))
    diagnosis: Mapped[str] = mapped_column(String(NAME_LENGTH))
    diagnosis_given: Mapped[str] = mapped_column(String(NAME_LENGTH))
    target: Mapped[str] = mapped_column(String(NAME_LENGTH), default="")
    rule: Mapped[str] = mapped_column(String(32))
    modality: Mapped[str] = mapped_column(String(32))
    skin_tone: Mapped[str] = mapped_column(String(32))
    site: Mapped[str] = mapped_column(String(32))
    age: Mapped[int | None]
    sex: Mapped[str] = mapped_column(String(32))
    split: Mapped[str] = mapped_column(String(32))
    synthetic: Mapped[bool]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    byte_hash: Mapped[str] = mapped_column(String(64))
    pixel_hash: Mapped[str] = mapped_column(String(64))
    recipe: Mapped[str] = mapped_column(String(64))
    file: Mapped[str] = mapped_column(String(FILE_LENGTH))
    thumbnail: Mapped[str] = mapped_column(String(FILE_LENGTH))


class CorpusImage(CatalogueColumns, Table):
    """A real image (or one of a foreign synthetic set) that was imported, and its standard copy.

    `cell` names the combination of its filtered columns, whose images CorpusCell counts.
    `width` and `height` are those of the original; `file` and `thumbnail` lie in the workspace,
    are named by content and may be shared by equal images. Empty text means: not said.
    """

    __tablename__ = "corpus_image"
    __table_args__ = (
        Index("ix_corpus_image_cell", "cell", "source_id"),
        Index("uq_corpus_image_dataset", "dataset", "source_id", unique=True),
        Index("ix_corpus_image_patient", "patient"),
        Index("ix_corpus_image_lesion", "lesion"),
        Index("ix_corpus_image_source_id", "source_id"),
        Index("ix_corpus_image_byte_hash", "byte_hash"),
        Index("ix_corpus_image_pixel_hash", "pixel_hash"),
    )

    label: Mapped[Label] = mapped_column(words(Label))
    cell: Mapped[str] = mapped_column(String(32))


class CorpusDropped(CatalogueColumns, Table):
    """An imported image that the rule of its dataset drops: another rule may bring it back.

    It stands apart, so that no page, count or export can hold it.
    """

    __tablename__ = "corpus_dropped"
    __table_args__ = (
        Index("uq_corpus_dropped_dataset", "dataset", "source_id", unique=True),
        Index("ix_corpus_dropped_ruling", "dataset", "diagnosis", "target"),
    )


class LabelRuleRow(Table):
    """A version of the label rule of a dataset; 0 is that of its record, the highest one counts.

    `rule` is its canonical JSON, `hash` what images carry.
    """

    __tablename__ = "label_rule"

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rule: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(32))
    author: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    note: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class CorpusCell(Table):
    """How many images of the corpus share these values: what every count and page starts from.

    `decade` is the age rounded down to tens, -1 where it is not said.
    """

    __tablename__ = "corpus_cell"
    __table_args__ = (
        Index(
            "ix_corpus_cell_order",
            *("dataset", "split", "label", "diagnosis", "modality", "skin_tone", "site"),
            *("decade", "sex", "synthetic", "id", "images"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64))
    split: Mapped[str] = mapped_column(String(32))
    label: Mapped[Label] = mapped_column(words(Label))
    diagnosis: Mapped[str] = mapped_column(String(NAME_LENGTH))
    target: Mapped[str] = mapped_column(String(NAME_LENGTH), default="")
    modality: Mapped[str] = mapped_column(String(32))
    skin_tone: Mapped[str] = mapped_column(String(32))
    site: Mapped[str] = mapped_column(String(32))
    decade: Mapped[int]
    sex: Mapped[str] = mapped_column(String(32))
    synthetic: Mapped[bool]
    images: Mapped[int]


class CorpusLeftOut(Table):
    """What the last import of a dataset left out; `place` is a path, or a table and its line."""

    __tablename__ = "corpus_left_out"
    __table_args__ = (Index("ix_corpus_left_out_reason", "dataset", "reason"),)

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)


class CorpusSubset(Table):
    """A named choice of images of the corpus; `recipe` is how it was chosen."""

    __tablename__ = "corpus_subset"

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class CorpusSubsetMember(Table):
    """An image in a subset; it stays a member where the image is imported again."""

    __tablename__ = "corpus_subset_member"

    subset_id: Mapped[str] = mapped_column(
        ForeignKey("corpus_subset.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str] = mapped_column(String(KEY_LENGTH), index=True)


class Caption(StatedColumns, Table):
    """A caption kept in the library; `deleted_at` hides it until it is restored."""

    __tablename__ = "caption"
    __table_args__ = (
        Index("ix_caption_newest", "deleted_at", "last_used_at", "id"),
        Index("ix_caption_asymmetry", "asymmetry"),
        Index("ix_caption_border", "border"),
        Index("ix_caption_label", "label"),
        Index("ix_caption_skin_tone", "skin_tone"),
    )

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    text_hash: Mapped[str] = mapped_column(String(64), unique=True)
    style: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    uses: Mapped[int] = mapped_column(default=0)
    starred: Mapped[bool] = mapped_column(default=False, index=True)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    colours: Mapped[list["CaptionColour"]] = relationship(
        order_by="CaptionColour.rank",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="selectin",
    )


class ImageCaption(StatedColumns, Table):
    """What a captioner, by one version of its prompt, says of an image of the corpus.

    Text is empty where it could not tell; `unsure` says why. `worst` is the gravest finding.
    """

    __tablename__ = "image_caption"
    __table_args__ = (
        Index("uq_image_caption_image", "image_id", "captioner", "prompt", unique=True),
        Index("ix_image_caption_worst", "captioner", "prompt", "worst"),
    )

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    image_id: Mapped[str] = mapped_column(String(KEY_LENGTH))
    captioner: Mapped[str] = mapped_column(String(NAME_LENGTH))
    prompt: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    unsure: Mapped[str] = mapped_column(Text)
    colour_mask: Mapped[int]
    worst: Mapped[Severity | None] = mapped_column(words(Severity))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    findings: Mapped[list["CaptionFinding"]] = relationship(
        order_by="CaptionFinding.position",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="selectin",
    )


class CaptionerVersionRow(Table):
    """What is behind a version of a captioner, which is `prompt` in ImageCaption, as text."""

    __tablename__ = "captioner_version"

    captioner: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    identity: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CaptionFinding(Table):
    """What speaks against a caption; `spans` are pairs of character places."""

    __tablename__ = "caption_finding"
    __table_args__ = (Index("ix_caption_finding_check", "check"),)

    caption_id: Mapped[str] = mapped_column(
        ForeignKey("image_caption.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    check: Mapped[Check] = mapped_column(words(Check))
    severity: Mapped[Severity] = mapped_column(words(Severity))
    reason: Mapped[str] = mapped_column(Text)
    spans: Mapped[list[list[int]]] = mapped_column(JSON)


class ImageMeasurement(Table):
    """What the meter saw on an image of the corpus; nothing where no lesion was found.

    `*_confidence` and the probabilities of the colours are in 0..1. The pixels are those of
    `pixel_hash`: where the image has others, it is measured again.
    """

    __tablename__ = "image_measurement"

    image_id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    pixel_hash: Mapped[str] = mapped_column(String(64))
    found: Mapped[bool]
    asymmetry: Mapped[Asymmetry | None] = mapped_column(words(Asymmetry))
    border: Mapped[Border | None] = mapped_column(words(Border))
    edge: Mapped[Edge | None] = mapped_column(words(Edge))
    pattern: Mapped[ColourPattern | None] = mapped_column(words(ColourPattern))
    skin_tone: Mapped[SkinTone | None] = mapped_column(SkinToneColumn)
    dominant: Mapped[Colour | None] = mapped_column(words(Colour))
    colour_mask: Mapped[int]
    asymmetry_confidence: Mapped[float]
    border_confidence: Mapped[float]
    edge_confidence: Mapped[float]
    pattern_confidence: Mapped[float]
    colours_confidence: Mapped[float]
    skin_tone_confidence: Mapped[float]
    white: Mapped[float]
    red: Mapped[float]
    light_brown: Mapped[float]
    dark_brown: Mapped[float]
    blue_gray: Mapped[float]
    black: Mapped[float]


class CaptionColour(Table):
    """A colour that a caption states; rank 0 is the dominant one."""

    __tablename__ = "caption_colour"
    __table_args__ = (Index("ix_caption_colour_colour", "colour"),)

    caption_id: Mapped[str] = mapped_column(
        ForeignKey("caption.id", ondelete="CASCADE"), primary_key=True
    )
    colour: Mapped[Colour] = mapped_column(words(Colour), primary_key=True)
    rank: Mapped[int]


class Lora(Table):
    """A LoRA of the shelf: its file (relative to the workspace) and what was read from it.

    Images outlive it: they keep its name and hash in their request, and no row points here.
    """

    __tablename__ = "lora"

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    title: Mapped[str] = mapped_column(String(NAME_LENGTH))
    file: Mapped[str] = mapped_column(String(FILE_LENGTH))
    layout: Mapped[str] = mapped_column(String(32))
    family: Mapped[str] = mapped_column(String(32), index=True)
    ranks: Mapped[list[int]] = mapped_column(JSON)
    targets: Mapped[str] = mapped_column(Text)
    parameters: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    tensor_hash: Mapped[str] = mapped_column(String(64), unique=True)
    base: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    t5_length: Mapped[int | None]
    added_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class DuplicatePairRow(Table):
    """Two images that hold one picture, by ids in order, and what a person decided.

    No foreign keys: the ids are those of whatever was searched, a catalogue or a folder.
    """

    __tablename__ = "duplicate_pair"
    __table_args__ = (Index("ix_duplicate_pair_state", "state", "score"),)

    first_id: Mapped[str] = mapped_column(String(FILE_LENGTH), primary_key=True)
    second_id: Mapped[str] = mapped_column(String(FILE_LENGTH), primary_key=True, index=True)
    likeness: Mapped[str] = mapped_column(String(32))
    score: Mapped[float]
    transform: Mapped[str] = mapped_column(String(NAME_LENGTH))
    state: Mapped[PairState] = mapped_column(words(PairState))
    found_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    decided_by: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Account(Table):
    """A person who may log in; `name` is lower case."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    role: Mapped[Role] = mapped_column(words(Role))
    password_hash: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    disabled: Mapped[bool] = mapped_column(default=False)
