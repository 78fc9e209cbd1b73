"""What a review set can be made of: captions of the corpus, images of the gallery, both mixed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVarTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.abc.agreement import agreement
from backend.abc.attributes import SkinTone
from backend.captioning.findings import Severity
from backend.generation.gallery import GalleryFilter, matching
from backend.review.errors import ReviewError
from backend.review.recipe import ReviewRecipe
from backend.review.sampling import Candidate
from backend.review.states import ReviewKind, Strategy
from backend.store.attributes import COLOUR_BITS, measured_attributes, requested_attributes
from backend.store.tables import (
    CaptionFinding,
    CorpusImage,
    CorpusSubset,
    CorpusSubsetMember,
    Image,
    ImageCaption,
    ImageMeasurement,
    ImageSet,
)

GALLERY = "gallery"
"""Stands for the dataset of generated images."""
_GRAVITY = {Severity.ERROR: 0.0, Severity.WARNING: 1.0, Severity.NOTE: 2.0, None: 3.0}
_ALL_COLOURS = len(COLOUR_BITS)
_Columns = TypeVarTuple("_Columns")


def check_sources(session: Session, recipe: ReviewRecipe) -> None:
    """Whether what the recipe names is there, as quick for any number of captions.

    Raises:
        ReviewError: there is no such captioner, version, subset, dataset or set of images.
    """
    if recipe.kind is ReviewKind.CAPTIONS:
        _check_captioner(session, recipe.captioner, recipe.prompt)
    if recipe.kind is not ReviewKind.CAPTIONS and recipe.image_set is not None:
        _check_image_set(session, recipe.image_set)
    if recipe.kind is not ReviewKind.IMAGES:
        if recipe.subset is not None:
            _subset_id(session, recipe.subset)
        if recipe.dataset is not None:
            _check_dataset(session, recipe.dataset)


def newest_prompt(session: Session, captioner: str) -> str:
    """The version by which a captioner wrote last; empty where it wrote nothing."""
    found = session.scalar(
        select(ImageCaption.prompt)
        .where(ImageCaption.captioner == captioner)
        .order_by(ImageCaption.created_at.desc())
        .limit(1)
    )
    return found or ""


def caption_candidates(session: Session, recipe: ReviewRecipe, prompt: str) -> list[Candidate]:
    """Captions of one version of a captioner that the recipe allows, ranked by its strategy.

    Raises:
        ReviewError: there is no such subset.
    """
    statement = _narrowed(
        session,
        recipe,
        select(
            ImageCaption.id,
            ImageCaption.image_id,
            ImageCaption.text,
            ImageCaption.worst,
            CorpusImage.label,
            CorpusImage.dataset,
            CorpusImage.source_id,
            CorpusImage.skin_tone,
            ImageMeasurement.skin_tone,
        )
        .join(CorpusImage, CorpusImage.id == ImageCaption.image_id)
        .outerjoin(ImageMeasurement, ImageMeasurement.image_id == ImageCaption.image_id)
        .where(
            ImageCaption.captioner == recipe.captioner,
            ImageCaption.prompt == prompt,
            ImageCaption.text != "",
        ),
    )
    if recipe.strategy is Strategy.FLAGGED:
        statement = _flagged(recipe, statement)
    candidates = [
        Candidate(
            image_id=image_id,
            caption_id=caption_id,
            text=text,
            label=label,
            dataset=dataset,
            source=source,
            skin_tone=tone or _roman(measured),
            rank=_GRAVITY[worst],
        )
        for caption_id, image_id, text, worst, label, dataset, source, tone, measured in (
            session.execute(statement)
        )
    ]
    if recipe.strategy is not Strategy.ACTIVE:
        return candidates
    doubts = _doubts(session, recipe.captioner, prompt)
    return [replace(one, rank=-doubts.get(one.image_id, 0.0)) for one in candidates]


def real_candidates(session: Session, recipe: ReviewRecipe) -> list[Candidate]:
    """Real images of the corpus; raises ReviewError where there is no such subset."""
    statement = _narrowed(
        session,
        recipe,
        select(
            CorpusImage.id,
            CorpusImage.label,
            CorpusImage.dataset,
            CorpusImage.source_id,
            CorpusImage.skin_tone,
        ).where(CorpusImage.synthetic.is_(False)),
    )
    return [
        Candidate(image_id, None, "", label, dataset, source, tone)
        for image_id, label, dataset, source, tone in session.execute(statement)
    ]


def image_candidates(session: Session, recipe: ReviewRecipe) -> list[Candidate]:
    """Generated images, no drafts."""
    wanted = GalleryFilter(image_set=recipe.image_set, job_id=recipe.job_id, drafts=False)
    candidates = []
    for row in session.scalars(select(Image).where(*matching(wanted)).order_by(Image.id)):
        doubt = 1 - agreement(requested_attributes(row), measured_attributes(row))
        if recipe.strategy is Strategy.FLAGGED and not doubt:
            continue
        candidates.append(
            Candidate(
                image_id=row.id,
                caption_id=None,
                text=row.caption,
                label=row.label,
                dataset=GALLERY,
                source=row.id,
                skin_tone=_roman(row.skin_tone),
                synthetic=True,
                rank=-doubt,
            )
        )
    return candidates


def _narrowed(
    session: Session, recipe: ReviewRecipe, statement: Select[*_Columns]
) -> Select[*_Columns]:
    if recipe.dataset is not None:
        statement = statement.where(CorpusImage.dataset == recipe.dataset)
    if recipe.subset is None:
        return statement
    subset = _subset_id(session, recipe.subset)
    return statement.join(
        CorpusSubsetMember,
        (CorpusSubsetMember.image_id == CorpusImage.id) & (CorpusSubsetMember.subset_id == subset),
    )


def _subset_id(session: Session, name: str) -> str:
    found = session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == name))
    if found is None:
        raise ReviewError(f"There is no subset '{name}': `corpus subset list` shows them.")
    return found


def _check_dataset(session: Session, name: str) -> None:
    one = select(CorpusImage.id).where(CorpusImage.dataset == name).limit(1)
    if session.scalar(one) is None:
        raise ReviewError(f"There is no image of a dataset '{name}': `corpus list` shows them.")


def _check_image_set(session: Session, name: str) -> None:
    if session.scalar(select(ImageSet.id).where(ImageSet.name == name)) is None:
        raise ReviewError(f"There is no set of images '{name}': look at the gallery.")


def _check_captioner(session: Session, captioner: str, prompt: str | None) -> None:
    one = select(ImageCaption.id).where(ImageCaption.captioner == captioner).limit(1)
    if prompt is not None:
        one = one.where(ImageCaption.prompt == prompt)
    if session.scalar(one) is None:
        version = "" if prompt is None else f" by its version '{prompt}'"
        raise ReviewError(
            f"The captioner {captioner} has written nothing yet{version}: `python -m backend "
            "caption` captions images, and `captions list` names captioners."
        )


def _flagged(recipe: ReviewRecipe, statement: Select[*_Columns]) -> Select[*_Columns]:
    if not recipe.checks:
        return statement.where(ImageCaption.worst.in_((Severity.ERROR, Severity.WARNING)))
    found = select(CaptionFinding.caption_id).where(
        CaptionFinding.caption_id == ImageCaption.id,
        CaptionFinding.check.in_(recipe.checks),
    )
    return statement.where(found.exists())


def _doubts(session: Session, captioner: str, prompt: str) -> dict[str, float]:
    """By image: how far its caption is from the measurement and from other captions, in 0..6.

    Asymmetry and border count 1 where they differ, colours the share of the six on which they
    do; against the measurement each weighs as much as the meter is sure, against other captions
    as many of them as differ.
    """
    measured = {
        image_id: (said, sure)
        for image_id, said, sure in (
            (row[0], row[1:4], row[4:7])
            for row in session.execute(
                select(
                    ImageMeasurement.image_id,
                    ImageMeasurement.asymmetry,
                    ImageMeasurement.border,
                    ImageMeasurement.colour_mask,
                    ImageMeasurement.asymmetry_confidence,
                    ImageMeasurement.border_confidence,
                    ImageMeasurement.colours_confidence,
                ).where(ImageMeasurement.found.is_(True))
            )
        )
    }
    own: dict[str, Sequence[Any]] = {}
    others: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
    for image_id, by, version, *said in session.execute(
        select(
            ImageCaption.image_id,
            ImageCaption.captioner,
            ImageCaption.prompt,
            ImageCaption.asymmetry,
            ImageCaption.border,
            ImageCaption.colour_mask,
        ).where(ImageCaption.text != "")
    ):
        if (by, version) == (captioner, prompt):
            own[image_id] = said
        else:
            others[image_id].append(said)
    doubts = {}
    for image_id, told in own.items():
        doubt = 0.0
        if image_id in measured:
            seen, sure = measured[image_id]
            doubt += sum(d * s for d, s in zip(_differences(told, seen), sure, strict=True))
        elsewhere = others.get(image_id, ())
        if elsewhere:
            doubt += sum(sum(_differences(told, one)) for one in elsewhere) / len(elsewhere)
        doubts[image_id] = doubt
    return doubts


def _differences(one: Sequence[Any], other: Sequence[Any]) -> Iterable[float]:
    """Of asymmetry, border and colours, each in 0..1; what one does not say is no difference."""
    for first, second in zip(one[:2], other[:2], strict=True):
        yield float(first is not None and second is not None and first != second)
    colours = bool(one[2] and other[2])
    yield (one[2] ^ other[2]).bit_count() / _ALL_COLOURS if colours else 0.0


def _roman(tone: SkinTone | None) -> str:
    return "" if tone is None else tone.name
