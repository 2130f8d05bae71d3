"""How much does a sweep of eleven reference-mask ratios cost against eleven separate runs?

    python -m benchmarks.sweep --out out/bench/sweep.json

Both write the preference tokens of the same eight users at the same eleven ratios with the same
weights, each with a key-value cache, and the benchmark fails unless all tokens are the same.
The sweep is this project's: masks and prompt once a user, all ratios as lanes of one sequence,
LoRA merged, a head over visual ids only. The separate runs take one ratio at a time with the
model as it was trained: masks, whole prompt, LoRA beside the weights, transformers' own cache,
a head over every id of the vocabulary whose text ids are suppressed. Neither builds the tables
of visual ids more than once a run.
The two take turns, each in a process of its own that does nothing else, so that a machine that
gets busy slows both. Read `times_faster` (a ratio of medians) against 8, and beside it
`times_less_cpu`, the same of processor time. Memory is a process's peak, and `loaded` what it
was before anything was written. Painting is timed beside it: it is the same either way.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._record import write_result
from pigeon_recsys.files import check_writable

USERS = 8
REPEATS = 5
SEED = 0  # of the random histories, references and the noise that painting starts from
PAINT_STEPS = 4
WORDS = "a happy sticker with a balloon"
MIB = 2**20


@dataclass(frozen=True)
class Run:
    """One way, run once: tokens by user and ratio, and the seconds it took."""

    visual_BRT: list[Any]
    wall_s: float
    cpu_s: float


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    runs, figures = measure(args)
    tokens = [run.visual_BRT for name in runs for run in runs[name]]
    assert all(each == tokens[0] for each in tokens), "the two ways wrote different tokens"
    figures["tokens_equal"] = True
    for name, seconds in (("times_faster", "median_s"), ("times_less_cpu", "median_cpu_s")):
        figures[name] = round(figures["separate"][seconds] / figures["sweep"][seconds], 2)
    for name in WAYS:
        values = figures[name]
        print(f"{name:10} {values['median_s']:8.3f} s  {values['peak_memory_mib']:6.0f} MiB")
    print(f"{figures['times_faster']} times faster, {figures['times_less_cpu']} times less CPU")
    settings = {
        "weights": "shipped" if args.weights is None else args.weights.name,
        "users": args.users,
        "ratios": len(tokens[0][0]),
        "repeats": args.repeats,
        "threads": args.threads,
        "seed": SEED,
    }
    write_result(args.out, "What does a sweep of eleven ratios cost?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> tuple[dict[str, list[Run]], dict[str, Any]]:
    """Run both ways in turns, once to warm up; return the timed runs and their figures."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(
                context.Pool(1, load, (name, args.weights, args.users, args.threads))
            )
            for name in WAYS
        }
        loaded = {name: processes[name].apply(peak_mib) for name in WAYS}
        runs: dict[str, list[Run]] = {name: [] for name in WAYS}
        for _ in range(1 + args.repeats):
            for name in WAYS:
                runs[name].append(processes[name].apply(run_once))
        runs = {name: each[1:] for name, each in runs.items()}
        figures: dict[str, Any] = {
            name: {
                **seconds(runs[name]),
                "loaded_memory_mib": round(loaded[name]),
                "peak_memory_mib": round(processes[name].apply(peak_mib)),
            }
            for name in WAYS
        }
        first_user = runs["sweep"][0].visual_BRT[0]
        figures["paint_a_users_images_s"] = processes["sweep"].apply(paint_time, (first_user,))
    return runs, figures


def seconds(runs: Sequence[Run]) -> dict[str, float]:
    """Return what is told of some runs' times."""
    walls = [run.wall_s for run in runs]
    return {
        "median_s": round(statistics.median(walls), 4),
        "least_s": round(min(walls), 4),
        "median_cpu_s": round(statistics.median(run.cpu_s for run in runs), 4),
    }


_loaded: dict[str, Any] = {}  # of the process that measures one way


def load(name: str, weights: Path | None, users: int, threads: int) -> None:
    """Make a process ready for one way."""
    import torch

    from pigeon_recsys.model.checkpoint import load_pigeon
    from pigeon_recsys.model.personalize import merge_lora
    from pigeon_recsys.wiring import SHIPPED_WEIGHTS

    torch.set_num_threads(threads)
    pigeon = load_pigeon(weights or SHIPPED_WEIGHTS)
    if name == "sweep":
        merge_lora(pigeon.backbone)  # as `PigeonModel.load` does
    _loaded.update(pigeon=pigeon, batch=prompts(pigeon, users), write=WAYS[name])


def run_once() -> Run:
    """Write all tokens once, in the process that is ready for it."""
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    visual_BRT = _loaded["write"](_loaded["pigeon"], _loaded["batch"])
    wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
    return Run(visual_BRT.tolist(), wall_s, cpu_s)


def paint_time(visual_RT: list[Any]) -> float:
    """Return the seconds that painting one user's images takes."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    started_s = time.perf_counter()
    _loaded["pigeon"].backbone.detokenize(torch.tensor(visual_RT), PAINT_STEPS, generator)
    return round(time.perf_counter() - started_s, 4)


def prompts(pigeon: Any, users: int) -> Any:
    """Return the prompts of users with full histories of random tokens."""
    import torch

    from pigeon_recsys.model.pigeon import HISTORY_LENGTH
    from pigeon_recsys.model.prompt import PromptBatch, pad_texts

    spec = pigeon.backbone.spec
    generator = torch.Generator().manual_seed(SEED)
    shape = (users, HISTORY_LENGTH, spec.tokens_per_image)
    text, has_text = pad_texts([pigeon.backbone.tokenize_text(WORDS)] * users)
    return PromptBatch(
        history_BHT=torch.randint(spec.num_visual, shape, generator=generator),
        present_BH=torch.ones(shape[:2], dtype=torch.bool),
        text_BL=text,
        has_text_BL=has_text,
        reference_BT=torch.randint(spec.num_visual, (users, shape[2]), generator=generator),
        has_reference_B=torch.ones(users, dtype=torch.bool),
    )


def swept(pigeon: Any, batch: Any) -> Any:
    """Return greedy visual_BRT, all ratios in one pass."""
    import torch

    from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS
    from pigeon_recsys.model.sampling import Sampling

    ratios = torch.tensor([REFERENCE_RATIOS] * len(batch.reference_BT))
    generators = [torch.Generator() for _ in range(ratios.numel())]
    return pigeon.write(batch, ratios, Sampling(temperature=0), generators).visual_BRT


def separate(pigeon: Any, batch: Any) -> Any:
    """Return greedy visual_BRT, one whole run a ratio."""
    import torch

    from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS

    return torch.stack([one_run(pigeon, batch, ratio) for ratio in REFERENCE_RATIOS], dim=1)


def one_run(pigeon: Any, batch: Any, ratio: float) -> Any:
    """Return greedy visual_BT of one ratio, with a head over the whole vocabulary."""
    import torch
    from torch.nn import functional
    from transformers import DynamicCache

    from pigeon_recsys.model.prompt import join, marker_part, prompt_before_reference

    backbone, users = pigeon.backbone, len(batch.reference_BT)
    visual_VD = backbone.visual_head().detach()
    num_text = backbone.token_embedding.num_embeddings
    text_VD = torch.zeros(num_text, visual_VD.shape[1])
    head_VD = torch.cat([text_VD, visual_VD])  # text ids and markers stand before visual ids
    with torch.no_grad(), backbone.frozen():
        masks = pigeon.masks(batch, torch.full((users,), ratio), None)
        words = pigeon.config.instruction
        prompt = join(
            [
                prompt_before_reference(backbone, batch, words, masks.history_BHT),
                pigeon.reference_part(batch, masks.reference_BT),
                marker_part(backbone, "image_start", users),
            ]
        )
        cache, attend_BS = DynamicCache(), prompt.attend_BS
        hidden_BSD = backbone.hidden(prompt.embed_BSD, attend_BS, cache)
        written = []
        for place in range(backbone.spec.tokens_per_image):
            logit_BV = functional.linear(hidden_BSD[:, -1], head_VD)
            logit_BV[:, :num_text] = -torch.inf
            token_B1 = logit_BV.argmax(dim=-1, keepdim=True) - num_text
            written.append(token_B1)
            attend_BS = torch.cat([attend_BS, torch.ones_like(attend_BS[:, :1])], dim=1)
            hidden_BSD = backbone.hidden(backbone.embed_visual(token_B1, place), attend_BS, cache)
    return torch.cat(written, dim=1)


def peak_mib() -> float:
    """Return the most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


WAYS: Mapping[str, Callable[[Any, Any], Any]] = {"sweep": swept, "separate": separate}


if __name__ == "__main__":
    main()
