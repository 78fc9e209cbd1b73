"""One word for each diagnosis, whatever code or phrase a dataset has for it."""

from collections.abc import Iterable

NO_WORD = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown", "unk"})

_CODES = {
    "actinic_keratosis": "ak ack akiec",
    "basal_cell_carcinoma": "bcc",
    "squamous_cell_carcinoma": "scc sccka",
    "melanoma": "mel",
    "nevus": "nv nev banal dysplastic",
    "seborrheic_keratosis": "sk sek",
    "benign_keratosis": "bkl",
    "dermatofibroma": "df",
    "vascular_lesion": "vasc",
    "inflammatory": "inf",
    "other_benign": "ben_oth",
    "other_malignant": "mal_oth",
}
_BY_CODE = {code: word for word, codes in _CODES.items() for code in codes.split()}
_PHRASES = (
    ("actinic keratosis", "actinic_keratosis"),
    ("squamous cell carcinoma", "squamous_cell_carcinoma"),
    ("bowen", "squamous_cell_carcinoma"),
    ("keratoacanthoma", "squamous_cell_carcinoma"),
    ("basal cell", "basal_cell_carcinoma"),
    ("melanoma", "melanoma"),
    ("lichenoid keratosis", "lichenoid_keratosis"),
    ("lichen planus like keratosis", "lichenoid_keratosis"),
    ("seborrheic keratosis", "seborrheic_keratosis"),
    ("seborrhoeic keratosis", "seborrheic_keratosis"),
    ("benign keratosis", "benign_keratosis"),
    ("solar lentigo", "solar_lentigo"),
    ("lentigo", "lentigo"),
    ("dermatofibroma", "dermatofibroma"),
    ("angioma", "vascular_lesion"),
    ("angiokeratoma", "vascular_lesion"),
    ("pyogenic granuloma", "vascular_lesion"),
    ("vascular", "vascular_lesion"),
    ("nevus", "nevus"),
    ("naevus", "nevus"),
)

WORDS = frozenset({*_CODES, *(word for _, word in _PHRASES)})
"""Every word that a code or a phrase may become."""


def known_diagnosis(given: str) -> str | None:
    """The word for a code or a phrase; None where it is not known."""
    text = given.casefold().strip()
    if text in _BY_CODE:
        return _BY_CODE[text]
    phrase = " ".join(text.replace("_", " ").replace("-", " ").split())
    if "non melanoma" in phrase:
        return None
    return next((word for part, word in _PHRASES if part in phrase), None)


def diagnosis_of(given: Iterable[str]) -> tuple[str, str]:
    """The word and the original of a diagnosis that is given in one or more columns.

    The first that is known counts; a diagnosis that none knows keeps its own words.
    """
    said = [value for value in given if value.casefold() not in NO_WORD]
    for value in said:
        word = known_diagnosis(value)
        if word is not None:
            return word, said[0]
    return ("_".join(said[0].casefold().split()), said[0]) if said else ("", "")
