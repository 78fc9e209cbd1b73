"""Reads lesion attributes back from free text, with negation, hedging and contrast.

Conventions, where words are wider than the value objects:

- Asymmetry without axis or degree is one axis; marked asymmetry is two, unless the words set just
  one half against the other.
- Plain "brown" is dark brown, or light brown beside a darker one (see `colours`). Blue and gray are
  the blue-gray of the ABCD rule, pink is red, tan and beige are light brown. Skin-coloured, yellow
  and purple are none of the six.
- Without a word for it, the pattern follows from the number of colours.
- A label or lesion type that is only suspected, compared or excluded is not stated. A lesion type
  does not state its label.
- Of a range of skin types the lower counts, of several dimensions the largest.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from backend.abc.attributes import (
    Asymmetry,
    Diagnosis,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
)
from backend.abc.colours import ColourMention, dominant_first, name_colours
from backend.abc.mentions import Document, Mention, find_mentions
from backend.abc.quantities import find_diameters, find_skin_tones
from backend.abc.reading import Evidence, Reading, highlight_spans
from backend.abc.resolution import (
    asserted,
    asymmetry_of,
    border_of,
    edge_of,
    pattern_said,
    resolve_asymmetry,
    resolve_border,
    resolve_diagnosis,
    resolve_pattern,
)
from backend.abc.scope import apply_scopes
from backend.abc.sites import names_site

__all__ = ["Evidence", "Reading", "highlight_spans", "parse"]

_ASYMMETRIC = frozenset((Asymmetry.ONE_AXIS.value, Asymmetry.TWO_AXES.value))


def parse(text: str) -> Reading:
    """What the text says of a lesion. Any text can be read, in time linear in its length."""
    document = Document(text)
    mentions = find_mentions(document)
    apply_scopes(document, mentions)
    fields = _by_field(document, mentions)
    colours = name_colours(document, fields["colour"])
    stated = [(colour, mention) for colour, mention in colours if not mention.negated]
    skin, sizes = find_skin_tones(document), find_diameters(document)
    names = dominant_first(document, stated)
    label, diagnosis = resolve_diagnosis(
        [Label(mention.value) for mention in _stated(fields["label"])],
        [Diagnosis(mention.value) for mention in _stated(fields["diagnosis"])],
    )
    modality, site = _first(fields["modality"]), _first(fields["site"])
    edges = [edge_of(mention) for mention in fields["edge"]]
    attributes = LesionAttributes(
        asymmetry=resolve_asymmetry(fields["asymmetry"]),
        border=resolve_border(fields["border"]),
        edge=edges[-1] if edges else None,
        colours=names,
        pattern=resolve_pattern(fields["pattern"], names),
        label=label,
        diagnosis=diagnosis,
        modality=Modality(modality) if modality else None,
        skin_tone=SkinTone(int(skin[0].value)) if skin else None,
        site=Site(site) if site else None,
        diameter_mm=float(sizes[0].value) if sizes else None,
    )
    evidence = [
        *_shape_evidence(document, fields),
        *_colour_evidence(document, colours),
        *_frame_evidence(document, fields, [*skin[:1], *sizes[:1]]),
    ]
    ordered = tuple(sorted(evidence, key=lambda said: (said.start, said.end)))
    return Reading(attributes, ordered, _denied(fields, colours))


def _by_field(document: Document, mentions: Sequence[Mention]) -> Mapping[str, list[Mention]]:
    fields: defaultdict[str, list[Mention]] = defaultdict(list)
    for mention in mentions:
        if mention.field == "site" and not names_site(document, mention):
            continue
        if asserted(document, mention):
            fields[mention.field].append(mention)
    return fields


def _stated(mentions: Sequence[Mention]) -> list[Mention]:
    return [mention for mention in mentions if not mention.negated and not mention.doubted]


def _first(mentions: Sequence[Mention]) -> str | None:
    return next((mention.value for mention in mentions if not mention.negated), None)


def _shape_evidence(document: Document, fields: Mapping[str, list[Mention]]) -> Iterator[Evidence]:
    """What the words on asymmetry, border, edge and pattern amount to, denials included."""
    amounts: Mapping[str, Callable[[Mention], str | None]] = {
        "asymmetry": lambda mention: asymmetry_of(mention)[1],
        "border": lambda mention: border_of(mention)[1],
        "edge": edge_of,
        "pattern": pattern_said,
    }
    for field, amount in amounts.items():
        for mention in fields[field]:
            value = amount(mention)
            if value is not None:
                yield _evidence(document, mention, field, str(value), negated=False)


def _colour_evidence(document: Document, colours: Sequence[ColourMention]) -> Iterator[Evidence]:
    for colour, mention in colours:
        yield _evidence(document, mention, "colours", colour.value, negated=mention.negated)


def _frame_evidence(
    document: Document, fields: Mapping[str, list[Mention]], measured: Sequence[Mention]
) -> Iterator[Evidence]:
    for field in ("label", "diagnosis", "modality", "site"):
        for mention in fields[field]:
            if mention.negated or not mention.doubted:
                yield _evidence(document, mention, field, mention.value, negated=mention.negated)
    for mention in measured:
        yield _evidence(document, mention, mention.field, mention.value, negated=False)


def _evidence(
    document: Document, mention: Mention, field: str, value: str, *, negated: bool
) -> Evidence:
    start = document.tokens[mention.first].start
    return Evidence(start, document.tokens[mention.last].end, field, value, negated)


def _denied(
    fields: Mapping[str, list[Mention]], colours: Sequence[ColourMention]
) -> Mapping[str, frozenset[str]]:
    denied: defaultdict[str, set[str]] = defaultdict(set)
    for field, mentions in fields.items():
        if field != "colour":
            for mention in mentions:
                if mention.negated:
                    denied[field] |= (
                        _ASYMMETRIC if mention.value == "asymmetric" else {mention.value}
                    )
    for colour, mention in colours:
        if mention.negated:
            denied["colours"].add(colour.value)
    return {field: frozenset(values) for field, values in denied.items()}
