"""Everything that is looked for in a caption before a person looks at it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from backend.abc.attributes import Label
from backend.abc.parser import parse
from backend.abc.reading import Reading
from backend.abc.tokens import word_set
from backend.captioning.contradictions import against_image, against_label
from backend.captioning.findings import Check, Finding, Severity
from backend.captioning.phrases import phrases_of
from backend.captioning.seen import Seen
from backend.captioning.sentences import opening_end, sentence_spans

MIN_ENGLISH_WORDS = 6
MIN_ENGLISH_SHARE = 0.2
"""Of function words; English prose has some 40 %, other languages below 5 %."""
LONG_WORDS = 300
TAIL_WORDS = 6
LOOP_WORDS = 4
LOOP_TIMES = 3
_ENGLISH = word_set(
    "the a an of and is are with in to it its this that on at by from as has have which no not "
    "there both one two or for more but some be was were than into along across about around while"
)
_KEY_WORDS = word_set(
    "lesion mole skin shape border borders edge edges outline margin color colour colors colours "
    "pigmentation brown black red white blue gray grey light dark irregular regular smooth jagged "
    "symmetric asymmetric symmetrical asymmetrical symmetry asymmetry uniform variegated even "
    "uneven notched defined well poorly axis axes halves half tan pink"
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_OPEN_END = re.compile(
    r"(?:^|\W)(?:the|an?|of|and|or|with|its|is|are|while|which)\W*$",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"[.!?\u3002][\"'\u201d\u2019)\]*_]*\s*$")
_REASONS = {
    Check.SIZE: "The caption states a size (“{said}”); without a scale no image shows it.",
    Check.HISTORY: "“{said}” tells of the past or the person; the image cannot show that.",
    Check.SYMPTOMS: "“{said}” is felt or told, not seen.",
    Check.LEAKAGE: "“{said}” gives the label away, or suggests one.",
    Check.REFUSAL: "“{said}” is the captioner speaking, not a description.",
}
_SEVERITIES = {
    Check.SIZE: Severity.WARNING,
    Check.HISTORY: Severity.WARNING,
    Check.SYMPTOMS: Severity.WARNING,
    Check.LEAKAGE: Severity.WARNING,
    Check.REFUSAL: Severity.ERROR,
}


def check_caption(
    text: str, *, seen: Seen | None = None, label: Label | None = None, scale: bool = False
) -> tuple[Finding, ...]:
    """What speaks against a caption, the gravest first.

    `seen` is what was measured on its image, `label` the label of the image; what is None is not
    compared. `scale` says that the image shows a scale, which makes sizes no finding. An opening
    that names the label on purpose (`OPENINGS`) is left out of all but the comparison with it.
    """
    start = opening_end(text)
    reading = parse(text)
    found = [
        *_phrases(text, start, scale=scale),
        *_language(text, start),
        *_repetition(text, start),
        *_truncation(text),
    ]
    if not any(one.check in (Check.REFUSAL, Check.LANGUAGE) for one in found):
        found += [*_silence(reading), *against_label(reading, label)]
        if seen is not None:
            found += against_image(reading, seen)
    order = list(Severity)
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def strip_leaks(text: str) -> str:
    """The caption without the sentences that give the label away; an opening that names it by
    design stays."""
    start = opening_end(text)
    leaks = list(phrases_of(Check.LEAKAGE, text, start))
    kept = [
        text[first:end]
        for first, end in sentence_spans(text, start)
        if not any(first <= at < end for at, _ in leaks)
    ]
    return " ".join(part for part in [text[:start].strip(), *kept] if part)


def _phrases(text: str, start: int, *, scale: bool) -> Iterator[Finding]:
    for check, severity in _SEVERITIES.items():
        spans = tuple(phrases_of(check, text, start))
        if not spans or (scale and check is Check.SIZE):
            continue
        first, end = spans[0]
        yield Finding(check, severity, _REASONS[check].format(said=text[first:end].strip()), spans)


def _language(text: str, start: int) -> Iterator[Finding]:
    words = [word.casefold() for word in _WORD.findall(text[start:])]
    letters = sum(character.isalpha() for character in text[start:])
    foreign = sum(character.isalpha() and ord(character) > 0x24F for character in text[start:])
    english = sum(word in _ENGLISH for word in words)
    few = len(words) >= MIN_ENGLISH_WORDS and english < MIN_ENGLISH_SHARE * len(words)
    if foreign > letters / 3 or (few and not _terse(words)):
        yield Finding(Check.LANGUAGE, Severity.ERROR, "The caption does not seem to be English.")


def _terse(words: Iterable[str]) -> bool:
    """Key words of the field without a sentence around them: "asymmetric, jagged border, black"."""
    words = list(words)
    known = sum(word in _KEY_WORDS for word in words)
    return known >= len(words) / 3


def _repetition(text: str, start: int) -> Iterator[Finding]:
    spans = sentence_spans(text, start)
    counts = Counter(_plain(text[first:end]) for first, end in spans)
    twice = {said for said, times in counts.items() if times > 1 and len(said.split()) > 1}
    again = tuple(span for span in spans if _plain(text[slice(*span)]) in twice)
    if again:
        said = text[slice(*again[0])]
        reason = f"The sentence “{said}” stands here more than once."
        yield Finding(Check.REPETITION, Severity.ERROR, reason, again)
        return
    words = _plain(text[start:]).split()
    grams = Counter(zip(*(words[at:] for at in range(LOOP_WORDS)), strict=False))
    gram, times = max(grams.items(), key=lambda item: item[1], default=((), 0))
    if times >= LOOP_TIMES or _stutters(words):
        what = (
            f"“{' '.join(gram)}” is said {times} times."
            if times >= LOOP_TIMES
            else ("The same word follows itself again and again.")
        )
        yield Finding(Check.REPETITION, Severity.ERROR, what)
    elif len(words) > LONG_WORDS:
        yield Finding(
            Check.REPETITION, Severity.WARNING, f"The caption has {len(words)} words, far too many."
        )


def _stutters(words: list[str]) -> bool:
    return any(
        len(set(words[at : at + LOOP_TIMES])) == 1 for at in range(len(words) - LOOP_TIMES + 1)
    )


def _truncation(text: str) -> Iterator[Finding]:
    said = text.rstrip()
    unclosed = said.count("(") > said.count(")")
    if said.endswith(("...", "\u2026")) or _OPEN_END.search(said) or not _CLOSED.search(said):
        tail = " ".join(said.split()[-TAIL_WORDS:])
        yield Finding(
            Check.TRUNCATION,
            Severity.WARNING,
            f"The caption breaks off: it ends “{tail}”.",
            ((said.rfind(tail.split()[0]) if tail else 0, len(said)),),
        )
    elif unclosed:
        at = said.rindex("(")
        yield Finding(
            Check.TRUNCATION,
            Severity.WARNING,
            "A bracket is opened and never closed: something is missing.",
            ((at, len(said)),),
        )


def _silence(reading: Reading) -> Iterator[Finding]:
    said = reading.attributes
    missing = [
        name
        for name, value in (
            ("asymmetry", said.asymmetry),
            ("border", said.border or said.edge),
            ("colours", said.colours or said.pattern),
        )
        if not value
    ]
    if missing:
        listed = " and ".join(missing) if len(missing) < 3 else "asymmetry, border and colours"
        severity = Severity.WARNING if len(missing) == 3 else Severity.NOTE
        yield Finding(Check.SILENCE, severity, f"The caption says nothing of {listed}.")


def _plain(text: str) -> str:
    return " ".join(word.casefold() for word in _WORD.findall(text))
