"""What one version of a caption set changed against another, word by word."""

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from backend.review.caption_sets import Entry, get_version, read_version
from backend.review.views import ChangesView, ChangeView, WordDiff
from backend.store.database import Database


def changes(
    db: Database,
    name: str,
    *,
    old: int | None = None,
    new: int | None = None,
    after: str | None = None,
    limit: int = 100,
) -> ChangesView:
    """Changes from version `old` (the one before `new`; 0 is nothing) to `new` (the newest).

    Raises:
        ReviewMissingError: there is no such caption set or version.
    """
    to = get_version(db, name, new).version
    since = to - 1 if old is None else old
    first = _by_image(read_version(db, name, since) if since else ())
    second = _by_image(read_version(db, name, to))
    changed = sorted(
        (key for key in first.keys() | second.keys() if _differs(first, second, key)),
        key=lambda key: (second.get(key) or first[key]).place,
    )
    views = [_change(first.get(key), second.get(key)) for key in changed]
    start = changed.index(after) + 1 if after in changed else 0
    page = changed[start : start + limit]
    return ChangesView(
        name=name,
        old=since,
        new=to,
        added=sum(one.change == "added" for one in views),
        removed=sum(one.change == "removed" for one in views),
        edited=sum(one.change == "edited" for one in views),
        changes=tuple(views[start : start + limit]),
        next=page[-1] if page and start + limit < len(changed) else None,
    )


def word_diff(before: str, after: str) -> tuple[WordDiff, ...]:
    """Runs of words that stayed, came or went; what went stands before what came."""
    old, new = before.split(), after.split()
    runs: list[WordDiff] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            runs.append(WordDiff(kind="same", text=" ".join(old[a:b])))
            continue
        if b > a:
            runs.append(WordDiff(kind="removed", text=" ".join(old[a:b])))
        if d > c:
            runs.append(WordDiff(kind="added", text=" ".join(new[c:d])))
    return tuple(runs)


def _by_image(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {one.image_id: one for one in entries}


def _differs(first: Mapping[str, Entry], second: Mapping[str, Entry], key: str) -> bool:
    one, other = first.get(key), second.get(key)
    return one is None or other is None or one.text != other.text


def _change(before: Entry | None, after: Entry | None) -> ChangeView:
    shown = after or before
    assert shown is not None  # noqa: S101 - one of the two is there
    if before is None or after is None:
        return ChangeView(
            change="removed" if before else "added",
            dataset=shown.dataset,
            source=shown.source,
            before=before.text if before else None,
            after=after.text if after else None,
            words=(WordDiff(kind="removed" if before else "added", text=shown.text),),
        )
    return ChangeView(
        change="edited",
        dataset=shown.dataset,
        source=shown.source,
        before=before.text,
        after=after.text,
        words=word_diff(before.text, after.text),
    )
