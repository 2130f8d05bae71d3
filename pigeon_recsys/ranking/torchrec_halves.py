"""The ranker in two halves: what an item alone decides, and what one request adds to it.

    ItemHalf       an item's picture, text and ids     ->  its state, kept as long as it is the same
    RequestHalf    the states of a request's items,
                   one user's taste, context and ids   ->  the probability of each

A feed ranks the same catalog for one user after another. So a request need not pool the item's
ids, project its picture and its text, multiply them with each other, or take that part through the
first layer over the interactions: all that is in the state. There remain the products of the items
with the user's side, their share of the first layer, and the layers after it.

Both halves are made of a trained model's own layers, and together they compute what it does, with
sums in another order (tests/ranking/test_export.py).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torchrec.models.dlrm import SparseArch
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from pigeon_recsys.ranking.features import REQUEST_BAGS
from pigeon_recsys.ranking.torchrec_ranker import MAX_LOGIT, TorchRecRanker

# B items of one request, E table width, H width of the first layer over the interactions
# I vectors of an item, U of the user's side, P products of both, V vectors of all items
# S width of a state: I * E + H

USER_VECTORS = (1, 3, 4, 5)  # taste, context, user, history, by their place in the interaction


class ItemHalf(nn.Module):
    """From items to their states."""

    def __init__(self, trained: TorchRecRanker) -> None:
        super().__init__()
        head = trained.head
        self.picture, self.text = head.picture, head.text
        self.sparse = _part_of(trained, [key for key in _keys(trained) if key not in REQUEST_BAGS])
        first = _First(trained)
        of_pairs_PH = first.of_products(first.item_vectors, first.item_vectors)
        self.register_buffer("of_picture_EH", first.of_picture_EH)
        self.register_buffer("of_pairs_PH", of_pairs_PH)
        self.register_buffer("bias_H", first.bias_H)
        self.of_picture_EH: Tensor
        self.of_pairs_PH: Tensor
        self.bias_H: Tensor
        table_dim, num_vectors = self.picture.out_features, len(first.item_vectors)
        self.width = num_vectors * table_dim + len(first.bias_H)  # of a state

    def forward(self, image: Tensor, text: Tensor, ids: KeyedJaggedTensor) -> Tensor:
        """Return state_BS: the vectors of each item, and its share of the first layer."""
        picture_BE = self.picture(image)
        dense_BIE = torch.stack([picture_BE, self.text(text)], dim=1)
        vectors_BIE = torch.cat([dense_BIE, self.sparse(ids)], dim=1)
        products_BII = vectors_BIE @ vectors_BIE.transpose(1, 2)
        of_pairs_BH = products_BII.flatten(1) @ self.of_pairs_PH
        share_BH = picture_BE @ self.of_picture_EH + of_pairs_BH + self.bias_H
        return torch.cat([vectors_BIE.flatten(1), share_BH], dim=1)


class RequestHalf(nn.Module):
    """From states and one user's side, which is given once, to probabilities."""

    def __init__(self, trained: TorchRecRanker) -> None:
        super().__init__()
        head = trained.head
        self.picture, self.context = head.picture, head.context
        self.sparse = _part_of(trained, REQUEST_BAGS)
        first = _First(trained)
        self.num_vectors = len(first.item_vectors)
        crossed_PH = first.of_products(first.item_vectors, USER_VECTORS)
        self.register_buffer("of_crossed_PH", crossed_PH)
        self.register_buffer("of_pairs_PH", first.of_products(USER_VECTORS, USER_VECTORS))
        self.over = nn.Sequential(nn.ReLU(), *first.following)
        self.of_crossed_PH: Tensor
        self.of_pairs_PH: Tensor

    def forward(
        self, state: Tensor, taste: Tensor, context: Tensor, ids: KeyedJaggedTensor
    ) -> Tensor:
        """Return probability_B for the states of B items; all else has one row."""
        dense_UE = torch.cat([self.picture(taste), self.context(context)])
        user_UE = torch.cat([dense_UE, self.sparse(ids)[0]])
        share_of_user_1H = (user_UE @ user_UE.T).reshape(1, -1) @ self.of_pairs_PH
        table_dim = user_UE.shape[1]
        width = self.num_vectors * table_dim
        vectors_VE = state[:, :width].reshape(-1, table_dim)
        products_BP = (vectors_VE @ user_UE.T).reshape(-1, len(self.of_crossed_PH))
        share_BH = state[:, width:] + share_of_user_1H
        logit_B = self.over(products_BP @ self.of_crossed_PH + share_BH).squeeze(1)
        probability_B: Tensor = torch.sigmoid(logit_B.clamp(-MAX_LOGIT, MAX_LOGIT))
        return probability_B


class _First:
    """The first layer over the interactions, taken apart by what it multiplies."""

    def __init__(self, trained: TorchRecRanker) -> None:
        mlp, last = trained.head.over.model
        first, *others = mlp._mlp
        weight_PH = first._linear.weight.detach().T.contiguous()
        self.bias_H = first._linear.bias.detach()
        self.following = [*others, last]
        table_dim = trained.head.picture.out_features
        self.of_picture_EH, self._of_pairs_PH = weight_PH[:table_dim], weight_PH[table_dim:]
        self._left, self._right = trained.head.interaction.triu_indices.tolist()
        num_vectors = trained.head.interaction.F + 1
        self.item_vectors = [n for n in range(num_vectors) if n not in USER_VECTORS]

    def of_products(self, left: Sequence[int], right: Sequence[int]) -> Tensor:
        """Return the weights of the products of each of some vectors with each of others (P, H).

        Zero for what the interaction leaves out: a vector with itself, and a pair once more.
        """
        weights: Tensor = self._of_pairs_PH.new_zeros(len(left), len(right), len(self.bias_H))
        for number, pair in enumerate(zip(self._left, self._right, strict=True)):
            one, other = pair if pair[0] in left and pair[1] in right else pair[::-1]
            if one in left and other in right:
                weights[left.index(one), right.index(other)] = self._of_pairs_PH[number]
        return weights.flatten(0, 1)


def _keys(trained: TorchRecRanker) -> list[str]:
    configs = trained.sparse.embedding_bag_collection.embedding_bag_configs()
    return [key for config in configs for key in config.feature_names]


def _part_of(trained: TorchRecRanker, keys: Sequence[str]) -> SparseArch:
    """Return the tables of some keys, on the same weights."""
    whole = trained.sparse.embedding_bag_collection
    configs = [
        replace(config, feature_names=[key for key in config.feature_names if key in keys])
        for config in whole.embedding_bag_configs()
    ]
    part = EmbeddingBagCollection(tables=[config for config in configs if config.feature_names])
    for name, bag in part.embedding_bags.items():
        bag.weight = whole.embedding_bags[name].weight
    return SparseArch(part)
