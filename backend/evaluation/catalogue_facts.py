"""What the catalogue knows of the images of an experiment: whose they are, and of what kind."""

from collections.abc import Iterable

import pandas as pd
from sqlalchemy import select

from backend.evaluation.predictions import FACTS
from backend.jobs.executors import in_chunks
from backend.store.database import Database
from backend.store.tables import CorpusImage

ASKED_AT_ONCE = 500


def catalogue_facts(db: Database, image_ids: Iterable[str]) -> pd.DataFrame:
    """A row for each image of the catalogue: `image_id` and FACTS as the catalogue has them.

    Images of folders and generated ones have no row.
    """
    columns = [CorpusImage.id, *(getattr(CorpusImage, name) for name in FACTS)]
    rows: list[tuple[object, ...]] = []
    with db.session() as session:
        for some in in_chunks(sorted(set(image_ids)), ASKED_AT_ONCE):
            asked = select(*columns).where(CorpusImage.id.in_(some))
            rows += [tuple(row) for row in session.execute(asked)]
    return pd.DataFrame(rows, columns=["image_id", *FACTS], dtype=object)
