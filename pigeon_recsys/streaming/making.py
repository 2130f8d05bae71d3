"""From a batch of jobs to pictures that are made, checked and stored, ready to be published.

    stored before?   an earlier try may have come this far: its result is taken, nothing is made
    make             all other jobs of the batch in one pass; one by one where the pass fails
    check            sound pixels, not blank, no near copy of a catalog picture, safe
    store            the picture, then the result under the job's key, then the item for the slot

What is stored can be found by whatever names it: the message that is published afterwards names
the picture, and the job's key names the result. The item comes last because its store knows who
was erased: an item it takes has all its traces, which the next erasure finds, and of an item that
it leaves out the traces are removed again.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pigeon_recsys.errors import DatasetError, EventError, GenerationError, StoreError, UnknownItem
from pigeon_recsys.generation.image_names import files_of_picture, result_name
from pigeon_recsys.generation.keeping import PictureKeeper
from pigeon_recsys.ports import (
    GeneratedItemStore,
    ImageEmbedder,
    ImageGenerator,
    ImageStore,
    ItemCatalog,
    ItemIndex,
    SafetyClassifier,
)
from pigeon_recsys.records import (
    GeneratedItem,
    Generation,
    GenerationTask,
    generated_item_id,
)
from pigeon_recsys.streaming.generated_messages import GeneratedItemCodec
from pigeon_recsys.streaming.job_queue import Failed, Made, Outcome, Waiting
from pigeon_recsys.streaming.jobs import GenerationJob

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """Where pictures come from and go to; several makers may share one, but for the generator."""

    catalog: ItemCatalog
    embedder: ImageEmbedder
    index: ItemIndex  # of the catalog, for the near-copy check
    images: ImageStore
    items: GeneratedItemStore
    codec: GeneratedItemCodec
    safety: SafetyClassifier | None = None


class ItemMaker:
    """Implements `Maker`. `close` ends the generator."""

    def __init__(
        self,
        generator: ImageGenerator,
        stage: Stage,
        stop: Callable[[], None] = lambda: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generator = generator
        self._stage = stage
        self._stop = stop
        self._now_s = now_s

    def make(self, batch: Sequence[Waiting]) -> list[Outcome]:
        """Return one outcome a job, in order."""
        outcomes = {each.job.key: self._stored_before(each.job) for each in batch}
        tasks: dict[str, GenerationTask] = {}
        for each in batch:
            if outcomes[each.job.key] is None:
                try:
                    tasks[each.job.key] = each.job.task(self._stage.catalog, each.attempt)
                except (UnknownItem, DatasetError) as exc:
                    outcomes[each.job.key] = Failed(exc, is_final=True)
                except StoreError as exc:  # a generated item is among the history
                    outcomes[each.job.key] = Failed(exc)
        known = {each.job.key: each.made for each in batch if each.made is not None}
        generations = self._generate({key: tasks[key] for key in tasks if key not in known})
        generations |= {key: (known[key], 0.0) for key in tasks if key in known}
        jobs = {each.job.key: each.job for each in batch}
        for key, (made, gpu_s) in generations.items():
            outcomes[key] = self._kept(jobs[key], tasks[key], made, gpu_s)
        return [outcome for each in batch if (outcome := outcomes[each.job.key]) is not None]

    def close(self) -> None:
        """Stop what is being made."""
        self._stop()

    def _stored_before(self, job: GenerationJob) -> Outcome | None:
        """Return the result of an earlier try, or none; its item is stored again, to be sure."""
        try:
            value = self._stage.images.read(result_name(job.key))
            if value is None:
                return None
            return self._handed_over(job, self._stage.codec.decode(value), was_stored=True)
        except EventError:
            return None  # a result that cannot be read is none
        except StoreError as exc:
            return Failed(exc)

    def _generate(
        self, tasks: dict[str, GenerationTask]
    ) -> dict[str, tuple[Generation | GenerationError, float]]:
        """Return what the generator made of each task, or its error, and the seconds it took."""
        if not tasks:
            return {}
        started_s = self._now_s()
        try:
            made: Sequence[Generation | GenerationError] = self._generator.generate(
                list(tasks.values())
            )
            if len(made) != len(tasks):
                raise GenerationError(f"{len(made)} images came for {len(tasks)} tasks.")
        except GenerationError as exc:
            if len(tasks) > 1:  # one of them may be at fault, not all
                singly = [self._generate({key: task}) for key, task in tasks.items()]
                return {key: result for each in singly for key, result in each.items()}
            made = [exc]
        gpu_s = (self._now_s() - started_s) / len(tasks)
        return {key: (each, gpu_s) for key, each in zip(tasks, made, strict=True)}

    def _kept(
        self,
        job: GenerationJob,
        task: GenerationTask,
        made: Generation | GenerationError,
        gpu_s: float,
    ) -> Outcome:
        """Check a picture and store it, with all that is known of it."""
        if isinstance(made, GenerationError):
            return Failed(made, gpu_s)
        try:
            _check_answers(task, made)
            return self._handed_over(job, self._stored(job, made), gpu_s)
        except GenerationError as exc:
            return Failed(exc, gpu_s)
        except StoreError as exc:
            return Failed(exc, gpu_s, made=replace(made, sweep=(), history_masks=()))
        except Exception as exc:  # whatever a model may return, it fails this job alone
            logger.exception("what was made for job %s cannot be used", job.key)
            fault = GenerationError(f"what was made cannot be used: {type(exc).__name__}")
            return Failed(fault, gpu_s)

    def _stored(self, job: GenerationJob, made: Generation) -> GeneratedItem:
        stage = self._stage
        keeper = PictureKeeper(stage.embedder, stage.index, stage.images, stage.safety)
        item = keeper.keep(made, job.key, job.reason)
        stage.images.write(result_name(job.key), stage.codec.encode(item))
        return item

    def _handed_over(
        self,
        job: GenerationJob,
        item: GeneratedItem,
        gpu_s: float = 0.0,
        *,
        was_stored: bool = False,
    ) -> Outcome:
        """Put the item for the slot; where its user was erased since, remove what was stored."""
        stage = self._stage
        if not stage.items.put([item], begun_ms=job.caused_ms):
            return Made(item, gpu_s, was_stored)
        for name in (result_name(job.key), *files_of_picture(item.provenance.content_hash)):
            stage.images.delete(name)
        fault = GenerationError("the user was erased before the picture was ready.")
        return Failed(fault, gpu_s, is_final=True)


def _check_answers(task: GenerationTask, made: Generation) -> None:
    """Refuse what is no generation, or another task's."""
    if not isinstance(made, Generation):
        raise GenerationError(f"the generator returned {type(made).__name__}, no generation.")
    told = made.provenance
    if (told.user_id, told.history_hash, told.reference, told.seed) != (
        task.user_id,
        task.history_hash,
        task.reference,
        task.seed,
    ):
        raise GenerationError("the picture was made for another task: its provenance says which.")
    if made.item_id != (name := generated_item_id(told.content_hash)):
        raise GenerationError(f"the picture is called {made.item_id!r} instead of {name!r}.")
