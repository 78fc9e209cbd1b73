"""Two captioners compared on the images that both have described."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median

from backend.abc.attributes import Asymmetry, Border, Colour, LesionAttributes
from backend.abc.parser import parse
from backend.captioning.errors import CaptioningError
from backend.captioning.findings import Check
from backend.captioning.kappa import Agreement, agreement_of
from backend.captioning.records import CaptionView, iterate_captions
from backend.captioning.versions import CaptionerVersion
from backend.corpus.queries import CorpusFilter, CorpusView, iterate_corpus
from backend.settings import Settings
from backend.store.database import Database

NAMED, NOT_NAMED = "named", "not named"
RESAMPLES = 2_000


@dataclass(frozen=True)
class AttributeAgreement:
    """How far both agree on an attribute where both state it, and who states it alone."""

    attribute: str
    agreement: Agreement
    only_first: int
    only_second: int
    neither: int


@dataclass(frozen=True)
class Length:
    """Words a caption."""

    mean: float
    median: float
    shortest: int
    longest: int


@dataclass(frozen=True)
class Described:
    """What one captioner made of the images that were compared.

    captions, unsure: of all images of the choice; length, findings: of those that both described;
    a finding counts captions.
    """

    version: CaptionerVersion
    captions: int
    unsure: int
    length: Length | None
    findings: Mapping[Check, int]


@dataclass(frozen=True)
class Disagreement:
    """An attribute of an image that both state, and differently."""

    image_id: str
    dataset: str
    source_id: str
    attribute: str
    first: str
    second: str
    first_caption: str
    second_caption: str


@dataclass(frozen=True)
class Comparison:
    """`images` were to be compared, `both` have two captions, `patients` stand behind them."""

    images: int
    both: int
    patients: int
    first: Described
    second: Described
    attributes: tuple[AttributeAgreement, ...]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True)
class _Pair:
    image: CorpusView
    first: CaptionView
    second: CaptionView
    said: tuple[LesionAttributes, LesionAttributes]

    @property
    def cluster(self) -> str:
        """Whom the image is of, as far as that is known."""
        owner = self.image.patient or self.image.lesion
        return f"{self.image.dataset}/{owner}" if owner else self.image.id


def compare_captions(
    db: Database,
    settings: Settings,
    first: CaptionerVersion,
    second: CaptionerVersion,
    *,
    subset: str | None = None,
    dataset: str | None = None,
    resamples: int = RESAMPLES,
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> Comparison:
    """Agreement, lengths, findings and disagreements of two captioners.

    `step` hears how many images are read and of how many, and may raise to stop. Colours are
    compared where both captions name any: who names none has not denied the others.

    Raises:
        CaptioningError: they are one, or have no image in common.
        CorpusError: there is no such subset.
    """
    if first.reference == second.reference:
        raise CaptioningError(f"{first.reference} cannot be compared with itself: name another.")
    criteria = CorpusFilter(dataset=dataset) if dataset else None
    images = {one.id: one for one in iterate_corpus(db, settings, criteria, subset=subset)}
    ours = _captions(db, first, images)
    theirs = _captions(db, second, images)
    described = [
        image
        for key, image in images.items()
        if key in ours and key in theirs and ours[key].text and theirs[key].text
    ]
    pairs = []
    for done, image in enumerate(described):
        step(done, len(described))
        pairs.append(_pair(image, ours[image.id], theirs[image.id]))
    if not pairs:
        raise CaptioningError(
            f"{first.reference} and {second.reference} have described no image in common: caption "
            "the same subset with both first."
        )
    return Comparison(
        images=len(images),
        both=len(pairs),
        patients=len({pair.cluster for pair in pairs}),
        first=_described(first, ours, [pair.first for pair in pairs]),
        second=_described(second, theirs, [pair.second for pair in pairs]),
        attributes=tuple(
            _agreement(attribute, read, pairs, resamples) for attribute, read in _READERS.items()
        ),
        disagreements=tuple(_disagreements(pairs)),
    )


def _captions(
    db: Database, version: CaptionerVersion, images: Mapping[str, CorpusView]
) -> dict[str, CaptionView]:
    return {
        one.image_id: one
        for one in iterate_captions(db, version.captioner, version.version)
        if one.image_id in images
    }


def _pair(image: CorpusView, first: CaptionView, second: CaptionView) -> _Pair:
    said = parse(first.text).attributes, parse(second.text).attributes
    return _Pair(image, first, second, said)


def _asymmetry(said: LesionAttributes) -> str | None:
    return said.asymmetry.value if said.asymmetry else None


def _border(said: LesionAttributes) -> str | None:
    return said.border.value if said.border else None


def _colour(colour: Colour, said: LesionAttributes) -> str | None:
    if not said.colours:
        return None
    return NAMED if colour in said.colours else NOT_NAMED


_READERS: Mapping[str, Callable[[LesionAttributes], str | None]] = {
    "asymmetry": _asymmetry,
    "border": _border,
    **{colour.value: partial(_colour, colour) for colour in Colour},
}
_VALUES: Mapping[str, Sequence[str]] = {
    "asymmetry": [one.value for one in Asymmetry],
    "border": [one.value for one in Border],
    **{colour.value: [NOT_NAMED, NAMED] for colour in Colour},
}


def _agreement(
    attribute: str,
    read: Callable[[LesionAttributes], str | None],
    pairs: Sequence[_Pair],
    resamples: int,
) -> AttributeAgreement:
    values = _VALUES[attribute]
    said = [(read(pair.said[0]), read(pair.said[1]), pair.cluster) for pair in pairs]
    both = [(a, b, cluster) for a, b, cluster in said if a is not None and b is not None]
    agreement = agreement_of(
        [values.index(a) for a, _, _ in both],
        [values.index(b) for _, b, _ in both],
        len(values),
        [cluster for _, _, cluster in both],
        resamples=resamples,
    )
    stated = Counter((a is not None, b is not None) for a, b, _ in said)
    return AttributeAgreement(
        attribute=attribute,
        agreement=agreement,
        only_first=stated[True, False],
        only_second=stated[False, True],
        neither=stated[False, False],
    )


def _described(
    version: CaptionerVersion, all_of: Mapping[str, CaptionView], both: Sequence[CaptionView]
) -> Described:
    words = [len(one.text.split()) for one in both]
    checks = Counter(check for one in both for check in {found.check for found in one.findings})
    return Described(
        version=version,
        captions=sum(bool(one.text) for one in all_of.values()),
        unsure=sum(not one.text for one in all_of.values()),
        length=Length(fmean(words), median(words), min(words), max(words)) if words else None,
        findings={check: checks[check] for check in Check if checks[check]},
    )


def _disagreements(pairs: Sequence[_Pair]) -> Iterator[Disagreement]:
    for pair in pairs:
        for attribute, read in _READERS.items():
            first, second = read(pair.said[0]), read(pair.said[1])
            if first is None or second is None or first == second:
                continue
            yield Disagreement(
                image_id=pair.image.id,
                dataset=pair.image.dataset,
                source_id=pair.image.source_id,
                attribute=attribute,
                first=first,
                second=second,
                first_caption=pair.first.text,
                second_caption=pair.second.text,
            )
