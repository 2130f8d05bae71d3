"""The ranking model: a DLRM over id embeddings and pictures.

Naumov et al., "Deep Learning Recommendation Model", arXiv 1906.00091. Every id feature becomes
one pooled vector, every picture is projected to the same width, and the dot products of all
pairs, with the projected picture, feed a small MLP. It is chosen because like = dot product of
two things is exactly what is needed without an id: the products user x picture,
history x picture, attribute x picture and taste x picture are all there when the item's own
vector is zero, as it is for a generated image. It is also what TorchRec shards and what teams
run, so tables can grow to many devices without another model.

Two modules share one `InteractionHead`: `TorchRecRanker` looks ids up in an
`EmbeddingBagCollection` and is trained; `PlainRanker` does the same with gather and
segment-sum, which ONNX can express. A test holds them, and the export, to one another.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torchrec.models.dlrm import InteractionArch, OverArch, SparseArch
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from pigeon_recsys.ranking.features import (
    ATTRIBUTE_PREFIX,
    HISTORY,
    ITEM,
    USER,
    Batch,
    RankFeatures,
)
from pigeon_recsys.records import Vectors

# B rows, F id features, D picture embedding width, E table width, V values in all bags of a feature

MAX_LOGIT = 15.0  # in float32 the sigmoid is then still below 1


class InteractionHead(nn.Module):
    """From pooled id vectors and pictures to a logit."""

    def __init__(self, num_bags: int, image_dim: int, table_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.picture = nn.Linear(image_dim, table_dim)  # one for item and taste: same space
        # A random projection that keeps dot products on average: training starts from cosines.
        nn.init.normal_(self.picture.weight, std=table_dim**-0.5)
        nn.init.zeros_(self.picture.bias)
        self.interaction = InteractionArch(num_sparse_features=num_bags + 1)
        num_vectors = num_bags + 2
        num_pairs = num_vectors * (num_vectors - 1) // 2
        self.over = OverArch(table_dim + num_pairs, [hidden_dim, hidden_dim // 2, 1])

    def forward(self, image_BD: Tensor, taste_BD: Tensor, pooled_BFE: Tensor) -> Tensor:
        """Return logit_B, bounded so that its sigmoid lies strictly between 0 and 1."""
        vectors_BGE = torch.cat([self.picture(taste_BD).unsqueeze(1), pooled_BFE], dim=1)
        features_BP = self.interaction(self.picture(image_BD), vectors_BGE)
        logit_B: Tensor = self.over(features_BP).squeeze(1)
        return logit_B.clamp(-MAX_LOGIT, MAX_LOGIT)


class TorchRecRanker(nn.Module):
    """The model as it is trained."""

    def __init__(self, features: RankFeatures, table_dim: int, hidden_dim: int) -> None:
        super().__init__()
        tables = [
            _table(USER, features.user.num_rows, table_dim, [USER]),
            _table(ITEM, features.item.num_rows, table_dim, [ITEM, HISTORY]),
        ]
        for number, (name, vocabulary) in enumerate(features.attributes.items()):
            table = f"attribute_{number}"  # a module's name may not hold every character
            tables.append(_table(table, vocabulary.num_rows, table_dim, [ATTRIBUTE_PREFIX + name]))
        self.sparse = SparseArch(EmbeddingBagCollection(tables=tables))
        self.head = InteractionHead(
            len(features.bag_names), features.image_dim, table_dim, hidden_dim
        )

    def forward(self, image_BD: Tensor, taste_BD: Tensor, ids: KeyedJaggedTensor) -> Tensor:
        """Return logit_B."""
        logit_B: Tensor = self.head(image_BD, taste_BD, self.sparse(ids))
        return logit_B

    def logits(self, batch: Batch) -> Tensor:
        """Return logit_B of a numpy batch."""
        logit_B: Tensor = self(
            torch.from_numpy(batch.image), torch.from_numpy(batch.taste), jagged(batch)
        )
        return logit_B

    @torch.no_grad()
    def probabilities(self, batch: Batch) -> Vectors:
        """Return probability_B of a like, as numpy."""
        probability_B: Vectors = torch.sigmoid(self.logits(batch)).numpy()
        return probability_B


class PlainRanker(nn.Module):
    """The same model without TorchRec: for each bag its values and offsets, as ONNX inputs."""

    def __init__(self, trained: TorchRecRanker) -> None:
        super().__init__()
        self.head = trained.head
        collection = trained.sparse.embedding_bag_collection
        self.tables = nn.ParameterList()
        self.table_of_bag: list[int] = []
        for number, config in enumerate(collection.embedding_bag_configs()):
            table = cast(nn.EmbeddingBag, collection.embedding_bags[config.name])
            self.tables.append(table.weight)
            self.table_of_bag += [number] * len(config.feature_names)

    def forward(
        self, image_BD: Tensor, taste_BD: Tensor, bags: list[tuple[Tensor, Tensor]]
    ) -> Tensor:
        """Return probability_B of a like."""
        pooled_BFE = torch.stack(
            [
                mean_pool(self.tables[table], values_V, offsets)
                for table, (values_V, offsets) in zip(self.table_of_bag, bags, strict=True)
            ],
            dim=1,
        )
        return torch.sigmoid(self.head(image_BD, taste_BD, pooled_BFE))


def new_ranker(
    features: RankFeatures, table_dim: int, hidden_dim: int, seed: int
) -> TorchRecRanker:
    """Return an untrained ranker; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the layers draw from the global generator
        return TorchRecRanker(features, table_dim, hidden_dim)


def jagged(batch: Batch) -> KeyedJaggedTensor:
    """Return the bags of a batch as TorchRec takes them: feature by feature."""
    bags = batch.bags.values()
    return KeyedJaggedTensor.from_lengths_sync(
        keys=list(batch.bags),
        values=torch.from_numpy(np.concatenate([bag.values for bag in bags])),
        lengths=torch.from_numpy(np.concatenate([bag.lengths for bag in bags])),
    )


def mean_pool(table_RE: Tensor, values_V: Tensor, offsets: Tensor) -> Tensor:
    """Return the mean table row of each bag, (B, E); zero for an empty bag.

    `offsets` (B + 1,) says where bags start and, last, where the values end.
    """
    lengths_B = offsets[1:] - offsets[:-1]
    bag_V = _bag_of_value(values_V, offsets)
    zeros_BE = table_RE.new_zeros(lengths_B.shape[0], table_RE.shape[1])
    sums_BE = zeros_BE.index_add(0, bag_V, table_RE.index_select(0, values_V))
    return sums_BE / lengths_B.clamp(min=1).unsqueeze(1).to(table_RE.dtype)


def _bag_of_value(values_V: Tensor, offsets: Tensor) -> Tensor:
    """Return the bag each value belongs to: how many bags have ended at or before it."""
    ends = offsets[1:]
    num_ends = torch.zeros_like(torch.cat([values_V, values_V.new_zeros(1)]))
    num_ends = num_ends.index_add(0, ends, torch.ones_like(ends))
    return num_ends.cumsum(0)[:-1]


def _table(name: str, num_rows: int, dim: int, bags: list[str]) -> EmbeddingBagConfig:
    return EmbeddingBagConfig(
        name=name,
        embedding_dim=dim,
        num_embeddings=num_rows,
        feature_names=bags,
        pooling=PoolingType.MEAN,
    )
