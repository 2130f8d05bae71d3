"""The study as one page for all participants: no network, no server, no names.

In:  a study and the pictures it shows.
Out: HTML: `page.html`, `page.css` and `page.js` filled in, every picture inside as a data URI.

What would unblind is left out: names of methods, tasks and users, the name of the comparison, and
what a picture file says about its origin, because every picture is decoded and encoded again.
The content security policy allows this one script and style by their hashes, and no connection.
"""

import base64
import hashlib
import io
import json
import random
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from PIL import Image

from pigeon_recsys.evaluation.human_study.answers import FORMAT
from pigeon_recsys.evaluation.human_study.comparison import Comparison
from pigeon_recsys.evaluation.human_study.sheet import PARTICIPANT
from pigeon_recsys.evaluation.human_study.study import QUESTIONS, Check, Pair, Study
from pigeon_recsys.records import Pixels

MAX_SIDE = 512  # pixels of a judged picture; shown at most 400 high
MAX_CONTEXT_SIDE = 168  # pixels of a history or reference picture; twice as it is shown
PATCHES = 12  # squares a side of the plainly wrong picture


def render_page(study: Study, comparison: Comparison) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["csp_hash"] = csp_hash
    return environment.get_template("page.html").render(
        data=_page_data(study, comparison),
        script=_resource("page.js"),
        style=_resource("page.css"),
        num_shown=study.num_shown,
        questions=[QUESTIONS[name] for name in study.questions],
        ties_allowed=study.ties_allowed,
        participant_pattern=PARTICIPANT.pattern,
    )


def csp_hash(text: str) -> str:
    """Return the source expression that allows exactly this inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _page_data(study: Study, comparison: Comparison) -> str:
    """Return what the script reads, as JSON that cannot end its element."""
    shown: list[Pair | Check] = [*study.pairs, *study.checks]
    # By code, so that the order of anything in the page says nothing.
    shown.sort(key=lambda each: each.pair_id)
    tasks = list(dict.fromkeys(each.task_id for each in shown))
    images = _judged_images(study, comparison)
    contexts = _contexts(tasks, comparison, images)
    content = {
        "id": study.study_id,
        "answerFormat": FORMAT,
        "questions": {name: QUESTIONS[name] for name in study.questions},
        "tiesAllowed": study.ties_allowed,
        "perParticipant": study.per_participant,
        "pairs": [_shown_entry(each, tasks) for each in shown if isinstance(each, Pair)],
        "checks": [_shown_entry(each, tasks) for each in shown if isinstance(each, Check)],
        "tasks": contexts,
        "images": dict(sorted(images.items())),
    }
    return json.dumps(content).replace("<", "\\u003c")


def _shown_entry(shown: Pair | Check, tasks: Sequence[str]) -> dict[str, object]:
    return {
        "id": shown.pair_id,
        "task": tasks.index(shown.task_id),
        "questions": shown.questions,
        "pictures": sorted(shown.pictures),
    }


def _judged_images(study: Study, comparison: Comparison) -> dict[str, str]:
    """Return every picture that is judged, as data URIs by code."""
    images = {}
    for pair in study.pairs:
        for code, method in zip(pair.pictures, pair.methods, strict=True):
            images[code] = png_uri(comparison.drawn(method, pair.task_id), MAX_SIDE)
    for check in study.checks:
        real, wrong = check.pictures
        pixels = comparison.pixels(check.real_file)
        images[real] = png_uri(pixels, MAX_SIDE)
        images[wrong] = png_uri(patchwork(pixels.shape[0], pixels.shape[1], wrong), MAX_SIDE)
    return images


def _contexts(
    tasks: Sequence[str], comparison: Comparison, images: dict[str, str]
) -> list[dict[str, object]]:
    """Return history, reference and text of each task; adds their pictures to `images`."""
    codes: dict[str, str] = {}

    def code_of(file: str) -> str:
        if file not in codes:
            codes[file] = f"context-{len(codes)}"
            images[codes[file]] = png_uri(comparison.pixels(file), MAX_CONTEXT_SIDE)
        return codes[file]

    by_id = {task.id: task for task in comparison.tasks}
    return [
        {
            "history": [code_of(file) for file in task.history],
            "reference": None if task.reference is None else code_of(task.reference),
            "text": task.text,
        }
        for task in (by_id[task_id] for task_id in tasks)
    ]


def patchwork(height: int, width: int, code: str) -> Pixels:
    """Return squares of random colours, which no method would draw."""
    rng = np.random.default_rng(random.Random(code).getrandbits(64))
    colours = rng.integers(256, size=(PATCHES, PATCHES, 3), dtype=np.uint8)
    image = Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(image)


def png_uri(pixels: Pixels, max_side: int) -> str:
    """Return a picture as a PNG data URI, at most `max_side` on its longer side."""
    image = Image.fromarray(pixels)
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def _resource(name: str) -> str:
    return files("pigeon_recsys.evaluation.human_study").joinpath(name).read_text(encoding="utf-8")
