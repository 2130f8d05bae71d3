"""The ranking model: a DLRM over id embeddings, pictures, texts and the moment.

Naumov et al., "Deep Learning Recommendation Model", arXiv 1906.00091. Every id feature becomes
one pooled vector; pictures, texts and the context are projected to the same width; and the dot
products of all pairs, with the projected picture, feed a small MLP. It is chosen because like =
dot product of two things is exactly what is needed without an id: the products user x picture,
history x text, attribute x picture and taste x picture are all there when the item's own
vector is zero, as it is for a generated image. A two-tower model would keep only one product of
two summaries, and a cross network has no product of two vectors. It is also what TorchRec shards
and what teams run, so tables can grow to many devices without another model.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchrec.models.dlrm import InteractionArch, OverArch, SparseArch
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.context import CONTEXT_NAMES
from pigeon_recsys.ranking.features import (
    ATTRIBUTE_PREFIX,
    HISTORY,
    ITEM,
    USER,
    Batch,
    RankFeatures,
)
from pigeon_recsys.records import Vectors

# B rows, F id features, G vectors that meet the picture, P picture and products of pairs
# D picture embedding width, T text embedding width, C context width, E table width

MAX_LOGIT = 15.0  # in float32 the sigmoid is then still below 1
NUM_DENSE = 3  # taste, text and context stand beside the id features


class InteractionHead(nn.Module):
    """From pooled id vectors, pictures, text and context to a logit."""

    def __init__(
        self, num_bags: int, image_dim: int, text_dim: int, table_dim: int, hidden_dim: int
    ) -> None:
        super().__init__()
        self.picture = nn.Linear(image_dim, table_dim)  # one for item and taste: same space
        # A random projection that keeps dot products on average: training starts from cosines.
        nn.init.normal_(self.picture.weight, std=table_dim**-0.5)
        nn.init.zeros_(self.picture.bias)
        # These have no twin to agree with, so they start from nothing instead of from noise.
        self.text = _silent(text_dim, table_dim)
        self.context = _silent(len(CONTEXT_NAMES), table_dim)
        self.interaction = InteractionArch(num_sparse_features=num_bags + NUM_DENSE)
        num_vectors = num_bags + NUM_DENSE + 1
        num_pairs = num_vectors * (num_vectors - 1) // 2
        self.over = OverArch(table_dim + num_pairs, [hidden_dim, hidden_dim // 2, 1])

    def forward(
        self,
        image_BD: Tensor,
        text_BT: Tensor,
        taste_BD: Tensor,
        context_BC: Tensor,
        pooled_BFE: Tensor,
    ) -> Tensor:
        """Return logit_B, bounded so that its sigmoid lies strictly between 0 and 1."""
        dense = (self.picture(taste_BD), self.text(text_BT), self.context(context_BC))
        vectors_BGE = torch.cat([torch.stack(dense, dim=1), pooled_BFE], dim=1)
        features_BP = self.interaction(self.picture(image_BD), vectors_BGE)
        logit_B: Tensor = self.over(features_BP).squeeze(1)
        return logit_B.clamp(-MAX_LOGIT, MAX_LOGIT)


class TorchRecRanker(nn.Module):
    """The model as it is trained."""

    def __init__(self, features: RankFeatures, table_dim: int, hidden_dim: int) -> None:
        super().__init__()
        tables = [
            _table(USER, features.user.num_rows, table_dim, [USER]),
            _table(ITEM, features.item.num_rows, table_dim, [HISTORY, ITEM]),
        ]
        for number, (name, vocabulary) in enumerate(features.attributes.items()):
            table = f"attribute_{number}"  # a module's name may not hold every character
            tables.append(_table(table, vocabulary.num_rows, table_dim, [ATTRIBUTE_PREFIX + name]))
        self.sparse = SparseArch(EmbeddingBagCollection(tables=tables))
        self.head = InteractionHead(
            len(features.bag_names), features.image_dim, features.text_dim, table_dim, hidden_dim
        )

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        taste: Tensor,
        context: Tensor,
        ids: KeyedJaggedTensor,
    ) -> Tensor:
        """Return logit_B."""
        logit_B: Tensor = self.head(image, text, taste, context, self.sparse(ids))
        return logit_B

    @torch.no_grad()
    def probabilities(self, batch: Batch) -> Vectors:
        """Return probability_B of a like, as numpy."""
        probability_B: Vectors = torch.sigmoid(self(**model_inputs(batch))).numpy()
        return probability_B


class ProbabilityRanker(nn.Module):
    """The model as it is exported: the probability of a like."""

    def __init__(self, trained: TorchRecRanker) -> None:
        super().__init__()
        self.trained = trained

    def forward(self, **inputs: Tensor | KeyedJaggedTensor) -> Tensor:
        """Return probability_B."""
        return torch.sigmoid(self.trained(**inputs))


def new_ranker(
    features: RankFeatures, table_dim: int, hidden_dim: int, seed: int
) -> TorchRecRanker:
    """Return an untrained ranker; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the layers draw from the global generator
        return TorchRecRanker(features, table_dim, hidden_dim)


def model_inputs(batch: Batch) -> dict[str, Tensor | KeyedJaggedTensor]:
    """Return a numpy batch as the arguments of the model, row by row."""
    rows = batch.expanded()
    return {
        "image": torch.from_numpy(rows.image),
        "text": torch.from_numpy(rows.text),
        "taste": torch.from_numpy(rows.taste),
        "context": torch.from_numpy(rows.context),
        "ids": jagged(rows.bags),
    }


def jagged(bags: Mapping[str, Bags]) -> KeyedJaggedTensor:
    """Return bags, as many of each feature, as TorchRec takes them: feature by feature."""
    packed = Bags.concatenated(list(bags.values()))
    return KeyedJaggedTensor.from_lengths_sync(
        keys=list(bags),
        values=torch.from_numpy(packed.values),
        lengths=torch.from_numpy(packed.lengths),
    )


def _silent(width: int, table_dim: int) -> nn.Linear:
    """Return a projection that gives zeros until it has learned something."""
    projection = nn.Linear(width, table_dim)
    nn.init.zeros_(projection.weight)
    nn.init.zeros_(projection.bias)
    return projection


def _table(name: str, num_rows: int, dim: int, bags: list[str]) -> EmbeddingBagConfig:
    return EmbeddingBagConfig(
        name=name,
        embedding_dim=dim,
        num_embeddings=num_rows,
        feature_names=bags,
        pooling=PoolingType.MEAN,
    )
