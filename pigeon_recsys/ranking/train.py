"""Train the ranker on a dataset's interactions.

In:  a dataset folder, and an index holding the vector of every item.
Out: a run folder with weights, features and metrics.

Test users are not read. Of the others, the newest share of the time line is held out; users
of the validation part are held out whole, so the metrics also cover users never seen.
"""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.errors import DatasetError
from pigeon_recsys.files import check_writable_folder
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.progress import track
from pigeon_recsys.ranking.bags import Ids
from pigeon_recsys.ranking.features import ITEM, Batch, RankFeatures
from pigeon_recsys.ranking.metrics import area_under_roc, log_loss
from pigeon_recsys.ranking.run_folder import RankerReport, import_torchrec_ranker, save_run
from pigeon_recsys.ranking.samples import (
    ItemTable,
    Moments,
    Samples,
    collect_moments,
    drop_ids,
    items_met,
    label_rows,
)
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import Item, Vectors

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.ranking.torchrec_ranker import TorchRecRanker

logger = logging.getLogger(__name__)

SCORE_BATCH = 4096  # rows scored at once for the metrics


def train_ranker(
    dataset: "DatasetFolder", index: ItemIndex, run: Path, settings: RankerSettings
) -> RankerReport:
    """Train on the dataset, write `run`, and report how well it ranks what it has not seen."""
    check_writable_folder(run)
    torchrec_ranker = import_torchrec_ranker()
    started = time.monotonic()
    data = prepare(dataset, index, settings)
    model: TorchRecRanker = torchrec_ranker.new_ranker(
        data.features, settings.table_dim, settings.hidden_dim, settings.seed
    )
    train_loss = fit(model, data, settings)
    report = evaluate(model, data, train_loss=train_loss, started=started)
    save_run(run, model, data.features, settings, report, dataset.fingerprint)
    logger.info("trained a ranker in %s: %s", run, report)
    return report


@dataclass(frozen=True, eq=False)
class RankingData:
    """All that training and its metrics read."""

    features: RankFeatures
    table: ItemTable
    train: Samples
    heldout: Samples
    is_new_user: NDArray[np.bool_]  # for each held-out row


def prepare(dataset: "DatasetFolder", index: ItemIndex, settings: RankerSettings) -> RankingData:
    """Split the interactions and turn both sides into rows."""
    interactions = [row for row in dataset.interactions if user_split(row.user_id) != "test"]
    moments = collect_moments(interactions, dataset.item_ids, settings.history_len)
    before, after = _split(moments, settings.holdout_share)
    _require_rows(dataset.path, before, after)
    items = [dataset.item(item_id) for item_id in dataset.item_ids]
    vectors_ID = index.vectors(dataset.item_ids)
    features = build_features(before, items, dataset.attribute_names, vectors_ID, settings)
    met = items_met(interactions, dataset.item_ids)
    generator = np.random.default_rng(settings.seed)
    train, heldout = (
        label_rows(part, met, len(items), features, settings.negatives_per_like, generator)
        for part in (before, after)
    )
    return RankingData(
        features=features,
        table=ItemTable.of(items, vectors_ID, features),
        train=train,
        heldout=heldout,
        is_new_user=heldout.user_rows[heldout.row_moments] >= features.user.num_known,
    )


def build_features(
    moments: Moments,
    items: list[Item],
    attribute_names: tuple[str, ...],
    vectors_ID: Vectors,
    settings: RankerSettings,
) -> RankFeatures:
    """Return the features: users of the training moments, all items, all attribute values."""
    return RankFeatures(
        image_dim=vectors_ID.shape[1],
        history_len=settings.history_len,
        user=Vocabulary.of(moments.users, settings.unseen_user_rows),
        item=Vocabulary.of((item.item_id for item in items), settings.unseen_item_rows),
        attributes={
            name: Vocabulary.of(_values_of(name, items), settings.unseen_item_rows)
            for name in attribute_names
        },
    )


def fit(model: "TorchRecRanker", data: RankingData, settings: RankerSettings) -> float:
    """Train the model in place and return the mean loss of the last epoch."""
    import torch

    generator = np.random.default_rng([settings.seed, 1])
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    num_epochs = _num_epochs(len(data.train), settings)
    batches = _batches(len(data.train), num_epochs, settings.batch_size, generator)
    num_steps = len(batches)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=num_steps)
    model.train()
    losses: list[float] = []
    for rows in track(batches, "train ranker"):
        batch = drop_ids(
            data.train.batch(rows, data.table),
            data.features,
            user_share=settings.user_dropout,
            item_share=settings.item_dropout,
            generator=generator,
        )
        labels_B = torch.from_numpy(data.train.labels[rows])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model.logits(batch), labels_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    return float(np.mean(losses[-num_steps // num_epochs :]))


def evaluate(
    model: "TorchRecRanker", data: RankingData, *, train_loss: float, started: float
) -> RankerReport:
    """Score the held-out rows, with item ids and without."""
    labels = data.heldout.labels
    with_id = _scores(model, data, hide_items=False)
    new = data.is_new_user
    has_both = bool(new.any()) and 0 < labels[new].mean() < 1
    return RankerReport(
        auc=area_under_roc(labels, with_id),
        auc_without_item_id=area_under_roc(labels, _scores(model, data, hide_items=True)),
        auc_new_users=area_under_roc(labels[new], with_id[new]) if has_both else None,
        log_loss=log_loss(labels, with_id),
        log_loss_of_base_rate=log_loss(labels, np.full_like(labels, data.train.labels.mean())),
        num_train_rows=len(data.train),
        num_heldout_rows=len(data.heldout),
        train_loss=train_loss,
        seconds=time.monotonic() - started,
    )


def _scores(model: "TorchRecRanker", data: RankingData, *, hide_items: bool) -> Vectors:
    scores = []
    for start in range(0, len(data.heldout), SCORE_BATCH):
        rows = np.arange(start, min(start + SCORE_BATCH, len(data.heldout)))
        batch = data.heldout.batch(rows, data.table)
        if hide_items:
            hidden = batch.bags[ITEM].emptied(np.ones(len(batch), np.bool_))
            batch = Batch(batch.image, batch.taste, {**batch.bags, ITEM: hidden})
        scores.append(model.probabilities(batch))
    return np.concatenate(scores)


def _num_epochs(num_rows: int, settings: RankerSettings) -> int:
    steps_per_epoch = math.ceil(num_rows / settings.batch_size)
    return max(settings.epochs, math.ceil(settings.min_steps / steps_per_epoch))


def _batches(
    num_rows: int, num_epochs: int, batch_size: int, generator: np.random.Generator
) -> list[Ids]:
    batches = []
    for _ in range(num_epochs):
        order = generator.permutation(num_rows)
        batches += [order[start : start + batch_size] for start in range(0, num_rows, batch_size)]
    return batches


def _split(moments: Moments, holdout_share: float) -> tuple[Moments, Moments]:
    """Return what training may see, and the newest share of the time line."""
    if not len(moments.at_ms):
        return moments, moments
    is_new = moments.at_ms >= np.quantile(moments.at_ms, 1 - holdout_share)
    is_train_user = np.array([user_split(user) == "train" for user in moments.users])
    return moments.take(~is_new & is_train_user), moments.take(is_new)


def _require_rows(folder: Path, before: Moments, after: Moments) -> None:
    faults = [
        f"no like of a training user lies in the {part} part of the time line"
        for part, moments in (("older", before), ("newest", after))
        if not moments.is_like.any()
    ]
    if faults:
        raise DatasetError(folder, [*faults, "a ranker needs likes in both: add interactions"])


def _values_of(name: str, items: list[Item]) -> set[str]:
    values: set[str] = set()
    for item in items:
        value = item.attributes.get(name, ())
        values.update((value,) if isinstance(value, str) else value)
    return values
