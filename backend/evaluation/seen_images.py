"""The pictures behind predictions: by the studio's own ids, or by the ids of their datasets."""

from collections.abc import Iterable

from sqlalchemy import select

from backend.corpus.picture_cards import PictureCard, picture_cards
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import CorpusImage

AT_ONCE = 500


def find_pictures(db: Database, settings: Settings, ids: Iterable[str]) -> dict[str, PictureCard]:
    """The card of each id; one that the studio has no picture of says that it is gone.

    A foreign table names images as their dataset does: such a name counts where one image of the
    corpus alone has it.
    """
    wanted = list(dict.fromkeys(ids))
    cards = picture_cards(db, settings, wanted)
    left = [one for one in wanted if cards[one].gone]
    named: dict[str, list[str]] = {}
    plain = {name.rpartition("/")[2].rpartition(".")[0] or name: name for name in left}
    sought = list(dict.fromkeys([*left, *plain]))
    with db.session() as session:
        for first in range(0, len(sought), AT_ONCE):
            part = sought[first : first + AT_ONCE]
            columns = select(CorpusImage.source_id, CorpusImage.id)
            for source, image in session.execute(columns.where(CorpusImage.source_id.in_(part))):
                named.setdefault(plain.get(source, source), []).append(image)
    single = {name: images[0] for name, images in named.items() if len(images) == 1}
    found = picture_cards(db, settings, single.values())
    return cards | {name: found[image] for name, image in single.items()}
