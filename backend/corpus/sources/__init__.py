"""The datasets that are known by name: add a record to one of these modules to add one."""

from collections.abc import Mapping
from types import MappingProxyType

from backend.corpus.errors import CorpusError
from backend.corpus.record import Source
from backend.corpus.sources.generic import GENERIC
from backend.corpus.sources.others import OTHERS
from backend.corpus.sources.paper import PAPER

SOURCES: Mapping[str, Source] = MappingProxyType(
    {source.key: source for source in (*PAPER, *OTHERS, *GENERIC)}
)


def find_source(key: str) -> Source:
    """The record of a dataset by its name; signs and case do not matter.

    Raises:
        CorpusError: there is none, naming those that are.
    """
    wanted = _plain(key)
    for source in SOURCES.values():
        if _plain(source.key) == wanted:
            return source
    raise CorpusError(f"There is no dataset '{key}': use one of {', '.join(SOURCES)}.")


def _plain(key: str) -> str:
    return "".join(sign for sign in key.casefold() if sign.isalnum())
