"""Train one ranker in the processes that `torchrun` started, by TorchRec's own model parallelism.

In:  a ranker, the same in every process.
Out: a `DistributedModelParallel` that trains it, and after that its weights, whole again.

Every table is sharded over the processes row by row, so that the largest one decides nothing. The
dense part is replicated, and its gradients averaged. With each process taking its share of
every batch, the result is that of one process but for rounding (`tests/ranking`).

What TorchRec 1.8 does on a CPU with gloo, as tried: every kind of sharding trains (table, row and
column wise, and data parallel). Its planner, though, offers row wise only for CUDA, and only
kernels with a fused optimizer, which on CPU has no Adam. So the plan is written here, with the
`dense` kernel, whose gradients any optimizer of torch takes. All tables are sharded in one way,
because two ways together train another model than one process does (scores differ from the first
step on). And a module on the CPU is sharded with fresh random tables; the ones it came with are
copied in afterwards.
"""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._shard.sharded_tensor.api import ShardedTensor
from torchrec.distributed.comm import get_local_size
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.sharding_plan import construct_module_sharding_plan, row_wise
from torchrec.distributed.types import ShardingPlan
from torchrec.modules.embedding_modules import EmbeddingBagCollection

DENSE = EmbeddingComputeKernel.DENSE.value
CPU = torch.device("cpu")


def shard(model: nn.Module) -> DistributedModelParallel:
    """Return the model sharded over all processes; `model` itself is taken apart."""
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    sharder = EmbeddingBagCollectionSharder()
    plans = {
        name: _plan(module, sharder)
        for name, module in model.named_modules()
        if isinstance(module, EmbeddingBagCollection)
    }
    parallel = DistributedModelParallel(
        model, device=CPU, plan=ShardingPlan(plans), sharders=[sharder]
    )
    _copy_into(parallel, weights)
    return parallel


def gathered(parallel: DistributedModelParallel) -> dict[str, Tensor]:
    """Return all weights, whole, in every process."""
    return {name: _whole(tensor) for name, tensor in parallel.state_dict().items()}


def _plan(collection: EmbeddingBagCollection, sharder: EmbeddingBagCollectionSharder) -> object:
    num_processes = dist.get_world_size()
    generators = {
        config.name: row_wise(compute_kernel=DENSE) for config in collection.embedding_bag_configs()
    }
    return construct_module_sharding_plan(
        collection,
        generators,
        sharder=sharder,
        local_size=get_local_size(num_processes),
        world_size=num_processes,
        device_type=CPU.type,
    )


@torch.no_grad()
def _copy_into(parallel: DistributedModelParallel, weights: Mapping[str, Tensor]) -> None:
    for name, target in parallel.state_dict().items():
        if not isinstance(target, ShardedTensor):
            target.copy_(weights[name])
            continue
        for part in target.local_shards():
            row, column = part.metadata.shard_offsets
            num_rows, width = part.metadata.shard_sizes
            part.tensor.copy_(weights[name][row : row + num_rows, column : column + width])


def _whole(tensor: Tensor) -> Tensor:
    if not isinstance(tensor, ShardedTensor):
        return tensor.detach().clone()
    whole = torch.empty(tensor.size())
    tensor.gather(0, whole if dist.get_rank() == 0 else None)
    dist.broadcast(whole, src=0)
    return whole
