"""Where a text mentions a value: cues, qualities with what they are said of, halves, measures."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from backend.abc.cues import BROWN
from backend.abc.lexicon import QUALITY_MEANS, Entry, Role, lexicon
from backend.abc.tokens import Break, Token, tokenise, word_set

_FORWARD_WORDS = 7
_HALF_WORDS = 10
_JOINING = word_set("and or of in the its a an this und to as well with respect overall &")
_STOPPING = word_set(
    "with is are was were be has have had that which on at by for from than show shows "
    "showing it he she there when where appears into along about across mit ist sind"
)
_PREPOSITIONS = word_set("of into from on in against to around within")
_DETERMINERS = word_set("the a an this that its his her their my surrounding adjacent")
_DESCRIBING = frozenset((Role.QUALITY, Role.CUE, Role.LOW, Role.HIGH, Role.CONTRAST))
_HEADED = word_set("asymmetry border pattern")
_LETTER_TOPICS = {"a": "shape", "b": "border", "c": "colour", "d": "size"}


@dataclass(frozen=True, slots=True)
class Span:
    """A phrase of the lexicon at the words `first` to `last` (inclusive)."""

    entry: Entry
    first: int
    last: int


@dataclass(slots=True)
class Mention:
    """A value that the words `first` to `last` mention, and what stands around them."""

    field: str
    value: str
    first: int
    last: int
    strong: bool = False
    of_halves: bool = False
    noun: bool = False
    heading: bool = False
    negator: int | None = None
    low: bool = False
    high: bool = False
    less: bool = False
    wholly: bool = False
    doubted: bool = False
    axes: str = ""

    @property
    def negated(self) -> bool:
        return self.negator is not None


class Document:
    """A text as words and as phrases of the lexicon, longest match first, none overlapping."""

    def __init__(self, text: str) -> None:
        self.tokens: list[Token] = tokenise(text)
        self.spans: list[Span] = list(_match(self.tokens))
        self.at: list[Span | None] = [None] * len(self.tokens)
        for span in self.spans:
            self.at[span.first : span.last + 1] = [span] * (span.last + 1 - span.first)

    def parting(self, index: int) -> Break:
        """What parts the word at `index` from the one before; the end of the text parts fully."""
        return self.tokens[index].parting if index < len(self.tokens) else Break.SENTENCE

    def parted(self, first: int, last: int, limit: Break) -> bool:
        """Whether a break of at least `limit` lies between two words."""
        return any(self.parting(index) >= limit for index in range(first + 1, last + 1))

    def role(self, index: int) -> Role | None:
        span = self.at[index] if 0 <= index < len(self.at) else None
        return span.entry.role if span else None

    def word(self, index: int) -> str:
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def ends_with_colon(self, index: int) -> bool:
        """Whether a colon, or an equals sign, follows the word at `index`."""
        following = self.tokens[index + 1].gap if index + 1 < len(self.tokens) else ""
        return following.startswith((":", "=", "*:", "**:", ":*"))

    @cached_property
    def subjects(self) -> list[str]:
        """For every word, what its clause was last about; empty where nothing was named yet."""
        subjects: list[str] = []
        current = ""
        for index in range(len(self.tokens)):
            parting = self.parting(index)
            if parting >= Break.CLAUSE or (parting is Break.COMMA and current == "skin"):
                current = ""
            subjects.append(current)
            current = self._named_here(index) or current
        return subjects

    def _named_here(self, index: int) -> str:
        span = self.at[index]
        word = self.word(index)
        opens = index == 0 or self.parting(index) >= Break.COMMA
        follows = self.tokens[index + 1].gap if index + 1 < len(self.tokens) else ""
        if word in _LETTER_TOPICS and opens and follows.startswith((":", ")", "-", "~", "=", "**")):
            return _LETTER_TOPICS[word]
        if span is None or span.entry.role is not Role.TOPIC or span.last != index:
            return ""
        if span.entry.value == "skin" and self._in_prepositional_phrase(span.first):
            return ""
        before = span.first - 1
        while before >= max(0, span.first - 3) and self.word(before) in _DETERMINERS:
            before -= 1
        joined = self.word(before) in _PREPOSITIONS and self.parting(before + 1) is Break.NONE
        return "" if joined and before >= 0 else span.entry.value

    def _in_prepositional_phrase(self, index: int) -> bool:
        for before in range(index - 1, max(-1, index - 5), -1):
            if self.parting(before + 1) is not Break.NONE:
                return False
            if self.word(before) in _PREPOSITIONS or self.word(before) == "with":
                return True
        return False


def find_mentions(document: Document) -> list[Mention]:
    """Every mention of a value that the lexicon knows, in the order of the text."""
    found = [mention for span in document.spans if (mention := _mention(document, span))]
    found += _scored(document)
    return sorted(found, key=lambda mention: mention.first)


def _scored(document: Document) -> Iterator[Mention]:
    """The asymmetry score of the ABCD rule: "A: 2", "asymmetry = 0"."""
    for index in range(len(document.tokens) - 1):
        score = document.word(index + 1)
        if score not in ("0", "1", "2") or not document.ends_with_colon(index):
            continue
        follows = document.word(index + 2)
        alone = follows not in ("axis", "achse", "of") or document.parting(index + 2)
        if document.word(index) in ("a", "asymmetry") and alone:
            value = "symmetric" if score == "0" else "asymmetric"
            axes = {"0": "", "1": "one", "2": "two"}[score]
            yield Mention("asymmetry", value, index + 1, index + 1, axes=axes)


def _match(tokens: list[Token]) -> Iterator[Span]:
    known = lexicon()
    index = 0
    while index < len(tokens):
        span = next(_matches_at(tokens, index, known.get(tokens[index].text, ())), None)
        if span:
            yield span
        index = span.last + 1 if span else index + 1


def _matches_at(
    tokens: list[Token], index: int, phrases: tuple[tuple[tuple[str, ...], Entry], ...]
) -> Iterator[Span]:
    for words, entry in phrases:
        end = index + len(words)
        window = tokens[index:end]
        if tuple(token.text for token in window) != words:
            continue
        if any(token.parting is not Break.NONE for token in window[1:]):
            continue
        if entry.value == BROWN and any("/" in token.gap for token in window[1:]):
            continue  # "red/brown" lists two colours, "red-brown" is a shade of one
        yield Span(entry, index, end - 1)


def _mention(document: Document, span: Span) -> Mention | None:
    entry = span.entry
    if entry.role is Role.CUE:
        noun = document.word(span.last).endswith(("y", "ing", "tch", "tion", "op", "tie"))
        heading = entry.field in _HEADED and noun and document.ends_with_colon(span.last)
        return Mention(
            entry.field,
            entry.value,
            span.first,
            span.last,
            entry.strong,
            noun=noun,
            heading=heading,
        )
    if entry.role is Role.QUALITY:
        return _quality(document, span)
    if entry.role in (Role.ALIKE, Role.UNLIKE) and _near_half(document, span):
        value = "symmetric" if entry.role is Role.ALIKE else "asymmetric"
        return Mention("asymmetry", value, span.first, span.last, of_halves=True)
    return None


def _quality(document: Document, span: Span) -> Mention | None:
    topic = _topic_after(document, span) or document.subjects[span.first]
    meaning = QUALITY_MEANS.get((span.entry.value, topic))
    if meaning is None:
        return None
    noun = document.word(span.last).endswith("y")
    heading = noun and document.ends_with_colon(span.last)
    return Mention(*meaning, span.first, span.last, noun=noun, heading=heading)


def _topic_after(document: Document, span: Span) -> str:
    """What the noun phrase that the quality opens is about: "irregular and jagged *border*"."""
    index, unknown = span.last + 1, 0
    while index <= span.last + _FORWARD_WORDS and index < len(document.tokens):
        here = document.at[index]
        if not _goes_on(document, index):
            return ""
        if here is None:
            unknown += document.word(index) not in _JOINING
            if unknown > 2 or document.word(index) in _STOPPING:
                return ""
            index += 1
            continue
        if here.entry.role is Role.TOPIC:
            return _last_topic(document, here).replace("skin", "")
        if here.entry.field == "colour" and span.entry.value in ("even", "uniform"):
            return "colour"
        if here.entry.role not in _DESCRIBING:
            return ""
        index = here.last + 1
    return ""


def _goes_on(document: Document, index: int) -> bool:
    """Whether a row of adjectives may go on at the word, after a comma or a "but"."""
    parting, role = document.parting(index), document.role(index)
    if parting >= Break.CLAUSE or (parting is Break.COMMA and document.tokens[index].gap != ","):
        return False
    if role is Role.CONTRAST:
        return document.role(index + 1) in _DESCRIBING
    if parting is Break.COMMA:
        return role in _DESCRIBING
    return document.word(index) not in ("and", "or") or document.word(index + 1) not in _DETERMINERS


def _last_topic(document: Document, span: Span) -> str:
    """The head of a compound: the border of "lesion border"."""
    following = document.at[span.last + 1] if span.last + 1 < len(document.at) else None
    adjacent = document.parting(span.last + 1) is Break.NONE
    if following and adjacent and following.entry.role is Role.TOPIC:
        return following.entry.value
    return span.entry.value


def _near_half(document: Document, span: Span) -> bool:
    """Whether a half of the lesion is named close by in the same clause."""
    first, last = max(0, span.first - _HALF_WORDS), span.last + _HALF_WORDS
    for index in range(first, min(last + 1, len(document.tokens))):
        near = (index, span.first) if index < span.first else (span.last, index)
        if document.role(index) is Role.HALF and not document.parted(*near, Break.COMMA):
            return True
    return False
