"""The wording of captions: for every value, what may be said of it and in which grammatical role.

Each table offers *predicates* ("is symmetric"), which follow a subject, *clauses* ("both halves
match"), which stand alone, and *phrases* ("mirror-image halves"), which follow "with". Colour is
spelt the British way here; the grammar draws the spelling of each caption.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Modality,
    Site,
    SkinTone,
)

Words = tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """The ways to say one thing, by grammatical role."""

    predicates: Words
    clauses: Words = ()
    phrases: Words = ()


LESION_NOUNS: Words = ("lesion", "lesion", "mole", "skin lesion", "spot")
BORDER_NOUNS: Words = ("border", "border", "outline", "margin", "contour", "boundary", "perimeter")
EDGE_NOUNS: Words = ("edge", "edge", "margin", "border")
COLOUR_NOUNS: Words = ("colour", "colour", "pigmentation", "colouration", "pigment")

ASYMMETRY: Mapping[Asymmetry, Wording] = {
    Asymmetry.SYMMETRIC: Wording(
        predicates=(
            "is symmetric",
            "is symmetrical",
            "is symmetric in both axes",
            "is symmetrical about both axes",
            "shows mirror-image halves",
            "shows no asymmetry",
            "lacks asymmetry",
            "is symmetric in shape",
            "appears symmetrical",
            "is generally symmetrical",
            "has two matching halves",
            "is balanced and symmetric",
            "displays a symmetric shape",
        ),
        clauses=(
            "both halves mirror each other",
            "the two halves match",
            "the two halves are mirror images",
            "one half mirrors the other",
            "the halves match in both axes",
            "no asymmetry is seen",
            "there is no asymmetry",
            "symmetry is preserved in both axes",
            "neither axis shows asymmetry",
            "the shape is symmetric",
        ),
        phrases=(
            "mirror-image halves",
            "a symmetric shape",
            "a symmetrical form",
            "matching halves",
            "no asymmetry",
            "symmetry in both axes",
        ),
    ),
    Asymmetry.ONE_AXIS: Wording(
        predicates=(
            "is asymmetric in one axis",
            "is asymmetrical in one axis",
            "is asymmetric across a single axis",
            "is asymmetric along one axis only",
            "is mildly asymmetric",
            "is slightly asymmetrical",
            "shows asymmetry in one axis",
            "shows mild asymmetry",
            "is asymmetric about one of its two axes",
            "is symmetric in only one of two axes",
            "exhibits one-axis asymmetry",
            "has halves that differ across one axis",
        ),
        clauses=(
            "one half differs from the other across a single axis",
            "the halves differ in one axis",
            "the halves match along one axis but not the other",
            "one half is larger than the other",
            "one axis shows asymmetry",
            "asymmetry is present in one axis",
            "there is asymmetry along a single axis",
            "there is slight asymmetry",
            "only one axis divides it into matching halves",
        ),
        phrases=(
            "asymmetry in one axis",
            "asymmetry across a single axis",
            "mild asymmetry",
            "slight asymmetry",
            "one-axis asymmetry",
            "halves that differ in one axis",
        ),
    ),
    Asymmetry.TWO_AXES: Wording(
        predicates=(
            "is asymmetric in two axes",
            "is asymmetrical in both axes",
            "is asymmetric across two perpendicular axes",
            "is asymmetric about both axes",
            "is markedly asymmetric",
            "is highly asymmetrical",
            "shows asymmetry in two axes",
            "shows pronounced asymmetry",
            "exhibits marked asymmetry",
            "exhibits two-axis asymmetry",
            "has halves that differ in both axes",
            "is strongly asymmetric",
        ),
        clauses=(
            "the halves differ in both axes",
            "neither axis divides it into matching halves",
            "the halves match along neither axis",
            "asymmetry is present in two axes",
            "there is asymmetry across both axes",
            "there is pronounced asymmetry",
            "both axes show asymmetry",
            "no axis of symmetry can be drawn",
            "the halves fail to match in either axis",
        ),
        phrases=(
            "asymmetry in two axes",
            "asymmetry across both axes",
            "marked asymmetry",
            "pronounced asymmetry",
            "two-axis asymmetry",
            "halves that differ in both axes",
        ),
    ),
}

BORDER_ADJECTIVES: Mapping[Border, Words] = {
    Border.REGULAR: (
        "regular",
        "smooth",
        "smooth and regular",
        "even",
        "smooth, even",
        "regular, unbroken",
    ),
    Border.SLIGHTLY_IRREGULAR: (
        "slightly irregular",
        "mildly irregular",
        "slightly uneven",
        "somewhat irregular",
        "minimally irregular",
        "slightly wavy",
    ),
    Border.IRREGULAR: (
        "irregular",
        "irregular and jagged",
        "jagged",
        "notched",
        "scalloped and notched",
        "ragged",
        "highly irregular",
        "irregular, notched",
        "uneven and jagged",
    ),
}

BORDER_CLAUSES: Mapping[Border, Words] = {
    Border.REGULAR: (
        "no border irregularity is seen",
        "the border runs evenly",
        "the outline has no notches",
        "the border lacks irregularity",
    ),
    Border.SLIGHTLY_IRREGULAR: (
        "there is slight border irregularity",
        "the outline shows a few small notches",
        "the border is mostly smooth but slightly irregular in places",
        "the otherwise smooth outline has a few shallow notches",
    ),
    Border.IRREGULAR: (
        "there is marked border irregularity",
        "the outline shows notches and scallops",
        "the border is irregular with deep notches",
        "jagged projections break up the outline",
    ),
}

EDGE_ADJECTIVES: Mapping[Edge, Words] = {
    Edge.WELL_DEFINED: (
        "well-defined",
        "sharply demarcated",
        "well-demarcated",
        "sharply defined",
        "abrupt",
        "distinct",
        "clearly defined",
    ),
    Edge.FADING: (
        "fading",
        "ill-defined",
        "blurred",
        "poorly demarcated",
        "indistinct",
        "poorly defined",
        "gradually fading",
    ),
}

EDGE_ENDINGS: Mapping[Edge, Words] = {
    Edge.WELL_DEFINED: (
        "ends abruptly",
        "cuts off abruptly",
        "stops sharply against the surrounding skin",
        "is sharply demarcated from the surrounding skin",
        "stands out sharply",
    ),
    Edge.FADING: (
        "fades into the surrounding skin",
        "fades gradually",
        "blends into the adjacent skin",
        "blurs into the surrounding skin",
        "gradually merges with the skin around it",
        "dissolves softly into the skin",
    ),
}

EDGE_PHRASES: Mapping[Edge, Words] = {
    Edge.WELL_DEFINED: (
        "an abrupt, well-demarcated edge",
        "an abrupt cut-off",
        "a sharp cut-off of pigment",
        "a sharp edge",
        "a crisp edge",
        "clear demarcation",
    ),
    Edge.FADING: (
        "a fading edge",
        "a soft edge that fades out",
        "a gradual transition to the surrounding skin",
        "an edge that blends into the skin",
        "a blurred edge",
        "a diffuse edge",
    ),
}

COLOUR_NAMES: Mapping[Colour, Words] = {
    Colour.WHITE: ("white", "white", "off-white"),
    Colour.RED: ("red", "red", "pinkish red"),
    Colour.LIGHT_BROWN: ("light brown", "light brown", "tan"),
    Colour.DARK_BROWN: ("dark brown", "dark brown", "deep brown"),
    Colour.BLUE_GRAY: ("blue-grey", "blue-grey", "bluish-grey", "slate blue"),
    Colour.BLACK: ("black", "black", "jet black"),
}

MAINLY: Words = ("predominantly", "mainly", "mostly", "primarily", "largely")
PARTS: Words = ("areas of", "patches of", "spots of", "foci of", "flecks of", "zones of")

PATTERN: Mapping[ColourPattern, Wording] = {
    ColourPattern.UNIFORM: Wording(
        predicates=("is uniform in colour", "is evenly coloured", "is uniformly pigmented"),
        clauses=(
            "the colour is uniform",
            "the colour is even throughout",
            "there is no colour variation",
            "the pigmentation is homogeneous",
        ),
        phrases=("uniform pigmentation", "a uniform colour", "even colouration"),
    ),
    ColourPattern.TWO_TONE: Wording(
        predicates=("is two-tone", "is two-toned", "shows two colours", "is bicoloured"),
        clauses=(
            "the colour is two-tone",
            "two distinct colours are present",
            "two colours are visible",
            "the pigmentation is two-toned",
        ),
        phrases=("a two-tone colour", "two-toned pigmentation", "two colours"),
    ),
    ColourPattern.VARIEGATED: Wording(
        predicates=("is variegated", "is multicoloured", "shows several colours"),
        clauses=(
            "the colour is variegated",
            "multiple colours are present",
            "the colour varies widely",
            "the pigmentation is variegated",
        ),
        phrases=("variegated pigmentation", "a variegated colour", "multiple colours"),
    ),
}

PATTERN_ADJECTIVES: Mapping[ColourPattern, Words] = {
    ColourPattern.UNIFORM: ("uniform", "homogeneous", "even"),
    ColourPattern.TWO_TONE: ("two-tone", "two-toned", "bicoloured"),
    ColourPattern.VARIEGATED: ("variegated", "multicoloured", "mottled"),
}

DIAGNOSIS_NOUNS: Mapping[Diagnosis, Words] = {
    Diagnosis.NEVUS: ("nevus", "melanocytic nevus", "naevus"),
    Diagnosis.SEBORRHEIC_KERATOSIS: ("seborrheic keratosis", "seborrhoeic keratosis"),
    Diagnosis.SOLAR_LENTIGO: ("solar lentigo",),
    Diagnosis.DERMATOFIBROMA: ("dermatofibroma",),
    Diagnosis.VASCULAR_LESION: ("vascular lesion",),
    Diagnosis.MELANOMA: ("melanoma",),
    Diagnosis.BASAL_CELL_CARCINOMA: ("basal cell carcinoma",),
    Diagnosis.SQUAMOUS_CELL_CARCINOMA: ("squamous cell carcinoma",),
}

MODALITY_OPENINGS: Mapping[Modality, Words] = {
    Modality.DERMOSCOPIC: ("on dermoscopy,", "under the dermatoscope,", "dermoscopically,"),
    Modality.CLINICAL: ("on clinical photography,", "seen in a clinical photograph,"),
}

MODALITY_PREDICATES: Mapping[Modality, Words] = {
    Modality.DERMOSCOPIC: ("is seen on dermoscopy", "was imaged by dermoscopy"),
    Modality.CLINICAL: ("is seen in a clinical photograph", "was photographed clinically"),
}

MODALITY_VIEWS: Mapping[Modality, Words] = {
    Modality.DERMOSCOPIC: ("dermoscopic image", "dermoscopic view", "dermoscopy image"),
    Modality.CLINICAL: ("clinical photograph", "close-up clinical photograph", "clinical image"),
}

SKIN_WORDS: Mapping[SkinTone, Words] = {
    SkinTone.I: ("very fair", "pale"),
    SkinTone.II: ("fair", "light"),
    SkinTone.III: ("medium", "light-to-medium"),
    SkinTone.IV: ("olive", "medium-dark"),
    SkinTone.V: ("brown", "dark"),
    SkinTone.VI: ("very dark", "deeply pigmented"),
}

SKIN_PHRASES: Words = (
    "{words} skin (Fitzpatrick type {roman})",
    "{words} skin (Fitzpatrick {roman})",
    "{words} skin of Fitzpatrick type {roman}",
    "Fitzpatrick type {roman} skin",
    "Fitzpatrick {roman} skin",
    "Fitzpatrick skin type {roman}",
    "skin phototype {roman}",
    "skin of Fitzpatrick type {arabic}",
)

SITE_PLACES: Mapping[Site, Words] = {
    Site.HEAD_NECK: ("the head or neck", "the head and neck", "the face", "the scalp", "the neck"),
    Site.CHEST: ("the chest", "the anterior chest"),
    Site.ABDOMEN: ("the abdomen", "the belly"),
    Site.BACK: ("the back", "the upper back", "the lower back"),
    Site.UPPER_EXTREMITY: ("the upper extremity", "the arm", "the forearm", "the upper limb"),
    Site.LOWER_EXTREMITY: ("the lower extremity", "the leg", "the thigh", "the lower limb"),
    Site.PALMS_SOLES: ("the palm", "the sole", "acral skin of the palms or soles"),
}

DIAGNOSIS_PREDICATES: Words = ("is {a_noun}", "is diagnosed as {a_noun}", "represents {a_noun}")

SITE_PREDICATES: Words = ("is on {place}", "lies on {place}", "is located on {place}")

SKIN_PREDICATES: Words = ("is seen on {skin}", "lies on {skin}", "sits on {skin}")

DIAMETER_PREDICATES: Words = (
    "measures {size} mm",
    "measures {size} mm across",
    "is {size} mm in diameter",
    "has a diameter of {size} mm",
    "spans {size} mm",
)
