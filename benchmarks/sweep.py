"""How much does a sweep of eleven reference-mask ratios cost against eleven separate runs?

    python -m benchmarks.sweep --out out/bench/sweep.json

Both write the preference tokens of the same eight users at the same eleven ratios with the same
weights, each with a key-value cache, and the benchmark fails unless all tokens are the same.
The sweep is this project's: masks and prompt once a user, all ratios as lanes of one sequence,
LoRA merged, a head over visual ids only. The separate runs take one ratio at a time with the
model as it was trained: masks, whole prompt, LoRA beside the weights, transformers' own cache,
a head over every id of the vocabulary whose text ids are suppressed.
Read `times_faster` (a ratio of medians) against 8, and beside it `times_less_cpu`, which a busy
machine distorts less. Peak memory is that of a process that does
nothing else, `loaded` before it begins. Painting is timed beside it: it is the same either way.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._record import write_result

BATCH = 8  # users
REPEATS = 5
WORDS = "a happy sticker with a balloon"
MIB = 2**20


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name in ("sweep", "separate"):
        with multiprocessing.get_context("spawn").Pool(1) as process:
            found[name], figures[name] = process.apply(
                measure, (name, args.weights, args.repeats, args.threads)
            )
    assert found["sweep"] == found["separate"], "the two ways wrote different tokens"
    figures["tokens_equal"] = True
    for name, seconds in (("times_faster", "median_s"), ("times_less_cpu", "mean_cpu_s")):
        figures[name] = round(figures["separate"][seconds] / figures["sweep"][seconds], 2)
    for name in ("sweep", "separate"):
        values = figures[name]
        print(f"{name:10} {values['median_s']:8.3f} s  {values['peak_memory_mib']:6.0f} MiB")
    print(f"{figures['times_faster']} times faster, {figures['times_less_cpu']} times less CPU")
    settings = {"batch": BATCH, "ratios": 11, "repeats": args.repeats, "threads": args.threads}
    write_result(args.out, "What does a sweep of eleven ratios cost?", settings, figures)


def measure(
    name: str, weights: Path | None, repeats: int, threads: int
) -> tuple[list[Any], dict[str, float]]:
    """Return the tokens one way writes, and its seconds and memory, in a process of its own."""
    import torch

    from pigeon_recsys.model.checkpoint import load_pigeon
    from pigeon_recsys.model.personalize import merge_lora
    from pigeon_recsys.wiring import SHIPPED_WEIGHTS

    torch.set_num_threads(threads)
    pigeon = load_pigeon(weights or SHIPPED_WEIGHTS)
    if name == "sweep":
        merge_lora(pigeon.backbone)  # as `PigeonModel.load` does
    batch = prompts(pigeon)
    ways: dict[str, Callable[[Any, Any], Any]] = {"sweep": swept, "separate": separate}
    run = ways[name]
    loaded_mib = peak_mib()
    tokens = run(pigeon, batch)
    started_cpu = time.process_time()
    seconds = [timed(lambda: run(pigeon, batch)) for _ in range(repeats)]
    cpu_s = (time.process_time() - started_cpu) / repeats
    figures = {
        "median_s": round(statistics.median(seconds), 4),
        "least_s": round(min(seconds), 4),
        "mean_cpu_s": round(cpu_s, 4),
        "loaded_memory_mib": round(loaded_mib),
        "peak_memory_mib": round(peak_mib()),
    }
    if name == "sweep":
        generator = torch.Generator().manual_seed(0)
        paint = lambda: pigeon.backbone.detokenize(tokens[0], 4, generator)  # noqa: E731
        figures["paint_a_users_images_s"] = round(timed(paint), 4)
    return tokens.tolist(), figures


def prompts(pigeon: Any) -> Any:
    """Return the prompts of a batch of users with full histories of random tokens."""
    import torch

    from pigeon_recsys.model.pigeon import HISTORY_LENGTH
    from pigeon_recsys.model.prompt import PromptBatch, pad_texts

    spec = pigeon.backbone.spec
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, HISTORY_LENGTH, spec.tokens_per_image)
    text, has_text = pad_texts([pigeon.backbone.tokenize_text(WORDS)] * BATCH)
    return PromptBatch(
        history_BHT=torch.randint(spec.num_visual, shape, generator=generator),
        present_BH=torch.ones(shape[:2], dtype=torch.bool),
        text_BL=text,
        has_text_BL=has_text,
        reference_BT=torch.randint(spec.num_visual, (BATCH, shape[2]), generator=generator),
        has_reference_B=torch.ones(BATCH, dtype=torch.bool),
    )


def swept(pigeon: Any, batch: Any) -> Any:
    """Return greedy visual_BRT, all ratios in one pass."""
    import torch

    from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS
    from pigeon_recsys.model.sampling import Sampling

    ratios = torch.tensor([REFERENCE_RATIOS] * BATCH)
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

    backbone = pigeon.backbone
    visual_VD = backbone.visual_head().detach()
    num_text = backbone.token_embedding.num_embeddings
    text_VD = torch.zeros(num_text, visual_VD.shape[1])
    head_VD = torch.cat([text_VD, visual_VD])  # text ids and markers stand before visual ids
    with torch.no_grad():
        masks = pigeon.masks(batch, torch.full((BATCH,), ratio), None)
        words = pigeon.config.instruction
        prompt = join(
            [
                prompt_before_reference(backbone, batch, words, masks.history_BHT),
                pigeon.reference_part(batch, masks.reference_BT),
                marker_part(backbone, "image_start", BATCH),
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


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_mib() -> float:
    """Return the most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
