"""What is declared of a dataset: its tables, layout, label rule, scale, licence and source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from backend.corpus.labels import LabelRule


class Field(StrEnum):
    """What a column can tell of an image."""

    IMAGE = "image"
    LESION = "lesion"
    PATIENT = "patient"
    DIAGNOSIS = "diagnosis"
    TARGET = "target"
    AGE = "age"
    SEX = "sex"
    SITE = "site"
    SKIN_TONE = "skin_tone"
    MODALITY = "modality"
    SPLIT = "split"


Columns = Mapping[Field, tuple[str, ...]]
"""Header cells that a field may stand under, the first that is filled counts."""


@dataclass(frozen=True)
class TableRecord:
    """A table of a dataset.

    It joins the others by `key`. `required` columns make it this table where the dataset is
    named. Among tables of many datasets it is told by the header cells of `telling`, else by
    `paths` (patterns on its path) or by `attribution` (words in the column of that name).
    `one_hot` columns hold 1 under the diagnosis; `image_columns` name several images a row, by
    modality; `optional` tables only add to what others say.
    """

    columns: Columns
    required: tuple[str, ...]
    key: Field = Field.IMAGE
    telling: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    attribution: str = ""
    one_hot: tuple[str, ...] = ()
    image_columns: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False


@dataclass(frozen=True)
class Counts:
    """Images by label, and where the numbers were published."""

    benign: int
    malignant: int
    source: str

    @property
    def total(self) -> int:
        """All images."""
        return self.benign + self.malignant


@dataclass(frozen=True)
class Source:
    """A dataset. `side` is the scale in px that its images are brought to.

    Without tables, `folders` are the class folders (None: any folder). `ignored` are patterns on
    paths of pictures that are no images of lesions, such as masks. `published` counts
    leave the test split out where `test_apart`. `fitzpatrick` says that skin
    tones are on his scale. `synthetic` sets stay apart from real images.
    """

    key: str
    title: str
    rule: LabelRule
    side: int
    licence: str
    citation: str
    layout: str
    tables: tuple[TableRecord, ...] = ()
    folders: tuple[str, ...] | None = None
    modality: str = ""
    ignored: tuple[str, ...] = ()
    published: Counts | None = None
    test_apart: bool = False
    fitzpatrick: bool = True
    synthetic: bool = False
