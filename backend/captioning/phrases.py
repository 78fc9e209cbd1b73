"""What a caption should not say, as patterns over its text; each is tried on the whole caption.

The words were gathered from the captions that the paper's authors released and from what
vision-language models are known to add to a description of a photograph.
"""

import re
from collections.abc import Iterator, Sequence

from backend.captioning.findings import Check

_MALIGNANT = (
    r"(?:malignan\w+|cancer\w*|melanoma\w*|carcinoma\w*|pre-?malignan\w+|pre-?cancer\w*|neoplas\w+)"
)
_BENIGN = r"(?:benign\w*|non-?cancerous|non-?malignant|harmless|innocuous)"
_SUGGESTS = (
    r"(?:suggest\w*|indicat\w+|suspicious|suspici\w+|consistent|compatible|typical|characteristic"
    r"|reminiscent|hallmark\w*|concern\w*|worr\w+|risk|likel\w+|diagnos\w+|point\w*|rais\w+"
    r"|associated|seen|observed|found|common\w*|feature\w*|sign\w*|potential\w*|possib\w+)"
)

LEAKAGE: Sequence[str] = (
    rf"\b{_MALIGNANT}\b",
    rf"\b{_BENIGN}\b",
    r"\bconcerning\b",
    r"\b(?:cause|reason|grounds)s? (?:for|of) (?:concern|alarm|worry)\b",
    (
        r"\b(?:is|are|be|looks?|appears?|seems?|deeply|quite|very|highly|more|some(?:what|thing)) "
        r"(?:a |an )?(?:worrying|worrisome|alarming|troubling|suspicious|ominous)\b"
    ),
    (
        r"\b(?:worrying|worrisome|alarming|suspicious|ominous|atypical|high-risk|red[- ]flag) "
        r"(?:feature|sign|characteristic|appearance|pattern|lesion|mole|finding|trait|change)s?\b"
    ),
    r"\b(?:warning|red flag|danger|telltale) signs?\b|\bred flags?\b|\bhigh[- ]risk\b",
    r"\bsuspicion\b|\bsuspicious for\b|\bsuspected\b",
    (
        r"\b(?:further|prompt|immediate|urgent|medical|clinical|professional|histopatholog\w+|"
        r"dermatological) (?:\w+ )?(?:evaluation|examination|assessment|attention|investigation|"
        r"review|consultation|follow-?up|work-?up)\b"
    ),
    (
        r"\b(?:warrants?|requires?|needs?|merits?|deserves?|calls? for|recommend\w*|advis\w+) "
        r"(?:\w+ ){0,3}(?:biopsy|excision|evaluation|examination|assessment|"
        r"attention|investigation|"
        r"follow-?up|monitoring|removal)\b"
    ),
    r"\b(?:biopsy|biopsied|excised?|excision|removed surgically)\b",
    (
        r"\b(?:normal|ordinary|typical|common|healthy|unremarkable|reassuring|non-?suspicious) "
        r"(?:mole|nevus|naevus|lesion|skin growth|appearance|finding|features?)s?\b"
    ),
    (
        r"\breassuring\b|\b(?:no|not|without|little) (?:any )?(?:cause|reason|immediate|signs?|"
        r"evidence|features?) (?:for|of|that|to|suggest\w*|indicat\w*) "
        r"(?:\w+ ){0,2}(?:concern|worry|alarm|danger|disease)\b"
    ),
    (
        rf"\b{_SUGGESTS} (?:of |with |for |to |that )?(?:\w+ ){{0,4}}(?:skin cancer|disease|"
        r"dysplasia|dysplastic\w*|basal[- ]cell\w*|squamous[- ]cell\w*|tumou?rs?)\b"
    ),
    (
        r"\b(?:tumou?r|dysplastic|basal[- ]cell|squamous[- ]cell|keratosis|dermatofibroma|"
        r"lentigo maligna|angioma|hemangioma|haemangioma)\b"
    ),
    r"\b(?:dangerous|life-threatening|invasive|metasta\w+|aggressive)\b",
)
SIZE: Sequence[str] = (
    (
        r"\b\d+(?:[.,]\d+)?\s*(?:-|x|by|to|\u2013|\u00d7)?\s*(?:\d+(?:[.,]\d+)?\s*)?"
        r"(?:mm|millimet(?:er|re)s?|cm|centimet(?:er|re)s?|inch(?:es)?)\b"
    ),
    (
        r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half an?|a few|"
        r"several|a couple of) "
        r"(?:or \w+ )?(?:millimet(?:er|re)s?|centimet(?:er|re)s?|inch(?:es)?)\b"
    ),
    r"\b(?:millimet(?:er|re)|centimet(?:er|re))s? (?:in|across|wide|long)\b",
    (
        r"\b(?:size|width|diameter) of (?:a|an) (?:pea|pencil eraser|coin|penny|dime|fingertip|"
        r"grain of rice|lentil)\b|\bpencil eraser\b"
    ),
)
HISTORY: Sequence[str] = (
    r"\b(?:the )?patient(?:'s|\u2019s)?\b(?!\s+(?:skin|with (?:light|fair|dark)))",
    r"\b(?:\d{1,3}|[a-z]+)[- ]year[- ]old\b|\bage of \d+\b|\baged \d+\b",
    (
        r"\b(?:over|during|in|within|for|since) (?:the )?(?:past|last|recent|several|few|many|\d+|"
        r"\w+ )?\s*(?:few |several |couple of |six |three |two )?"
        r"(?:days?|weeks?|months?|years?|decades?|childhood|birth|adolescence)\b"
    ),
    (
        r"\b(?:has|have|had) (?:been |recently |gradually |slowly |rapidly |reportedly )*"
        r"(?:grow\w*|grown|chang\w+|enlarg\w+|evolv\w+|darken\w*|appear\w+|increas\w+|develop\w+|"
        r"spread\w*|present for|there for|remained)\b"
    ),
    r"\b(?:recently|newly) (?:appeared|changed|grown|developed|noticed|enlarged|acquired)\b",
    r"\b(?:family|personal|medical|clinical|past) history\b|\bhistory of\b",
    r"\b(?:sun|UV|ultraviolet) (?:exposure|damage|burns?)\b|\bsunburns?\b|\btanning beds?\b",
    r"\b(?:first noticed|noticed by|was noticed|previously|prior (?:biopsy|treatment|lesion))\b",
    (
        r"\b(?:evolv\w+|growing|enlarging|changing) (?:over time|rapidly|slowly|"
        r"in size|steadily)\b|"
        r"\brapid(?:ly)? (?:growth|growing|evol\w+|chang\w+)\b|\bover time\b"
    ),
    r"\b(?:congenital|since birth|inherited)\b",
)
SYMPTOMS: Sequence[str] = (
    r"\bitch\w*\b|\bprurit\w+\b",
    r"\bpain(?!t)\w*\b|\bsore(?:ness)?\b|\bhurt\w*\b|\bach(?:e|es|ing)\b|\bburning\b|\bstinging\b",
    r"\btender(?:ness)?\b|\bdiscomfort\b|\bsensitive to (?:the )?touch\b|\bnumb\w*\b",
    r"\b(?:bleed\w*|bled|oozes?|oozing|discharg\w+|weeping)\b",
    (
        r"\b(?:to the touch|when touched|on palpation|palpa\w+|feels? (?:rough|"
        r"firm|soft|hard|smooth|"
        r"warm)|warm to)\b"
    ),
    r"\basymptomatic\b|\bsymptom\w*\b",
)
REFUSAL: Sequence[str] = (
    (
        r"\b(?:I(?:'|\u2019)m|I am|we(?:'|\u2019)re) (?:very |really |"
        r"so )?(?:sorry|unable|not able|"
        r"not (?:a|in|qualified|trained)|afraid|just an?)\b"
    ),
    (
        r"\b(?:I|we) (?:can(?:'|\u2019)?t|cannot|can not|won(?:'|\u2019)t|will not|do not|"
        r"don(?:'|\u2019)t|could not|couldn(?:'|\u2019)t|must decline|apologi[sz]e|decline)\b"
    ),
    r"\bas an? (?:AI|artificial|language model|assistant|large language)\b|\blanguage model\b",
    r"\bmy apologies\b|\bsorry, but\b|^\s*sorry\b",
    r"\bnot (?:a substitute for|intended (?:as|for)) (?:\w+ ){0,3}(?:medical|diagnos\w+)\b",
    (
        r"\b(?:consult|see|contact|visit|seek (?:the )?(?:advice|help) (?:of|from)) (?:with )?"
        r"(?:a|an|your) (?:\w+ ){0,3}(?:dermatologist|doctor|physician|professional|specialist|"
        r"provider)\b"
    ),
    (
        r"\b(?:please (?:provide|upload|note|share)|no image (?:was|is|has)|unable to (?:view|see|"
        r"process|provide|describe|assist|help)|cannot (?:view|see|be determined from))\b"
    ),
)

PATTERNS = {
    Check.LEAKAGE: LEAKAGE,
    Check.SIZE: SIZE,
    Check.HISTORY: HISTORY,
    Check.SYMPTOMS: SYMPTOMS,
    Check.REFUSAL: REFUSAL,
}
_COMPILED = {
    check: re.compile("|".join(f"(?:{one})" for one in patterns), re.IGNORECASE)
    for check, patterns in PATTERNS.items()
}


def phrases_of(check: Check, text: str, start: int = 0) -> Iterator[tuple[int, int]]:
    """The places from `start` on where a pattern of this check holds."""
    for found in _COMPILED[check].finditer(text, start):
        if found.end() > found.start():
            yield found.span()
