"""Several processes that train one model, as `torchrun` starts them.

A training step is made of `accumulate` micro batches. Each has draws of its own, and the
processes share them out: the first of two takes micro batches 0, 2, …, the second 1, 3, ….
Gradients are summed over all of them, so how many processes there are changes nothing but the
time it takes. The first process alone writes files.

Without `torchrun` there is one process, and every function here does nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pigeon_recsys.errors import SettingsError


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that `torchrun` started, and leave them at the end of the block."""
    if not dist.is_torchelastic_launched():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(training_device())
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def training_device() -> torch.device:
    """Return this process's GPU where there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", dist.get_node_local_rank(fallback_rank=0))


def num_processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Say whether this is the process that writes files and shows progress."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait_for_all() -> None:
    """Return once every process is here, so that all see what the first has written."""
    if dist.is_initialized():
        dist.barrier()


def own_micro_batches(accumulate: int) -> range:
    """Return the numbers of the micro batches of a step that this process computes."""
    count = num_processes()
    if accumulate % count:
        raise SettingsError(
            f"accumulate must be a multiple of the number of processes, {count}, so that each "
            f"computes as much; got {accumulate}. Set accumulate: {count} in the recipe's stage."
        )
    return own_share(accumulate)


def own_share(num_jobs: int) -> range:
    """Return which of `num_jobs` independent jobs are this process's."""
    return range(dist.get_rank() if dist.is_initialized() else 0, num_jobs, num_processes())


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite the tensors by those of the first process, in place."""
    if dist.is_initialized():
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Sum every parameter's gradient over the processes; one that none has stays None."""
    if not dist.is_initialized():
        return
    has_grad = torch.tensor([float(p.grad is not None) for p in parameters])
    dist.all_reduce(has_grad)
    met = [p for p, count in zip(parameters, has_grad.tolist(), strict=True) if count]
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in met])
    dist.all_reduce(flat)
    for parameter, part in zip(met, flat.split([p.numel() for p in met]), strict=True):
        parameter.grad = part.view_as(parameter)


def summed(values: Mapping[str, float]) -> dict[str, float]:
    """Return each value summed over the processes, the same number in all of them."""
    if not dist.is_initialized():
        return dict(values)
    total = torch.tensor(list(values.values()), dtype=torch.float64)
    dist.all_reduce(total)
    return dict(zip(values, total.tolist(), strict=True))
