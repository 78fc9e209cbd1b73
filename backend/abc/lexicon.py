"""What words mean to the parser: phrases of folded words, each with its role in a sentence.

A *cue* says a value by itself ("jagged"). A *quality* means something only together with what it
is said of ("irregular" border, pigment or surface), which *topics* name. The remaining roles change
what stands near them: negation, degree, doubt, contrast, dominance.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from backend.abc.attributes import Border, ColourPattern, Edge
from backend.abc.cues import CUES, WEAK_VARIEGATED, Phrases
from backend.abc.tokens import tokenise


class Role(StrEnum):
    """What a phrase does in a sentence."""

    CUE = "cue"
    QUALITY = "quality"
    TOPIC = "topic"
    AXES = "axes"  # counts the axes of an asymmetry or of a symmetry
    HALF = "half"  # names one half or side, or both
    ALIKE = "alike"  # said of halves: they match
    UNLIKE = "unlike"  # said of halves: they differ
    LOW = "low"  # weakens: slightly, a few
    HIGH = "high"  # strengthens: markedly
    LESS = "less"  # compares downwards, hence states nothing: fewer notches
    WHOLLY = "wholly"  # denied, it weakens only: not entirely smooth
    NEGATOR = "negator"  # denies what follows
    ABSENT = "absent"  # denies what came before
    DOUBT = "doubt"  # what follows is suspected, not stated
    DOUBTED = "doubted"  # what came before is suspected, not stated
    CONTRAST = "contrast"
    MAINLY = "mainly"  # the colour that follows is the dominant one
    GROUND = "ground"  # the colour before it is the dominant one
    IDLE = "idle"  # states nothing although it holds words that would


@dataclass(frozen=True, slots=True)
class Entry:
    """The meaning of one phrase."""

    role: Role
    field: str = ""
    value: str = ""
    strong: bool = False


_QUALITIES: Mapping[str, str] = {
    "irregular": "irregular|irregularity|irregularly|irregular looking",
    "regular": "regular|regularity|regularly",
    "smooth": "smooth|smoothly|rounded|glatt|glatte|glatter|glatten",
    "even": "even|evenly|consistent|consistently",
    "uneven": "uneven|unevenly|unevenness|rough|erratic",
    "uniform": "uniform|uniformity|homogeneous|homogenous|homogeneity|gleichmaßig|gleichmassig|"
    "einheitlich",
    "sharp": "sharp|sharply|distinct|definite|defined|clean|clear|crisp|crisply|clearly|scharf",
    "soft": "soft|softly|diffuse|gradual|gradually|unclear|faint|obscure|imprecise|weak",
    "varied": "varied|varying|variable|variation|variability|vary|diverse|patchy|changing",
}

QUALITY_MEANS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("irregular", "border"): ("border", Border.IRREGULAR),
    ("irregular", "shape"): ("border", Border.IRREGULAR),
    ("irregular", "lesion"): ("border", Border.IRREGULAR),
    ("irregular", ""): ("border", Border.IRREGULAR),
    ("irregular", "colour"): ("pattern", WEAK_VARIEGATED),
    ("regular", "border"): ("border", Border.REGULAR),
    ("regular", "shape"): ("border", Border.REGULAR),
    ("regular", "lesion"): ("border", Border.REGULAR),
    ("regular", ""): ("border", Border.REGULAR),
    ("regular", "colour"): ("pattern", ColourPattern.UNIFORM),
    ("smooth", "border"): ("border", Border.REGULAR),
    ("even", "border"): ("border", Border.REGULAR),
    ("even", "colour"): ("pattern", ColourPattern.UNIFORM),
    ("uneven", "border"): ("border", Border.IRREGULAR),
    ("uneven", "colour"): ("pattern", WEAK_VARIEGATED),
    ("uniform", "border"): ("border", Border.REGULAR),
    ("uniform", "colour"): ("pattern", ColourPattern.UNIFORM),
    ("uniform", "lesion"): ("pattern", ColourPattern.UNIFORM),
    ("uniform", ""): ("pattern", ColourPattern.UNIFORM),
    ("sharp", "border"): ("edge", Edge.WELL_DEFINED),
    ("soft", "border"): ("edge", Edge.FADING),
    ("varied", "colour"): ("pattern", ColourPattern.VARIEGATED),
}

_TOPICS: Mapping[str, str] = {
    "border": "border|margin|edge|outline|contour|boundary|perimeter|periphery|rim|rand|"
    "circumference|outer line|begrenzung|border area|silhouette|border outline|kontur",
    "colour": "color|coloration|pigment|pigmentation|hue|shade|tone|farbe|"
    "tint|farben|coloring|discoloration|tonality|color pattern|color distribution",
    "shape": "shape|form|shaped|configuration|geometry",
    "surface": "surface|texture|scale|crust|topography|elevation|papule surface|feel",
    "structure": "network|pigment network|globule|streak|dot|vessel|structure|"
    "reticulation|pattern|gland|line",
    "lesion": "lesion|mole|spot|macule|papule|nodule|plaque|growth|mark|patch|tumor|tumour",
    "skin": "skin|background skin|surrounding skin|complexion|skin tone|skinned|haut",
    "size": "diameter|size|width|length|wide|across|dimension|durchmesser",
}

_ROLES: Mapping[tuple[Role, str], Phrases] = {
    (Role.AXES, "one"): (
        "one axis|single axis|1 axis|one of two axis|one of its two axis|one of the two axis",
        "one of both axis|only one axis|eine achse|einer achse|one plane|single plane|1 achse",
    ),
    (Role.AXES, "two"): (
        "two axis|both axis|2 axis|either axis|each axis|two perpendicular axis|zwei achse",
        "any axis|both perpendicular axis|beiden achse|all axis|both plane|two plane",
        "two orthogonal axis|2 perpendicular axis|more than one axis|multiple axis|every axis",
        "both main axis|2 achse|both its axis|both the horizontal and vertical axis",
        "both horizontal and vertical axis|horizontal and vertical axis",
        "vertical and horizontal axis|either plane|each plane|2 plane|two main axis",
        "both of its axis|both of the axis|both orthogonal axis|both achse",
    ),
    (Role.AXES, "neither"): (
        "neither axis|no axis|neither plane|neither of the axis|keiner achse",
    ),
    (Role.HALF, ""): (
        "half|both half|two half|one half|each half|other half|both side|two side|either side",
        "upper half|lower half|left half|right half|halfte|halften|each side|opposite half",
    ),
    (Role.ALIKE, ""): (
        "match|matching|matched|similar|equal|alike|identical|same|correspond|corresponding",
        "congruent|like the other|look like the other|same as the other|resemble the other",
        "look the same|look alike|looks like the other|matche|resemble each other",
    ),
    (Role.UNLIKE, ""): (
        "differ|differing|different|unequal|dissimilar|larger|bigger|smaller|wider|larger than",
        "bigger than|smaller than|darker than|wider than|lighter than|longer than",
        "unlike the other|unlike|mismatched|different from|different than|thicker than|broader",
        "broader than|unmatched|mismatch|more irregular than|differently|heavier than",
        "more pigmented than",
    ),
    (Role.LOW, ""): (
        "slight|slightly|mild|mildly|minimal|minimally|subtle|subtly|a little|a bit|somewhat",
        "slighty|faintly|focal|focally|partly|partially|leicht|marginally|in place|in part",
        "in spot|little|here and there|very slight|very slightly|ever so slightly|vaguely",
        "only slightly|modest|very mild|very mildly|barely|gently|in one place|in some place",
        "in some area|localized|in certain area|at one point|etwas|a touch|limited|low grade",
        "mildest|minimale|geringe",
    ),
    (Role.LOW, "noun"): ("minor|few|a few|some|small|shallow|occasional|tiny|one or two|gentle",),
    (Role.HIGH, ""): (
        "marked|markedly|pronounced|highly|very|strong|strongly|severe|severely|significant",
        "extreme|significantly|striking|strikingly|considerable|considerably|extremely|profound",
        "profoundly|notable|notably|substantial|substantially|gross|grossly|prominent",
        "prominently|wildly|high|dramatic|dramatically|stark|starkly|exceedingly|heavily",
        "remarkably|remarkable|intensely|overt|overtly|blatantly|sehr|deutlich",
        "stark asymmetrisch",
    ),
    (Role.HIGH, "wholly"): (
        "entirely|completely|perfectly|fully|totally|altogether|wholly|quite|exactly|absolutely",
    ),
    (Role.LESS, ""): ("fewer|less|reduced|smoother|more regular|more even|least",),
    (Role.NEGATOR, ""): (
        "no|nein|not|without|lack|lacking|lack of|absence of|free of|free from",
        "devoid of|neither|nor",
        "never|isn't|aren't|doesn't|don't|didn't|wasn't|weren't|hasn't|haven't|can't|cannot",
        "used to be|previously|formerly|hardly|w o|rather than|instead of|far from",
        "far from being|no evidence of|fail to|hardly any|no sign of|kein|keinen|keiner",
        "keinerlei|ohne|nicht|deny|denie|loss of|sans|isnt|none of|doesnt|arent|excluding",
        "negative for|anything but|lacked|barely any|void of|failed to|keine|failing to|absence",
        "no feature of|don t|isn t|doesn t|aren t|dont",
    ),
    (Role.ABSENT, ""): (
        "absent|not performed|not done|not available|not used|not seen|not present",
        "not visible|not found|not observed|not noted",
        "not identified|not evident|not detected|not appreciated|not apparent|is missing",
        "are missing|is lacking|are lacking|none|nil|not discernible|not be seen",
        "not be identified|not be found|not there|isn't seen|aren't seen|isn't present",
        "aren't present|not detectable|not be detected|not be made out|not recognizable",
        "not recognisable|isn't visible|aren't visible|not exist|nicht sichtbar|nicht vorhanden",
        "isn't there|missing|not be observed|not be appreciated|was excluded|were excluded",
        "is excluded|are excluded|has been excluded|ruled out",
    ),
    (Role.DOUBT, ""): (
        "suspicious for|suspicious of|suspicious|suspicion|suspicion of|suspect|suggest",
        "suggestive|suggesting|suggestive of|possible|possibly|potential|potentially|probable",
        "probably|likely|maybe|perhaps|might|may|could|rule out|r o|concerning for|concern for",
        "concern|concerning|indicative of|indicative|indicate|indicating|mimic|mimicking",
        "resemble|resembling|risk of|reminiscent of|risk|sign of|feature of|look like",
        "looks like|consider|query|history of|family history|worrisome for|worried|worry|afraid",
        "fear|verdacht auf|verdacht|whether|raise|exclude|to exclude|think|thought|hint at",
        "hint of|typical of|characteristic of|compared to|unlikely|hallmark of|criteria for",
        "criterion for|associated with|screening for",
    ),
    (Role.DOUBT, "near"): ("appear|appear to be|seem|seem to be|look|looking|appearing",),
    (Role.DOUBT, "both"): ("vs|versus|differential|differential diagnosis|ddx|suspected",),
    (Role.DOUBTED, ""): (
        "cannot be excluded|can't be excluded|not be excluded|not excluded|cannot be ruled out",
        "like|can't be ruled out|not be ruled out|to be excluded|to be ruled out",
        "must be excluded|is possible|is likely|is suspected|is unlikely|was suspected",
        "was considered|is considered|be ruled out|be excluded|in the differential",
        "on the differential|seems likely|is probable",
    ),
    (Role.CONTRAST, ""): (
        "but|however|although|though|whereas|while|yet|except|in contrast|nevertheless|despite",
        "aber|other than|apart from|jedoch|albeit|even though|aside from|except for|save for",
        "on the other hand|besides|otherwise",
    ),
    (Role.MAINLY, ""): (
        "predominantly|predominant|mainly|mostly|primarily|largely|chiefly|principally|dominant",
        "dominantly|majority|most of|overwhelmingly|essentially|basically|prevailing",
        "uberwiegend|vorwiegend|hauptsachlich|primary|main|generally|for the most part",
        "majority of|mainly of|predominately|dominating|dominated by",
    ),
    (Role.GROUND, ""): (
        "background|predominate|dominate|base|predominating|in the main|overall",
        "as the main color|is the dominant color|as the dominant color|is the main color",
        "as the predominant color|is the predominant color|as the primary color|backdrop|ground",
    ),
    (Role.IDLE, ""): (
        "red flag|consistent with|in keeping with|black and white photo",
        "black and white image|black and white photograph",
        "white light|black woman|black man|black patient|black male|black female|white man",
        "white woman|at hand|white patient|white male|white female|white balance|gray scale",
        "grayscale|on one hand|no doubt|on the one hand|black hair|white hair|brown hair",
        "gray hair|red hair|dark hair|blue eye|brown eye|blue marker|black marker|blue ink",
        "white coat|black person|white person|no longer|benign looking|benign appearing",
        "benign feature|benign pattern|benign appearance|not only|malignant looking",
        "malignant appearing|malignant feature|malignant potential|no matter",
        "malignant transformation|malignant appearance|malignant change|malignant degeneration",
        "benign or malignant|malignant or benign|benign versus malignant|benign vs malignant",
        "no change|benign and malignant|malignant and benign|breast cancer|cancer center",
        "come back|came back|date back|dating back|go back|going back|back then|back and forth",
        "face up|black box|regular follow up|regular check|regular check up|regular basis",
        "regular interval|white noise|clear evidence|clearly visible|clearly seen|non melanoma",
        "nonmelanoma|melanoma history|fed back|black frame|black corner|black vignette",
        "blue ruler|black ruler|white ruler|blue pen|blue background|not to mention|call back",
        "call me back|dark field|irregular period|regular exam|regular dressing",
        "border area of germany|across the border|non malignant|nonmalignant|feed back",
        "malignancy risk|risk of malignancy|skin cancer screening|cancer screening",
        "skin cancer clinic|regular review|regularly checked|irregular shaped hair",
        "distinct from|clear of",
    ),
}


def tables() -> Iterator[tuple[tuple[str, ...], Entry]]:
    """Every phrase of the lexicon as folded words, with its entry."""
    for (name, value), phrases in CUES.items():
        strong = value == "strong"
        said = Border.IRREGULAR if strong else value
        yield from _entries(phrases, Entry(Role.CUE, name, str(said), strong=strong))
    for quality, joined in _QUALITIES.items():
        yield from _entries((joined,), Entry(Role.QUALITY, value=quality))
    for topic, joined in _TOPICS.items():
        yield from _entries((joined,), Entry(Role.TOPIC, value=topic))
    for (role, value), phrases in _ROLES.items():
        yield from _entries(phrases, Entry(role, value=value))


@cache
def lexicon() -> Mapping[str, tuple[tuple[tuple[str, ...], Entry], ...]]:
    """The phrases by their first word, the longest first."""
    by_first: dict[str, list[tuple[tuple[str, ...], Entry]]] = {}
    for words, entry in tables():
        by_first.setdefault(words[0], []).append((words, entry))
    return {
        first: tuple(sorted(phrases, key=lambda phrase: -len(phrase[0])))
        for first, phrases in by_first.items()
    }


def _entries(phrases: Phrases, entry: Entry) -> Iterator[tuple[tuple[str, ...], Entry]]:
    for phrase in "|".join(phrases).split("|"):
        yield tuple(token.text for token in tokenise(phrase)), entry
