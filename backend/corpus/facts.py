"""What tables say of an image, in one vocabulary: age, sex, site, skin tone, modality, split."""

import math
from dataclasses import dataclass

from backend.corpus.diagnoses import NO_WORD

ROMAN = ("I", "II", "III", "IV", "V", "VI")
PAIRS = {"12": "I-II", "34": "III-IV", "56": "V-VI"}
MAX_AGE = 120
_SITE_PARTS = {
    "palms_soles": "palm sole acral",
    "oral_genital": "oral/ genital mucosa",
    "upper_extremity": "arm hand upper_ext upper_limb",
    "lower_extremity": "thigh leg foot lower_ext lower_limb",
    "head_neck": "head neck face scalp ear nose lip",
    "posterior_torso": "posterior back buttock",
    "anterior_torso": "anterior chest abdomen",
    "lateral_torso": "lateral",
    "torso": "torso trunk",
}
_SITES = tuple((part, site) for site, parts in _SITE_PARTS.items() for part in parts.split())
_MODALITIES = (
    ("tbp", "tbp"),
    ("derm", "dermoscopic"),
    ("clinic", "clinical"),
    ("close", "clinical"),
    ("overview", "clinical"),
)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image as its dataset describes it; empty text and None mean: not said.

    `diagnosis` is the studio's word, `diagnosis_given` the dataset's own; `target` is the
    dataset's benign/malignant column. `key` finds the file: its name without folder and suffix.
    """

    source_id: str
    key: str
    patient: str = ""
    lesion: str = ""
    diagnosis: str = ""
    diagnosis_given: str = ""
    target: str = ""
    modality: str = ""
    skin_tone: str = ""
    site: str = ""
    age: int | None = None
    sex: str = ""
    split: str = ""


def age_of(text: str) -> int | None:
    """Whole years; "85+" is 85, and what is no age is not said."""
    try:
        years = float(text.strip().rstrip("+"))
    except ValueError:
        return None
    return int(years) if math.isfinite(years) and 0 <= years <= MAX_AGE else None


def sex_of(text: str) -> str:
    """male, female or empty."""
    word = text.casefold()
    return {"m": "male", "male": "male", "f": "female", "female": "female"}.get(word, "")


def site_of(text: str) -> str:
    """A region of the body in the words of the ISIC archive; empty where it is not known."""
    word = text.casefold().replace(" ", "_")
    if word in NO_WORD:
        return ""
    return next((site for part, site in _SITES if part in word), "other")


def skin_tone_of(text: str, *, fitzpatrick: bool = True) -> str:
    """Fitzpatrick type in Roman numerals, a pair such as I-II, or another scale as "class 3"."""
    try:
        number = float(text)
    except ValueError:
        return text.upper() if text.upper() in ROMAN else ""
    if not number.is_integer():
        return ""
    if not fitzpatrick:
        return f"class {int(number)}"
    if 1 <= number <= len(ROMAN):
        return ROMAN[int(number) - 1]
    return PAIRS.get(str(int(number)), "")


def modality_of(text: str) -> str:
    """dermoscopic, clinical or tbp (a tile of total body photography); empty where not said."""
    word = text.casefold()
    return next((modality for part, modality in _MODALITIES if part in word), "")


def split_of(text: str) -> str:
    """train, validation or test, read from a column or from a part of a path; empty otherwise."""
    word = text.casefold()
    if "test" in word:
        return "test"
    if "valid" in word or word in ("val", "dev"):
        return "validation"
    return "train" if "train" in word else ""
