"""Decisions on pairs that were seen on the page, with a way back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from backend.corpus.decisions import PairView, decide_pairs, restore_pairs
from backend.corpus.errors import CorpusError
from backend.corpus.states import PairState
from studio.context import StudioContext
from studio.permissions import signed_in

KEPT_STEPS = 50
ACTIONS: Mapping[str, PairState] = MappingProxyType(
    {
        "confirm": PairState.CONFIRMED,
        "dismiss": PairState.DISMISSED,
        "reopen": PairState.SUGGESTED,
    }
)
DONE: Mapping[PairState, str] = MappingProxyType(
    {
        PairState.CONFIRMED: "confirmed",
        PairState.DISMISSED: "dismissed",
        PairState.SUGGESTED: "open again",
    }
)


@dataclass(frozen=True)
class Decision:
    """Pairs as they were, and as one press of a button left them."""

    before: tuple[PairView, ...]
    after: tuple[PairView, ...]

    @property
    def words(self) -> str:
        """What was done."""
        count = len(self.after)
        pairs = "1 pair" if count == 1 else f"{count:,} pairs"
        return f"{pairs} {DONE[self.after[0].state]}."


History = list[Decision]


def judge(
    studio: StudioContext, history: History, seen: Sequence[PairView], state: PairState
) -> History:
    """Decide pairs as the page showed them; returns the history with this step.

    Raises AccountError where the person may not, CorpusError where somebody else was first.
    """
    after = decide_pairs(studio.database, seen, state, account=signed_in())
    return [*history, Decision(tuple(seen), tuple(after))][-KEPT_STEPS:]


def undo(studio: StudioContext, history: History) -> tuple[History, str]:
    """Take the last step back; returns the history without it, and what became of it in words.

    A step that somebody else has gone past since cannot be undone and is forgotten. Raises
    AccountError where the person may not.
    """
    if not history:
        return history, "There is nothing to undo."
    last = history[-1]
    try:
        restore_pairs(studio.database, last.after, last.before, account=signed_in())
    except CorpusError as error:
        return history[:-1], str(error)
    return history[:-1], f"Undone: {last.words}"
