"""From one attribute value to the ways of saying it, with every smaller choice already drawn."""

from collections.abc import Sequence
from random import Random

from backend.abc.attributes import (
    Border,
    Colour,
    ColourPattern,
    Edge,
    LesionAttributes,
    pattern_of,
)
from backend.abc.vocabulary import (
    ASYMMETRY,
    BORDER_ADJECTIVES,
    BORDER_CLAUSES,
    BORDER_NOUNS,
    COLOUR_NAMES,
    COLOUR_NOUNS,
    EDGE_ADJECTIVES,
    EDGE_ENDINGS,
    EDGE_NOUNS,
    EDGE_PHRASES,
    MAINLY,
    PARTS,
    PATTERN,
    PATTERN_ADJECTIVES,
    Wording,
)


def describe_morphology(attributes: LesionAttributes, rng: Random) -> list[Wording]:
    """What there is to say of asymmetry, border with edge, and colours, in the order to say it."""
    items = [ASYMMETRY[attributes.asymmetry]] if attributes.asymmetry else []
    border, edge = attributes.border, attributes.edge
    if border and edge and rng.random() < 0.65:
        items.append(_border_with_edge(border, edge, rng))
    else:
        items += [_border(border, rng)] if border else []
        items += [_edge(edge, rng)] if edge else []
    items += _colour(attributes.colours, attributes.pattern, rng)
    if rng.random() < 0.25:
        rng.shuffle(items)
    return items


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an", as it is spoken."""
    consonant = phrase.startswith(("uni", "one"))
    vowel = phrase[0] in "aeiou" or phrase.startswith(("8", "11", "18"))
    return f"an {phrase}" if vowel and not consonant else f"a {phrase}"


def listed(items: Sequence[str], link: str = "and") -> str:
    """ "a", "a and b" or "a, b and c"; a comma before `link` where an item has an inner "and"."""
    if len(items) == 1:
        return items[0]
    nested = len(items) > 2 and any(" and " in item or "," in item for item in items)
    return f"{', '.join(items[:-1])}{',' if nested else ''} {link} {items[-1]}"


def _border(border: Border, rng: Random) -> Wording:
    adjective, noun = rng.choice(BORDER_ADJECTIVES[border]), rng.choice(BORDER_NOUNS)
    phrase = f"{with_article(adjective)} {noun}"
    return Wording(
        predicates=(f"has {phrase}", f"shows {phrase}"),
        clauses=(f"the {noun} is {adjective}", rng.choice(BORDER_CLAUSES[border])),
        phrases=(phrase,),
    )


def _edge(edge: Edge, rng: Random) -> Wording:
    adjective, noun = rng.choice(EDGE_ADJECTIVES[edge]), rng.choice(EDGE_NOUNS)
    phrase, ending = rng.choice(EDGE_PHRASES[edge]), rng.choice(EDGE_ENDINGS[edge])
    return Wording(
        predicates=(f"has {with_article(adjective)} {noun}", f"has {phrase}"),
        clauses=(f"the {noun} is {adjective}", f"the {noun} {ending}", f"the pigment {ending}"),
        phrases=(f"{with_article(adjective)} {noun}", phrase),
    )


def _border_with_edge(border: Border, edge: Edge, rng: Random) -> Wording:
    outline, noun = rng.choice(BORDER_ADJECTIVES[border]), rng.choice(BORDER_NOUNS)
    cut, ending = rng.choice(EDGE_ADJECTIVES[edge]), rng.choice(EDGE_ENDINGS[edge])
    link = "and" if (border is Border.REGULAR) == (edge is Edge.WELL_DEFINED) else "but"
    phrase = rng.choice(
        (
            f"{with_article(outline)} {noun} that {ending}",
            f"{with_article(outline)}, {cut} {noun}",
            f"{with_article(cut)}, {outline} {noun}",
        )
    )
    two = f"{with_article(outline)} {noun} and {rng.choice(EDGE_PHRASES[edge])}"
    return Wording(
        predicates=(f"has {phrase}", f"shows {phrase}", f"has {two}"),
        clauses=(
            f"the {noun} is {outline} {link} {ending}",
            f"the {noun} is {outline} {link} {cut}",
            f"the {outline} {noun} {ending}",
            f"the {outline} {noun} is {cut}",
        ),
        phrases=(phrase,),
    )


def _colour(
    colours: tuple[Colour, ...], pattern: ColourPattern | None, rng: Random
) -> list[Wording]:
    if not colours:
        return [PATTERN[pattern]] if pattern else []
    names = [rng.choice(COLOUR_NAMES[colour]) for colour in colours]
    implied = pattern is pattern_of(colours)
    if pattern is None or (implied and rng.random() < 0.4):
        return [_named(names, rng)]
    if implied and rng.random() < 0.65:
        return [_patterned(names, rng.choice(PATTERN_ADJECTIVES[pattern]), rng)]
    return [PATTERN[pattern], _named(names, rng)]


def _named(names: list[str], rng: Random) -> Wording:
    """The colours alone, the dominant one first."""
    noun = rng.choice(COLOUR_NOUNS)
    if len(names) == 1:
        coloured = _coloured(names[0], noun)
        return Wording(
            predicates=(f"is {names[0]}", f"has {coloured}"),
            clauses=(f"the {noun} is {names[0]}",),
            phrases=(coloured,),
        )
    described, mixed = _composition(names, rng)
    others, parts = names[1:], rng.choice(PARTS)
    ground = f"{with_article(rng.choice(MAINLY))} {names[0]} background"
    return Wording(
        predicates=(f"is {described}", f"shows {mixed}"),
        clauses=(
            f"the {noun} is {described}",
            f"{parts} {listed(others)} lie on {ground}",
            f"the {noun} is {mixed}",
        ),
        phrases=(mixed, f"{parts} {listed(others)} on {ground}"),
    )


def _patterned(names: list[str], adjective: str, rng: Random) -> Wording:
    """The colours together with the word for their pattern."""
    noun = "pigmentation" if "colour" in adjective else rng.choice(COLOUR_NOUNS)
    if len(names) == 1:
        single = _coloured(f"{adjective} {names[0]}", noun)
        return Wording(
            predicates=(f"is uniformly {names[0]}", f"is {names[0]} throughout", f"has {single}"),
            clauses=(
                f"the {noun} is {with_article(adjective)} {names[0]}",
                f"the {noun} is {names[0]} throughout",
            ),
            phrases=(single, f"a single {names[0]} colour"),
        )
    described, _ = _composition(names, rng)
    return Wording(
        predicates=(
            f"is {adjective}, {described}",
            f"has {_coloured(adjective, noun)}, {described}",
        ),
        clauses=(
            f"the {noun} is {adjective}, {described}",
            f"the {noun} is {adjective}: {described}",
        ),
        phrases=(f"{adjective} {noun} of {listed(names)}", f"{adjective} {noun}, {described}"),
    )


def _coloured(adjectives: str, noun: str) -> str:
    """ "a tan colour", but "tan pigmentation": only colours are counted."""
    return f"{with_article(adjectives) if noun == 'colour' else adjectives} {noun}"


def _composition(names: list[str], rng: Random) -> tuple[str, str]:
    """Two or more colours as an adjective and as a noun, the dominant one first."""
    others = names[1:]
    rng.shuffle(others)
    main, parts = rng.choice(MAINLY), rng.choice(PARTS)
    described = rng.choice(
        (
            f"{main} {names[0]} with {parts} {listed(others)}",
            f"{main} {names[0]} with some {listed(others)}",
            f"{names[0]} with {parts} {listed(others)}",
            listed([names[0], *others]),
        )
    )
    mixture = rng.choice(("a mix", "a mixture", "a combination"))
    return described, f"{mixture} of {listed([names[0], *others])}"
