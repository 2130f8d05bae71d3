"""Train the ranker on a dataset's interactions.

In:  a dataset folder, and an index holding the vector of every item.
Out: a run folder with weights, features and metrics.

Under `torchrun` the processes share out every batch and the tables (`torchrec_shards.py`); the
first one writes. The result is that of one process but for rounding.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pigeon_recsys.files import check_writable_folder
from pigeon_recsys.ports import ItemIndex, TextEmbedder
from pigeon_recsys.progress import track
from pigeon_recsys.ranking.bags import Ids
from pigeon_recsys.ranking.quality import RankerReport, measure
from pigeon_recsys.ranking.run_folder import import_torchrec, save_run
from pigeon_recsys.ranking.samples import Dropout
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.ranking.training_data import RankingData, prepare

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.ranking.torchrec_ranker import TorchRecRanker

logger = logging.getLogger(__name__)

LAST_RATE = 0.1  # of the learning rate, which falls linearly


def train_ranker(
    dataset: "DatasetFolder",
    index: ItemIndex,
    run: Path,
    settings: RankerSettings,
    text: TextEmbedder | None = None,
) -> RankerReport:
    """Train on the dataset, write `run`, and report how well it ranks what it has not seen.

    `text` embeds the titles, in place of hashing them. Every process returns the same report.
    """
    check_writable_folder(run)
    import_torchrec("torchrec_ranker")
    started = time.monotonic()
    data = prepare(dataset, index, settings, text)
    fitted = fit(data, settings)
    metrics: dict[str, Any] = measure(fitted.model.probabilities, data.heldout)
    report = RankerReport(
        **metrics,
        num_train_rows=len(data.train),
        train_loss=fitted.epoch_losses[-1],
        epoch_losses=fitted.epoch_losses,
        num_processes=_num_processes(),
        seconds=time.monotonic() - started,
    )
    if _rank() == 0:
        save_run(run, fitted.model, data.features, settings, report, dataset.fingerprint)
        logger.info("trained a ranker in %s: %s", run, report)
    return report


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model, whole, and its mean loss in each epoch."""

    model: "TorchRecRanker"
    epoch_losses: tuple[float, ...]


def fit(data: RankingData, settings: RankerSettings) -> Fitted:
    """Train a model on the training rows."""
    import torch

    ranker = import_torchrec("torchrec_ranker")
    sizes = (data.features, settings.table_dim, settings.hidden_dim)
    model: TorchRecRanker = ranker.new_ranker(*sizes, settings.seed)
    trained = import_torchrec("torchrec_shards").shard(model) if _num_processes() > 1 else model
    optimizer = torch.optim.Adam(
        trained.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    epochs = _batches(len(data.train), settings, np.random.default_rng([settings.seed, 1]))
    num_steps = sum(map(len, epochs))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, LAST_RATE, total_iters=num_steps)
    steps = track(_steps(epochs), "train ranker") if _rank() == 0 else _steps(epochs)
    dropout = np.random.default_rng([settings.seed, 2])
    losses: list[float] = []
    trained.train()
    for rows in steps:
        loss = _loss(trained, data, rows, Dropout.draw(len(rows), data.features, settings, dropout))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    if trained is not model:
        model = ranker.new_ranker(*sizes, settings.seed)
        model.load_state_dict(import_torchrec("torchrec_shards").gathered(trained))
    return Fitted(model.eval(), _epoch_means(losses, epochs))


def _loss(trained: Any, data: RankingData, rows: Ids, dropout: Dropout) -> Any:
    """Return this process's share of a batch's mean loss, times the number of processes.

    The processes' gradients are averaged, which makes it the mean over the whole batch. All take
    as many rows, which gloo asks for; one that is left over is filled up and does not count.
    """
    import torch

    ranker = import_torchrec("torchrec_ranker")
    count = _num_processes()
    own = np.arange(math.ceil(len(rows) / count)) * count + _rank()
    is_own = torch.from_numpy(own < len(rows))
    own = np.where(own < len(rows), own, 0)
    batch = dropout.take(own).apply(data.train.batch(rows[own], data.heldout.table))
    labels_B = torch.from_numpy(data.train.labels[rows[own]])
    losses_B = torch.nn.functional.binary_cross_entropy_with_logits(
        trained(**ranker.model_inputs(batch)), labels_B, reduction="none"
    )
    return (losses_B * is_own).sum() * count / len(rows)


def _epoch_means(losses: Sequence[float], epochs: Sequence[Sequence[Ids]]) -> tuple[float, ...]:
    """Return the mean loss of each epoch's steps, over all processes."""
    import torch

    means = torch.tensor(losses, dtype=torch.float64).view(len(epochs), -1).mean(dim=1)
    if _num_processes() > 1:
        torch.distributed.all_reduce(means)
    return tuple((means / _num_processes()).tolist())


def _steps(epochs: Sequence[Sequence[Ids]]) -> list[Ids]:
    return [rows for epoch in epochs for rows in epoch]


def _num_epochs(num_rows: int, settings: RankerSettings) -> int:
    steps_per_epoch = math.ceil(num_rows / settings.batch_size)
    return max(settings.epochs, math.ceil(settings.min_steps / steps_per_epoch))


def _batches(
    num_rows: int, settings: RankerSettings, generator: np.random.Generator
) -> list[list[Ids]]:
    """Return the rows of every batch, epoch by epoch."""
    size, epochs = settings.batch_size, []
    for _ in range(_num_epochs(num_rows, settings)):
        order = generator.permutation(num_rows)
        epochs.append([order[start : start + size] for start in range(0, num_rows, size)])
    return epochs


def _num_processes() -> int:
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_initialized() else 1


def _rank() -> int:
    import torch.distributed as dist

    return dist.get_rank() if dist.is_initialized() else 0
