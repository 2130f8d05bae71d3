"""An `EmbeddingBagCollection` in operations that ONNX has: one gather and one sum for all tables.

In:  bags of ids as packed values and offsets.
Out: the `KeyedTensor` that the collection gives for the same bags.

Tables of one width are stacked into one, so that all keys are looked up at once: a graph of few
operations runs faster than the same work in many. What repeats in a request is pooled once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection, get_embedding_names_by_table
from torchrec.sparse.jagged_tensor import KeyedTensor

# B rows, K keys, V ids in all bags, N bags, E table width, R rows of a table


@dataclass(frozen=True, eq=False)
class Pack:
    """Bags of some keys, which an argument of the model has in common."""

    keys: tuple[str, ...]
    values_V: Tensor
    offsets: Tensor  # (K * B + 1,), or of U bags a key
    weights_V: Tensor | None
    rows_B: Tensor | None  # the bag of each row; None for one bag a row


@dataclass(frozen=True)
class RaggedBags:
    """Stands for a `KeyedJaggedTensor` while a model is traced."""

    packs: tuple[Pack, ...]


class PooledTables(nn.Module):
    """An `EmbeddingBagCollection` of plain gathers and sums, on copies of the same weights."""

    def __init__(self, collection: EmbeddingBagCollection) -> None:
        super().__init__()
        self.is_weighted = collection.is_weighted()
        configs = collection.embedding_bag_configs()
        self.names = [name for names in get_embedding_names_by_table(configs) for name in names]
        self.widths = [config.embedding_dim for config in configs for _ in config.feature_names]
        self.stacks = nn.ModuleList()
        outputs = [(config, key) for config in configs for key in config.feature_names]
        stacked: dict[tuple[object, ...], dict[str, EmbeddingBagConfig]] = {}
        self.sources: list[tuple[int, str]] = []  # for each output its stack and key
        for config, key in outputs:
            occurrence = sum(key == other for _, other in self.sources)
            kind = (config.embedding_dim, config.data_type, occurrence)
            stacked.setdefault(kind, {})[key] = config
            self.sources.append((list(stacked).index(kind), key))
        for of_key in stacked.values():
            self.stacks.append(TableStack(collection, of_key))

    def forward(self, features: RaggedBags) -> KeyedTensor:
        """Return the pooled vectors, as the collection does."""
        found = [stack(features, self.is_weighted) for stack in self.stacks]
        if len(found) == 1:  # all tables are as wide: one look-up for all outputs
            keys, pooled_BKE = found[0]
            order = [keys.index(key) for _, key in self.sources]
            if order != list(range(len(keys))):
                pooled_BKE = pooled_BKE.index_select(1, torch.tensor(order))
            values = pooled_BKE.flatten(1)
        else:
            parts = [found[n][1][:, found[n][0].index(key)] for n, key in self.sources]
            values = torch.cat(parts, dim=1)
        return KeyedTensor(self.names, self.widths, values)


class TableStack(nn.Module):
    """Tables of one width as one, the rows of each after those of the one before."""

    def __init__(
        self, collection: EmbeddingBagCollection, config_of_key: Mapping[str, EmbeddingBagConfig]
    ) -> None:
        super().__init__()
        configs = {config.name: config for config in config_of_key.values()}
        tables = [collection.embedding_bags[name].weight.detach() for name in configs]
        self.register_buffer("table_RE", torch.cat(tables))
        self.table_RE: Tensor
        first = dict(zip(configs, _starts([len(table) for table in tables]), strict=True))
        self.first_row = {key: first[config.name] for key, config in config_of_key.items()}
        self.num_rows = {key: config.num_embeddings for key, config in config_of_key.items()}
        self.is_mean = {
            key: config.pooling is PoolingType.MEAN for key, config in config_of_key.items()
        }

    def forward(self, features: RaggedBags, is_weighted: bool) -> tuple[list[str], Tensor]:
        """Return keys and their pooled_BKE; keys that the stack does not hold are left zero."""
        keys: list[str] = []
        pooled: list[Tensor] = []
        for pack in features.packs:
            if not any(key in self.first_row for key in pack.keys):
                continue
            pooled_KBE = self._pooled(pack, is_weighted)
            if pack.rows_B is not None:
                pooled_KBE = pooled_KBE.index_select(1, pack.rows_B)
            keys += pack.keys
            pooled.append(pooled_KBE)
        return keys, torch.cat(pooled).transpose(0, 1)

    def _pooled(self, pack: Pack, is_weighted: bool) -> Tensor:
        num_keys = len(pack.keys)
        length_KB = (pack.offsets[1:] - pack.offsets[:-1]).reshape(num_keys, -1)
        bag_V = bag_of_value(pack.values_V, pack.offsets)
        values_V = self._stacked_rows(pack, length_KB, bag_V)
        rows_VE = self.table_RE.index_select(0, values_V).float()
        if is_weighted and pack.weights_V is not None:
            rows_VE = rows_VE * pack.weights_V.unsqueeze(1)
        zeros_NE = rows_VE.new_zeros(pack.offsets.shape[0] - 1, rows_VE.shape[1])
        sums_KBE = zeros_NE.index_add(0, bag_V, rows_VE).reshape(num_keys, -1, rows_VE.shape[1])
        is_mean = [self.is_mean.get(key, False) for key in pack.keys]
        if not any(is_mean):
            return sums_KBE
        is_mean_K1 = torch.tensor(is_mean).unsqueeze(1)
        divisor_KB = torch.where(is_mean_K1, length_KB.clamp(min=1), torch.ones_like(length_KB))
        return sums_KBE / divisor_KB.unsqueeze(2).to(sums_KBE.dtype)

    def _stacked_rows(self, pack: Pack, length_KB: Tensor, bag_V: Tensor) -> Tensor:
        """Return the row of each id in the stack; past its end for an id beyond its table."""
        first_V = self._per_bag(pack, self.first_row, length_KB).index_select(0, bag_V)
        num_rows_V = self._per_bag(pack, self.num_rows, length_KB).index_select(0, bag_V)
        is_known_V = (pack.values_V >= 0) & (pack.values_V < num_rows_V)
        beyond_V = torch.full_like(first_V, self.table_RE.shape[0])
        stacked_V = torch.where(is_known_V, pack.values_V + first_V, beyond_V)
        if all(key in self.first_row for key in pack.keys):
            return stacked_V
        # Ids of keys that the stack does not hold mean nothing here: they read row 0.
        return torch.where(num_rows_V > 0, stacked_V, torch.zeros_like(stacked_V))

    def _per_bag(self, pack: Pack, of_key: Mapping[str, int], length_KB: Tensor) -> Tensor:
        """Return a key's number for each of its bags (N,), 0 for keys without one."""
        numbers_K = torch.tensor([of_key.get(key, 0) for key in pack.keys])
        return (numbers_K.unsqueeze(1) + torch.zeros_like(length_KB)).flatten()


def bag_of_value(values_V: Tensor, offsets: Tensor) -> Tensor:
    """Return the bag each value belongs to: how many bags have ended at or before it."""
    ends = offsets[1:]
    num_ends = torch.zeros_like(torch.cat([values_V, values_V.new_zeros(1)]))
    num_ends = num_ends.index_add(0, ends, torch.ones_like(ends))
    return num_ends.cumsum(0)[:-1]


def _starts(lengths: Sequence[int]) -> list[int]:
    return [sum(lengths[:number]) for number in range(len(lengths))]
