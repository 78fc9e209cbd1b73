"""Which pairs of half a million images are worth a look at their pixels: nearest signatures.

An inverted file of faiss is searched with each of the eight views of an image, so a signature is
stored once and still found under every flip and right-angle turn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.corpus.signatures import SYMMETRIES, Spectra, inverse_of, signatures_of

NEIGHBOURS = 6
"""Of each view; a picture with more near-duplicates joins its group through others of it."""
SIMILARITY = 0.84
FLAT_BELOW = 20_000
"""So few are compared with every other: no list is searched in vain."""
PROBES = 12
TRAINING = 100_000
CHUNK = 8192
SEED = 0


@dataclass(frozen=True)
class Candidates:
    """Pairs of positions, `first` turned by `symmetry` against `second`; best pairs first."""

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    symmetry: NDArray[np.uint8]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def find_candidates(
    spectra: Spectra,
    queries: NDArray[np.int64] | None = None,
    targets: NDArray[np.int64] | None = None,
    *,
    threads: int = 0,
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> Candidates:
    """Similar pairs among images, each pair and symmetry once, no image with itself.

    `queries` are the positions whose neighbours are sought and `targets` those they are sought
    among: all, unless given. `step` hears of (queries done, queries) and may raise to stop.
    """
    import faiss

    if threads:
        faiss.omp_set_num_threads(threads)
    everything = np.arange(len(spectra))
    queries = everything if queries is None else queries
    targets = everything if targets is None else targets
    if not len(queries) or not len(targets):
        return _gathered([])
    index = _index(signatures_of(spectra[targets]))
    found = []
    for start in range(0, len(queries), CHUNK):
        step(start, len(queries))
        positions = queries[start : start + CHUNK]
        for symmetry in range(len(SYMMETRIES)):
            views = signatures_of(spectra[positions], symmetry)
            similarity, nearest = index.search(views, min(NEIGHBOURS + 1, len(targets)))
            found.append(_pairs(positions, targets, nearest, similarity, symmetry))
    step(len(queries), len(queries))
    return _gathered(found)


def _index(vectors: NDArray[np.float32]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    import faiss

    dimensions = vectors.shape[1]
    flat = faiss.IndexFlatIP(dimensions)
    if len(vectors) < FLAT_BELOW:
        flat.add(vectors)
        return flat
    lists = int(4 * np.sqrt(len(vectors)))
    index = faiss.IndexIVFFlat(flat, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = SEED
    index.cp.niter = 10
    index.nprobe = PROBES
    draw = np.random.default_rng(SEED)
    sample = draw.choice(len(vectors), min(len(vectors), TRAINING), replace=False)
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    return index


def _pairs(
    positions: NDArray[np.int64],
    targets: NDArray[np.int64],
    nearest: NDArray[np.int64],
    similarity: NDArray[np.float32],
    symmetry: int,
) -> NDArray[np.void]:
    """The answers above SIMILARITY as records, the lower position first."""
    rows, columns = np.nonzero((similarity >= SIMILARITY) & (nearest >= 0))
    query, target = positions[rows], targets[nearest[rows, columns]]
    swapped = query > target
    records = np.empty(len(rows), dtype=_RECORD)
    records["first"] = np.where(swapped, target, query)
    records["second"] = np.where(swapped, query, target)
    records["symmetry"] = np.where(swapped, inverse_of(symmetry), symmetry)
    records["similarity"] = similarity[rows, columns]
    return records[query != target]


def _gathered(found: list[NDArray[np.void]]) -> Candidates:
    records = np.concatenate([np.empty(0, dtype=_RECORD), *found])
    keys = records["first"].astype(np.int64) << 32 | records["second"].astype(np.int64) << 3
    _, once = np.unique(keys | records["symmetry"], return_index=True)
    records = records[once]
    records = records[np.argsort(-records["similarity"], kind="stable")]
    return Candidates(*(records[name].copy() for name in _RECORD.names or ()))


_RECORD = np.dtype(
    [("first", np.int32), ("second", np.int32), ("symmetry", np.uint8), ("similarity", np.float32)]
)
