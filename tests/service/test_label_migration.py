"""Images of an older database keep their labels, and those can be changed and taken back."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import select

from backend.corpus.errors import CorpusError
from backend.corpus.label_effects import preview
from backend.corpus.label_rules import newest_version
from backend.corpus.rule_editing import Choice, with_choice
from backend.settings import Settings
from backend.store.database import Database, open_database
from backend.store.schema import _configuration, upgrade
from backend.store.tables import CorpusCell, CorpusImage
from tests.service.test_label_rules import apply, import_set, labels, whole
from tests.unit.corpus_tables import write_picture


def test_images_of_an_older_database_have_the_label_that_their_dataset_gave(
    new_settings: Settings, tmp_path: Path
) -> None:
    database = open_database(new_settings)
    for place, name in enumerate(("benign", "malignant", "malignant", "nevus")):
        write_picture(tmp_path / "set" / name / f"{place}.png", place)
    import_set(new_settings, database, tmp_path / "set")
    beginning = whole(database)
    _downgrade(database)
    upgrade(database.engine, database.place)
    for table in (CorpusImage, CorpusCell):
        with database.session() as session:
            pairs = session.execute(select(table.target, table.label)).all()
        assert pairs
        assert all(target == label for target, label in pairs)
    with pytest.raises(CorpusError, match="or once more where an older version"):
        preview(database, "own")
    import_set(new_settings, database, tmp_path / "set")
    assert whole(database) == beginning
    first = newest_version(database, "own").rule
    apply(new_settings, database, with_choice(first, "", Choice.BENIGN))
    assert labels(database) == {("", "benign"): 3, ("nevus", "benign"): 1}
    apply(new_settings, database, first)
    assert whole(database) == beginning
    database.close()


def _downgrade(database: Database) -> None:
    configuration = _configuration()
    with database.engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "0009")
