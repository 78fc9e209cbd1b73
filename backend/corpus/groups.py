"""Groups of what belongs together: connected components."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

T = TypeVar("T", bound=Hashable)


def connected(items: Sequence[T], pairs: Iterable[tuple[T, T]]) -> list[list[T]]:
    """The items in groups that no pair leaves, in the order of the first item of each.

    A pair with an item that is not among them says nothing.
    """
    place = {item: number for number, item in enumerate(items)}
    edges = [(place[a], place[b]) for a, b in pairs if a in place and b in place]
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    shape = (len(items), len(items))
    _, labels = connected_components(
        coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=shape), directed=False
    )
    groups: dict[int, list[T]] = {}
    for item, label in zip(items, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(item)
    return list(groups.values())
