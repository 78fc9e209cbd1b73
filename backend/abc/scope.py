"""How far the words reach that deny, weaken, strengthen or doubt a mention.

Negation follows NegEx (Chapman et al., J Biomed Inform 2001;34:301): a trigger denies what
follows in its clause, or, as in "black is absent", what came before. A list stays denied as long as
its members are alike: "no red, white or blue", but not "no asymmetry, regular border".
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from backend.abc.attributes import Asymmetry, Border, ColourPattern, Edge
from backend.abc.cues import WEAK_VARIEGATED
from backend.abc.lexicon import Role
from backend.abc.mentions import Document, Mention, Span
from backend.abc.tokens import Break, word_set

_REACH_TO_FIRST = 9
_REACH_BETWEEN = 5
_DEGREE_WORDS = 4
_DOUBT_WORDS = 12
_NEAR_WORDS = 4
_ANSWER_WORDS = 3
_LISTED_WORDS = 20
_ENDING = word_set(
    "is are was were seen noted present in on with within has have show shows which that this "
    "it its measuring there found while throughout only just ist sind mit"
)
_COPULAS = word_set("is are was were of degree and in its looks appears marked")
_NORMAL = frozenset((Asymmetry.SYMMETRIC, Border.REGULAR, Edge.WELL_DEFINED, ColourPattern.UNIFORM))
_ABNORMAL = frozenset(
    (
        "asymmetric",
        Asymmetry.TWO_AXES,
        Border.SLIGHTLY_IRREGULAR,
        Border.IRREGULAR,
        Edge.FADING,
        ColourPattern.VARIEGATED,
        WEAK_VARIEGATED,
    )
)


def apply_scopes(document: Document, mentions: list[Mention]) -> None:
    """Mark on every mention, in the order of the text, what the words around it do to it."""
    starts = [mention.first for mention in mentions]
    for span in document.spans:
        role = span.entry.role
        if role is Role.NEGATOR:
            _deny(_denied_after(document, mentions, starts, span.last), span)
        elif role is Role.ABSENT:
            _deny(_absent(document, mentions, starts, span), span)
        elif role in (Role.DOUBT, Role.DOUBTED):
            _doubt(document, mentions, starts, span)
        elif role is Role.AXES:
            _count_axes(document, mentions, starts, span)
    for mention in mentions:
        _weigh(document, mention)
        mention.doubted |= _questioned(document, mention)


def _deny(denied: Iterable[Mention], trigger: Span) -> None:
    for mention in denied:
        mention.negator = trigger.first
        mention.heading = False


def _absent(
    document: Document, mentions: list[Mention], starts: list[int], trigger: Span
) -> Iterator[Mention]:
    """What "is absent": the mentions before it, or those listed after "absent:"."""
    if document.ends_with_colon(trigger.last):
        return _after(document, mentions, starts, trigger.last, _LISTED_WORDS)
    return _before(document, mentions, starts, trigger.first, _DOUBT_WORDS)


def _doubt(document: Document, mentions: list[Mention], starts: list[int], trigger: Span) -> None:
    near, both = trigger.entry.value == "near", trigger.entry.value == "both"
    if trigger.entry.role is Role.DOUBT:
        reach = _NEAR_WORDS if near else _DOUBT_WORDS
        for mention in _after(document, mentions, starts, trigger.last, reach):
            mention.doubted |= not near or mention.field in ("label", "diagnosis")
    if trigger.entry.role is Role.DOUBTED or both:
        for mention in _before(document, mentions, starts, trigger.first, _DOUBT_WORDS):
            mention.doubted = True


def _denied_after(
    document: Document, mentions: list[Mention], starts: list[int], trigger: int
) -> Iterator[Mention]:
    """The mentions that a trigger ending at the word `trigger` denies."""
    previous: Mention | None = None
    limit = trigger + _REACH_TO_FIRST
    index = bisect_left(starts, trigger + 1)
    if document.parting(trigger + 1) >= Break.COMMA:
        yield from _answered(document, mentions, starts, trigger)
    position = trigger
    while index < len(mentions) and mentions[index].first <= limit:
        mention = mentions[index]
        if _closed(document, position, mention, previous):
            return
        if previous and not _same_list(document, mentions, index, previous):
            return
        yield mention
        previous, position = mention, mention.last
        limit, index = mention.last + _REACH_BETWEEN, index + 1


def _answered(
    document: Document, mentions: list[Mention], starts: list[int], answer: int
) -> Iterator[Mention]:
    """What a bare "no" denies: "asymmetry: no", "irregular border? No."."""
    if answer and document.ends_with_colon(answer - 1):
        yield from _before(document, mentions, starts, answer, _REACH_TO_FIRST)
    elif document.tokens[answer].gap.startswith("?") and answer:
        last = bisect_left(starts, answer) - 1
        if last >= 0 and answer - mentions[last].last <= _ANSWER_WORDS:
            yield mentions[last]


def _closed(document: Document, position: int, mention: Mention, previous: Mention | None) -> bool:
    """Whether the scope ends somewhere between the word `position` and the mention."""
    for index in range(position + 1, mention.first + 1):
        parting = document.parting(index)
        if parting >= Break.CLAUSE or (parting is Break.COMMA and previous is None):
            return True
        if previous and ":" in document.tokens[index].gap:
            return True
        if index == mention.first:
            continue
        if document.role(index) is Role.CONTRAST:
            return True
        denied_anew = document.role(index) is Role.NEGATOR
        if previous and (denied_anew or document.word(index) in _ENDING):
            return True
    return False


def _same_list(document: Document, mentions: list[Mention], index: int, previous: Mention) -> bool:
    """Whether the mention at `index` goes on with the denied list that `previous` is in."""
    mention = mentions[index]
    between = {document.word(i) for i in range(previous.last + 1, mention.first)}
    if document.parted(previous.last, mention.first, Break.COMMA):
        near = mention.first - previous.last <= 3
        return near and mention.field == previous.field and _closes(document, mentions, index)
    if between & {"and"} and between & {"a", "an"}:
        return False
    if previous.field == mention.field:
        return previous.value in _NORMAL or mention.value not in _NORMAL
    if between & {"or", "nor", "oder"}:
        return not (previous.value in _ABNORMAL and mention.value in _NORMAL)
    alike = previous.value in _ABNORMAL and mention.value in _ABNORMAL
    return alike and mention.noun and not between & {"a", "an", "the", "its"}


def _closes(document: Document, mentions: list[Mention], index: int) -> bool:
    """Whether a list of colours with commas is one list: an "or", "nor" or "and" ends it.

    For other fields an enumeration without a conjunction denies all the same.
    """
    mention = mentions[index]
    if mention.field != "colour":
        return True
    for position in range(mention.first - 1, min(mention.last + 8, len(document.tokens))):
        if document.parting(position) >= Break.CLAUSE:
            return False
        if document.word(position) in ("or", "nor", "oder"):
            return True
    return False


def _after(
    document: Document, mentions: list[Mention], starts: list[int], word: int, reach: int
) -> Iterator[Mention]:
    """The mentions that follow a word in its clause, up to a contrast."""
    for index in range(bisect_left(starts, word + 1), len(mentions)):
        mention = mentions[index]
        if mention.first > word + reach or document.parted(word, mention.first, Break.CLAUSE):
            return
        if any(document.role(i) is Role.CONTRAST for i in range(word + 1, mention.first)):
            return
        yield mention


def _before(
    document: Document, mentions: list[Mention], starts: list[int], word: int, reach: int
) -> Iterator[Mention]:
    """The mentions that come before a word with no comma, clause or contrast in between."""
    end = bisect_left(starts, word)
    for mention in reversed(mentions[max(0, end - reach) : end]):
        if mention.last < word - reach or mention.last >= word:
            return
        between = range(mention.last + 1, word + 1)
        if any(_parts(document, index) for index in between):
            return
        if any(document.role(i) in (Role.CONTRAST, Role.NEGATOR) for i in between):
            return
        yield mention


def _parts(document: Document, index: int) -> bool:
    parting = document.parting(index)
    return parting >= Break.CLAUSE or (
        parting is Break.COMMA and not document.ends_with_colon(index - 1)
    )


def _count_axes(
    document: Document, mentions: list[Mention], starts: list[int], trigger: Span
) -> None:
    """Give the number of axes to the nearest asymmetry mention of the clause."""
    first, last, axes = trigger.first, trigger.last, trigger.entry.value
    around = [
        *_before_axes(document, mentions, starts, first),
        *_after(document, mentions, starts, last, _DOUBT_WORDS),
    ]
    shapes = [mention for mention in around if mention.field == "asymmetry"]
    if not shapes:
        return
    nearest = min(shapes, key=lambda m: first - m.last if m.first < first else m.first - last)
    nearest.axes = nearest.axes or ("two" if axes == "neither" else axes)
    nearest.heading = False
    if axes == "neither":
        nearest.negator = first


def _before_axes(
    document: Document, mentions: list[Mention], starts: list[int], word: int
) -> Iterator[Mention]:
    end = bisect_left(starts, word)
    for mention in reversed(mentions[max(0, end - _DOUBT_WORDS) : end]):
        far = mention.last < word - _DOUBT_WORDS
        if far or document.parted(mention.last, word, Break.CLAUSE):
            return
        yield mention


def _weigh(document: Document, mention: Mention) -> None:
    """Degrees before the mention ("slightly irregular") or after it ("asymmetry is marked")."""
    for index in range(mention.first - 1, max(-1, mention.first - 1 - _DEGREE_WORDS), -1):
        if document.parting(index + 1) >= Break.COMMA or not _transparent(document, index, mention):
            break
        _take_degree(document, index, mention)
    for index in range(mention.last + 1, min(mention.last + 4, len(document.tokens))):
        span = document.at[index]
        if document.parting(index) >= Break.COMMA and not mention.heading:
            break
        if span and span.entry.role in (Role.LOW, Role.HIGH):
            follows = document.at[span.last + 1] if span.last + 1 < len(document.at) else None
            trailing = follows is None or follows.entry.role in (Role.CONTRAST, Role.TOPIC)
            if trailing and (mention.noun or span.last > span.first):
                _take_degree(document, index, mention)
            break
        if span or document.word(index) not in _COPULAS:
            break
    if mention.heading and (mention.low or mention.high):
        mention.heading = False


def _transparent(document: Document, index: int, mention: Mention) -> bool:
    """Whether a degree further left may still reach the mention across this word."""
    span = document.at[index]
    if document.word(index) in ("and", "or"):
        return document.role(index - 1) in (Role.QUALITY, Role.CUE)
    if span is None:
        return document.word(index) not in ("is", "are", "with", "has", "no", "while", "in", "on")
    if span.entry.role in (Role.LOW, Role.HIGH, Role.LESS, Role.TOPIC, Role.MAINLY):
        return True
    if span.entry.role is Role.QUALITY:
        return mention.field in ("border", "edge") and document.word(mention.first - 1) == "and"
    return False


def _take_degree(document: Document, index: int, mention: Mention) -> None:
    span = document.at[index]
    if span is None:
        return
    role, value = span.entry.role, span.entry.value
    if role is Role.LOW and (value != "noun" or mention.noun):
        mention.low = True
    mention.high |= role is Role.HIGH
    mention.wholly |= value == "wholly"
    mention.less |= role is Role.LESS


def _questioned(document: Document, mention: Mention) -> bool:
    """A question mark right before or after the mention: "?melanoma", "melanoma?"."""
    gaps = [document.tokens[mention.first].gap[-1:]]
    if mention.last + 1 < len(document.tokens):
        gaps.append(document.tokens[mention.last + 1].gap[:1])
    return "?" in gaps
