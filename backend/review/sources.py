"""What a review set can be made of, for a form."""

from backend.captioning.findings import Check
from backend.captioning.records import count_captions
from backend.corpus.queries import count_by
from backend.corpus.subsets import list_subsets
from backend.generation.gallery import GalleryFilter, count_images
from backend.generation.image_sets import list_sets
from backend.review.people import Actor, keep
from backend.review.views import CaptionerView, CheckView, SourcesView
from backend.store.database import Database


def review_sources(db: Database, actor: Actor) -> SourcesView:
    """Captioners with their versions, subsets, datasets and sets of images.

    Raises:
        AccountError: the role does not allow making sets.
    """
    keep(db, actor)
    return SourcesView(
        captioners=tuple(
            CaptionerView(
                captioner=one.captioner,
                prompt=one.prompt,
                captions=one.captions,
                flagged=one.flagged,
            )
            for one in count_captions(db)
        ),
        subsets=tuple(one.name for one in list_subsets(db)),
        datasets=tuple(key for (key,) in count_by(db, "dataset")),
        image_sets=tuple(one.name for one in list_sets(db)),
        gallery=count_images(db, GalleryFilter(drafts=False)),
        checks=tuple(CheckView(name=one.value, words=one.words) for one in Check),
    )
