"""What is declared of a dataset, for who is about to import it."""

from collections.abc import Sequence

from backend.corpus.labels import LabelRule
from backend.corpus.record import Source
from backend.corpus.sources import SOURCES
from backend.corpus.sources.generic import GENERIC
from backend.corpus.sources.others import OTHERS
from backend.corpus.sources.paper import PAPER
from studio.markup import facts_html, one_line

GROUPS: tuple[tuple[str, Sequence[Source]], ...] = (
    ("Paper", PAPER),
    ("Other", OTHERS),
    ("Yours", GENERIC),
)


def source_choices() -> list[tuple[str, str]]:
    """The datasets of the paper first, then others, then collections without a name."""
    return [(f"{group}: {one.title}", one.key) for group, sources in GROUPS for one in sources]


def source_html(key: str) -> str:
    """Files, labels, scale, licence and citation of a dataset."""
    source = SOURCES[key]
    facts = {
        "Files expected": source.layout,
        "Labels": rule_words(source.rule),
        "Scale": f"{source.side} px",
        **_published(source),
        "Licence": source.licence,
        "Cite": source.citation or "the owner of the images",
    }
    if source.synthetic:
        facts["Kept apart"] = "as synthetic: no count of real images includes it"
    return one_line(f"""
    <section class="df-source" aria-label="{source.title}"><dl>{facts_html(facts)}</dl></section>
    """)


def rule_words(rule: LabelRule) -> str:
    """A label rule in a sentence."""
    parts = [
        f"{name}: {', '.join(diagnosis.replace('_', ' ') for diagnosis in diagnoses)}"
        for name, diagnoses in (
            ("malignant", rule.malignant),
            ("benign", rule.benign),
            ("dropped", rule.dropped),
        )
        if diagnoses
    ]
    rest = "by the dataset's own label" if rule.by_target else "dropped"
    return "; ".join([*parts, f"anything else: {rest}"])


def _published(source: Source) -> dict[str, str]:
    counts = source.published
    if counts is None:
        return {}
    said = f"{counts.benign:,} benign and {counts.malignant:,} malignant ({counts.source})"
    return {"Published": said}
