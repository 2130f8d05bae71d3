"""What makes an item rankable that training never saw? Leave content out and measure.

In:  a dataset folder, and an index holding the vector of every item.
Out: for each variant, how well held-out likes of withheld items rank among withheld items.

A quarter of the items, by a hash of the id, is withheld: training meets none of them, neither as
a row nor as a drawn negative nor in a history. A variant is trained anew without some content,
and measured on the newest interactions with withheld items, against drawn withheld items; so
nothing but content can tell them apart, and the id alone is chance. The last line is the same
ranker on items that it was trained on.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ports import ItemIndex, TextEmbedder
from pigeon_recsys.progress import track
from pigeon_recsys.ranking.quality import Heldout, Quality, quality_of, scores_of
from pigeon_recsys.ranking.samples import ItemTable
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.ranking.train import fit
from pigeon_recsys.ranking.training_data import RankingData, prepare

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder

SALT = "pigeon-recsys ranker withheld v1:"  # changing it withholds other items
WITHHELD_SHARE = 0.25
PICTURE, TEXT, ATTRIBUTES = "picture", "text", "attributes"

LEFT_OUT: Mapping[str, frozenset[str]] = {
    "all content": frozenset(),
    "no picture": frozenset({PICTURE}),
    "no text": frozenset({TEXT}),
    "no attributes": frozenset({ATTRIBUTES}),
    "picture only": frozenset({TEXT, ATTRIBUTES}),
    "text only": frozenset({PICTURE, ATTRIBUTES}),
    "attributes only": frozenset({PICTURE, TEXT}),
    "id only": frozenset({PICTURE, TEXT, ATTRIBUTES}),
}
KNOWN_ITEMS = "all content, known items"


@dataclass(frozen=True)
class Variant:
    """One line of the table."""

    name: str
    num_likes: int  # held out
    quality: Quality


def ablate(
    dataset: "DatasetFolder",
    index: ItemIndex,
    settings: RankerSettings,
    text: TextEmbedder | None = None,
) -> list[Variant]:
    """Train and measure every variant; test users are not read."""
    withheld = withheld_items(dataset.item_ids)
    if not withheld or len(withheld) == len(dataset.item_ids):
        raise SettingsError(
            f"the ablation withholds {len(withheld)} of the {len(dataset.item_ids)} items of "
            f"{dataset.path} and needs some on both sides. Give a dataset with more items."
        )
    data = prepare(dataset, index, settings, text, withheld)
    variants = [
        _variant(name, without(data, parts), settings)
        for name, parts in track(LEFT_OUT.items(), "ablation")
    ]
    known = prepare(dataset, index, settings, text)
    return [*variants, _variant(KNOWN_ITEMS, known, settings)]


def withheld_items(item_ids: Iterable[str]) -> frozenset[str]:
    """Return the items that training may not see; each follows from its id alone."""
    return frozenset(item_id for item_id in item_ids if _draw(item_id) < WITHHELD_SHARE)


def without(data: RankingData, parts: Collection[str]) -> RankingData:
    """Return the same rows with some content of every item left out."""
    return replace(data, heldout=replace(data.heldout, table=_blanked(data.heldout.table, parts)))


def as_json(variants: Iterable[Variant]) -> dict[str, Any]:
    """Return the table as JSON holds it."""
    return {
        variant.name: {"num_likes": variant.num_likes, **asdict(variant.quality)}
        for variant in variants
    }


def as_markdown(variants: Iterable[Variant]) -> str:
    """Return the table in Markdown."""
    lines = ["| the ranker sees | AUC | NDCG@10 |", "| --- | --- | --- |"]
    for variant in variants:
        quality = variant.quality
        auc, ndcg = quality.auc_interval, quality.ndcg_at_10_interval
        lines.append(
            f"| {variant.name} | {quality.auc:.3f} [{auc.low:.3f}, {auc.high:.3f}] "
            f"| {quality.ndcg_at_10:.3f} [{ndcg.low:.3f}, {ndcg.high:.3f}] |"
        )
    return "\n".join(lines)


def _variant(name: str, data: RankingData, settings: RankerSettings) -> Variant:
    score = fit(data, settings).model.probabilities
    heldout: Heldout = data.heldout
    quality = quality_of(scores_of(score, heldout.rows, heldout.table), score, heldout)
    return Variant(name, int(heldout.rows.labels.sum()), quality)


def _blanked(table: ItemTable, parts: Collection[str]) -> ItemTable:
    everywhere = np.ones(len(table.item_rows), np.bool_)
    if PICTURE in parts:
        table = replace(table, vectors=np.zeros_like(table.vectors))
    if TEXT in parts:
        table = replace(table, texts=np.zeros_like(table.texts))
    if ATTRIBUTES in parts:
        emptied = {name: bags.emptied(everywhere) for name, bags in table.attributes.items()}
        table = replace(table, attributes=emptied)
    return table


def _draw(item_id: str) -> float:
    """Return a number from 0 to 1 that follows from the id."""
    digest = hashlib.sha256(f"{SALT}{item_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
