"""Nearest-neighbour search over item embeddings with FAISS.

In:  item ids and unit vectors (N, D).
Out: items by inner product, over the whole catalog or within a user's own items.

Small catalogs are searched exhaustively, large ones through inverted lists, which take items later
and give them up, as graphs do not, and hold vectors as they are. What that costs and loses is
measured in `benchmarks/faiss_search.py`. A search restricted by `within` compares with those items
and visits nothing else: it is exact, and as fast in a large catalog as in a small one. Item ids
are strings and FAISS's are integers; an item keeps its integer when its vector is replaced.
Threads may share an index: searches run side by side, and wait while it changes.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.errors import ArtifactError, MissingExtra, SettingsError, UnknownItem
from pigeon_recsys.files import atomic_folder
from pigeon_recsys.records import ScoredItem, Vectors
from pigeon_recsys.retrieval.checked_vectors import checked_query, checked_vectors
from pigeon_recsys.retrieval.index_manifest import (
    IDS_FILE,
    INDEX_FILE,
    MANIFEST_FILE,
    IndexManifest,
    IndexSource,
    check_source,
    file_sha256,
    is_index_folder,
    read_item_ids,
    read_manifest,
    rebuild_command,
)
from pigeon_recsys.retrieval.read_write_lock import ReadWriteLock

IVF_FROM = 200_000  # items; below, an exhaustive search takes some 10 ms on one core
LISTS_PER_SQRT = 4.0  # inverted lists per square root of the item count
TRAINING_PER_LIST = 40  # vectors a list centre is learned from; FAISS asks for 39 or more
TRAINING_ROUNDS = 10  # of k-means; FAISS's 25 take twice as long and find 0.01 more


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How the index searches; `auto` takes `ivf` from `IVF_FROM` items on, `flat` below."""

    kind: Literal["auto", "flat", "ivf"] = "auto"
    probes: int = 128  # inverted lists visited a search: more is more exact and slower

    def __post_init__(self) -> None:
        if self.kind not in ("auto", "flat", "ivf"):
            raise SettingsError(f"index kind must be auto, flat or ivf, got {self.kind!r}")
        if self.probes < 1:
            raise SettingsError(f"index probes must be at least 1, got {self.probes}")


class FaissIndex:
    """An `ItemIndex` held in memory."""

    def __init__(
        self,
        index: Any,  # FAISS ships no types
        item_ids: Sequence[str],
        settings: IndexSettings,
        source: IndexSource,
    ) -> None:
        self._index = index
        self._item_ids = list(item_ids)  # at each FAISS id
        self._faiss_ids = {item_id: number for number, item_id in enumerate(self._item_ids)}
        self._lock = ReadWriteLock()
        self.settings = settings  # may be changed; what is visited is decided search by search
        self.source = source

    @classmethod
    def build(
        cls,
        item_ids: Sequence[str],
        vectors: Vectors,
        settings: IndexSettings | None = None,
        source: IndexSource | None = None,
    ) -> "FaissIndex":
        """Index `vectors` (N, D), row by row under `item_ids`."""
        settings = settings or IndexSettings()
        checked = checked_vectors(item_ids, vectors)
        kind = settings.kind
        if kind == "auto":
            kind = "ivf" if len(item_ids) >= IVF_FROM else "flat"
        empty = _empty_ivf(checked) if kind == "ivf" else _empty_flat(checked.shape[1])
        index = cls(empty, (), settings, source or IndexSource())
        index.add(item_ids, checked)
        return index

    def __len__(self) -> int:
        return len(self._item_ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._faiss_ids

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self._index.d)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """All indexed items, in the order in which they first came."""
        return tuple(self._item_ids)

    @property
    def kind(self) -> Literal["flat", "ivf"]:
        """How this index searches."""
        return "ivf" if isinstance(self._index, _faiss().IndexIVF) else "flat"

    def add(self, item_ids: Sequence[str], vectors: Vectors) -> None:
        """Add items; the vector of an item that is indexed already is replaced."""
        faiss = _faiss()
        checked = checked_vectors(item_ids, vectors, dim=self.dim)
        with self._lock.writing():
            replaced = self._known_ids(item_ids)
            if len(replaced):
                self._index.remove_ids(faiss.IDSelectorArray(replaced))
            for item_id in item_ids:
                if item_id not in self._faiss_ids:
                    self._faiss_ids[item_id] = len(self._item_ids)
                    self._item_ids.append(item_id)
            self._index.add_with_ids(checked, self._known_ids(item_ids))

    def remove(self, item_ids: Iterable[str]) -> int:
        """Take items out and return how many there were; ids that are not indexed are ignored.

        The last items take over the FAISS ids that become free, so that these stay without gaps.
        """
        with self._lock.writing():
            return self._remove(item_ids)

    def _remove(self, item_ids: Iterable[str]) -> int:
        gone = [item_id for item_id in dict.fromkeys(item_ids) if item_id in self._faiss_ids]
        num_left = len(self) - len(gone)
        free = [number for number in self._known_ids(gone) if number < num_left]
        moved = [item_id for item_id in self._item_ids[num_left:] if item_id not in set(gone)]
        vectors = self._vectors(moved)
        leaving = self._known_ids([*gone, *moved])
        if len(leaving):
            self._index.remove_ids(_faiss().IDSelectorArray(leaving))
        for item_id in gone:
            del self._faiss_ids[item_id]
        for item_id, number in zip(moved, free, strict=True):
            self._faiss_ids[item_id] = int(number)
            self._item_ids[number] = item_id
        del self._item_ids[num_left:]
        if moved:
            self._index.add_with_ids(vectors, self._known_ids(moved))
        return len(gone)

    def search(
        self, query: Vectors, k: int, *, within: Sequence[str] | None = None
    ) -> list[ScoredItem]:
        """Return the k items nearest to `query` (D,), best first; equal scores by item id.

        `within` restricts the search to these ids; ids that are not indexed are ignored.
        """
        if k < 1:
            raise SettingsError(f"k must be at least 1, got {k}")
        query_1D = checked_query(query, self.dim)
        if within is not None:
            with self._lock.reading():
                return self._search_within(query_1D, k, within)
        with self._lock.reading():
            if not len(self):
                return []
            with _one_thread():
                scores, numbers = self._index.search(
                    query_1D, min(k, len(self)), params=self._visited()
                )
            return self._found(scores[0], numbers[0])

    def vectors(self, item_ids: Sequence[str]) -> Vectors:
        """Return the stored vectors (len(item_ids), D). Raises `UnknownItem`."""
        with self._lock.reading():
            return self._vectors(item_ids)

    def _vectors(self, item_ids: Sequence[str]) -> Vectors:
        for item_id in item_ids:
            if item_id not in self._faiss_ids:
                raise UnknownItem(item_id, where="the index", num_known=len(self))
        if not item_ids:
            return np.empty((0, self.dim), np.float32)
        with _one_thread():
            rows: Vectors = self._index.reconstruct_batch(self._known_ids(item_ids))
        return rows

    def save(self, folder: Path) -> IndexManifest:
        """Write the index to `folder`, whole or not at all; an index there is replaced."""
        faiss = _faiss()
        with self._lock.reading(), atomic_folder(folder, may_replace=is_index_folder) as temporary:
            faiss.write_index(self._index, str(temporary / INDEX_FILE))
            (temporary / IDS_FILE).write_text(json.dumps(self._item_ids))
            manifest = IndexManifest(
                kind=self.kind,
                dim=self.dim,
                count=len(self),
                faiss_version=faiss.__version__,
                embedder_sha256=self.source.embedder_sha256,
                dataset_fingerprint=self.source.dataset_fingerprint,
                sha256={name: file_sha256(temporary / name) for name in (INDEX_FILE, IDS_FILE)},
            )
            (temporary / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")
        return manifest

    @classmethod
    def load(
        cls,
        folder: Path,
        settings: IndexSettings | None = None,
        expected: IndexSource | None = None,
    ) -> "FaissIndex":
        """Read a saved index.

        Raises `ArtifactError` when a file is missing or changed, or when a non-empty field of
        `expected` differs from what the index was made from.
        """
        faiss = _faiss()
        manifest = read_manifest(folder)
        check_source(folder, manifest, expected or IndexSource())
        item_ids = read_item_ids(folder, manifest.count)
        rebuild = rebuild_command(folder)
        try:
            index = faiss.read_index(str(folder / INDEX_FILE))
        except RuntimeError as exc:
            fault = (
                f"was written by faiss {manifest.faiss_version} "
                f"and cannot be read by {faiss.__version__}"
            )
            raise ArtifactError(folder / INDEX_FILE, fault, rebuild=rebuild) from exc
        if (index.d, index.ntotal) != (manifest.dim, manifest.count):
            fault = (
                f"holds {index.ntotal} vectors of width {index.d}, "
                f"its manifest says {manifest.count} of width {manifest.dim}"
            )
            raise ArtifactError(folder / INDEX_FILE, fault, rebuild=rebuild)
        return cls(index, item_ids, settings or IndexSettings(), manifest.source)

    def _known_ids(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        known = [self._faiss_ids[item_id] for item_id in item_ids if item_id in self._faiss_ids]
        return np.array(known, np.int64)

    def _search_within(self, query_1D: Vectors, k: int, within: Sequence[str]) -> list[ScoredItem]:
        """Compare with the vectors of these items, fetched by their ids.

        FAISS's own way, an `IDSelector`, asks every item of the catalog whether it is allowed.
        """
        faiss = _faiss()
        numbers = np.unique(self._known_ids(within))
        if not len(numbers):
            return []
        k, metric = min(k, len(numbers)), faiss.METRIC_INNER_PRODUCT
        with _one_thread():
            rows_ND = self._index.reconstruct_batch(numbers)
            scores, places = faiss.knn(query_1D, rows_ND, k, metric=metric)
        return self._found(scores[0], numbers[places[0]])

    def _found(self, scores: Vectors, numbers: NDArray[np.int64]) -> list[ScoredItem]:
        """Return the items of some FAISS ids, best first; equal scores by item id."""
        is_found = numbers >= 0  # -1 fills up where the visited lists hold fewer than k
        ids = [self._item_ids[number] for number in numbers[is_found].tolist()]
        found = list(map(ScoredItem._make, zip(ids, scores[is_found].tolist(), strict=True)))
        if (np.diff(scores[is_found]) < 0).all():
            return found
        return sorted(found, key=lambda item: (-item.score, item.item_id))

    def _visited(self) -> Any:
        """Return what a search visits: `probes` lists, or None for everything."""
        if self.kind == "flat":
            return None
        probes = min(self.settings.probes, int(self._index.nlist))
        return _faiss().SearchParametersIVF(nprobe=probes)


def _faiss() -> Any:
    try:
        import faiss
    except ModuleNotFoundError as exc:
        raise MissingExtra("faiss", needed_for="searching the item index") from exc
    return faiss


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep FAISS to the thread that calls it.

    One query gives others nothing to do but to translate found ids, and to wait, spinning, for
    whichever of them the system lets run last: it took 2 ms of processor time instead of 0.3.
    """
    faiss = _faiss()
    num_threads = faiss.omp_get_max_threads()  # of this thread; building an index needs them
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(num_threads)


def _empty_flat(dim: int) -> Any:
    faiss = _faiss()
    return faiss.IndexIDMap2(faiss.IndexFlatIP(dim))


def _empty_ivf(vectors: Vectors) -> Any:
    """Return inverted lists whose centres are learned from a sample of the vectors."""
    faiss = _faiss()
    count, dim = vectors.shape
    wanted = round(LISTS_PER_SQRT * math.sqrt(count))
    num_lists = max(1, min(wanted, count // TRAINING_PER_LIST))
    if count == 0:
        raise SettingsError("an index of kind ivf learns from its items and got none. Use flat.")
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, num_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.min_points_per_centroid = 1  # small indexes are allowed, in tests above all
    index.cp.niter = TRAINING_ROUNDS
    stride = max(1, count // (num_lists * TRAINING_PER_LIST))
    index.train(np.ascontiguousarray(vectors[::stride]))
    index.set_direct_map_type(faiss.DirectMap.Hashtable)  # vectors by id, and removal
    return index
