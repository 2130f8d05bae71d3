"""A contact sheet: what a sweep was made from, all its pictures, and which one was chosen.

In:  generations and their tasks.
Out: one picture, a row a generation: history, reference, then the sweep by falling score. The
     chosen picture stands in a frame; its neighbour to the left may have failed a check.
"""

from collections.abc import Sequence

import numpy as np

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.generation.ratio_choice import best_first
from pigeon_recsys.records import Generation, GenerationTask, Pixels

MARGIN = 3  # pixels around every picture; the frame fills it
PAPER, FRAME = (255, 255, 255), (220, 40, 40)


def contact_sheet(made: Sequence[tuple[GenerationTask, Generation]], num_history: int) -> Pixels:
    """Return the sheet; every row has `num_history` places for history and one for a reference."""
    return np.concatenate([_row(task, generation, num_history) for task, generation in made])


def _row(task: GenerationTask, generation: Generation, num_history: int) -> Pixels:
    height, width = generation.pixels.shape[:2]
    blank = np.full((height, width, 3), PAPER, np.uint8)
    history = [image.pixels for image in task.history][-num_history:]
    reference = blank if task.reference_pixels is None else task.reference_pixels
    given = [*[blank] * (num_history - len(history)), *history, reference, blank]
    cells = [_framed(resize(picture, height, width), PAPER) for picture in given]
    chosen_ratio = generation.provenance.reference_mask_ratio
    for image in best_first(generation.sweep):
        is_chosen = image.reference_mask_ratio == chosen_ratio
        cells.append(_framed(image.pixels, FRAME if is_chosen else PAPER))
    return np.concatenate(cells, axis=1)


def _framed(picture: Pixels, colour: tuple[int, int, int]) -> Pixels:
    height, width = picture.shape[:2]
    cell = np.full((height + 2 * MARGIN, width + 2 * MARGIN, 3), colour, np.uint8)
    cell[MARGIN:-MARGIN, MARGIN:-MARGIN] = picture
    return cell
