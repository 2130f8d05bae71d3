"""The slot service: all that it offers to callers from outside, whatever carries their requests.

    fill                  a slate, in time
    request_generation    a ticket for a picture; generation_status says what became of it
    item, image           a generated item and its picture
    take_feedback         what became of slates; frequency caps learn of what was shown
    erase_user            a user, everywhere

A part that the settings leave out is told of by `NotConfigured`. What a process remembers of
users, and its index, are kept the same in all workers of a service by messages: what one `tell`s,
the others `hear`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pigeon_recsys.errors import NotConfigured, PigeonError, UnknownItem, UnknownUser
from pigeon_recsys.generation.image_names import picture_name
from pigeon_recsys.ports import (
    ForgetfulRanker,
    GeneratedItemStore,
    ImageStore,
    LadderedGenerator,
)
from pigeon_recsys.ranking.blend_input import Shown
from pigeon_recsys.records import (
    GENERATED_PREFIX,
    GeneratedItem,
    Reference,
    Slate,
    SlotRequest,
)
from pigeon_recsys.service.erasure import Erasure, ErasureReport, ShrinkingIndex
from pigeon_recsys.service.feedback import Feedback, Report
from pigeon_recsys.service.generations import Generations, Ticket
from pigeon_recsys.service.worker_news import (
    Forget,
    Remove,
    Tell,
    WasShown,
    decode_news,
    encode_news,
)
from pigeon_recsys.slot.slot import Slot

logger = logging.getLogger(__name__)

MEMORY = "memory"  # in reports of erasures: what processes remember
PROBE_USER, PROBE_ITEM = "readiness-probe", f"{GENERATED_PREFIX}{0:016x}"


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What a service is made of beside its slot. Parts that are None are done without."""

    items: GeneratedItemStore | None = None
    images: ImageStore | None = None
    generations: Generations | None = None
    feedback: Feedback | None = None
    erasure: Erasure | None = None
    closes: Sequence[Callable[[], None]] = ()  # called at the end: writers, further logs


class SlotService:
    """Everything a caller from outside may ask for; threads may share it. `close` when done."""

    def __init__(
        self,
        slot: Slot,
        parts: ServiceParts | None = None,
        tell: Tell = lambda message: None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.slot = slot
        self.parts = parts or ServiceParts()
        self.tell = tell
        self._now_ms = now_ms
        self._erasure = self._everywhere(self.parts.erasure)

    def fill(self, request: SlotRequest) -> Slate:
        """Return the user's slate, in time. Raises `RequestError` with every fault."""
        return self.slot.fill(request)

    def request_generation(self, user_id: str, reference: Reference, seed: int = 0) -> Ticket:
        """Ask for a picture; raises what `Generations.request` does."""
        return self._generations().request(user_id, reference, seed)

    def generation_status(self, ticket_id: str) -> Ticket:
        """Return what has become of a ticket, `unknown` for an id that is none."""
        return self._generations().status(ticket_id)

    def item(self, item_id: str) -> GeneratedItem:
        """Return a generated item. Raises `UnknownItem` and `ItemStoreError`."""
        if self.parts.items is None:
            raise NotConfigured("reading generated items", setting="items")
        found = self.parts.items.items([item_id]).get(item_id)
        if found is None:
            raise UnknownItem(item_id, where="the store of generated items")
        return found

    def image(self, item: GeneratedItem) -> bytes:
        """Return an item's picture, a PNG. Raises `UnknownItem` and `ImageStoreError`."""
        if self.parts.images is None:
            raise NotConfigured("reading pictures", setting="images")
        picture = self.parts.images.read(picture_name(item.provenance.content_hash))
        if picture is None:
            raise UnknownItem(item.item_id, where="the store of pictures")
        return picture

    def take_feedback(self, reports: Sequence[Report]) -> None:
        """Log what became of slates, all or none. Raises `RequestError` with every fault."""
        if self.parts.feedback is None:
            raise NotConfigured("reporting exposures", setting="log")
        for each in self.parts.feedback.take(reports):
            if each.picture_id is not None:
                self._note_shown(WasShown(each.user_id, Shown(each.picture_id, each.at_ms)))

    def erase_user(self, user_id: str, at_ms: int | None = None) -> ErasureReport:
        """Erase a user everywhere, of all workers too; to repeat it, name its moment again."""
        if self._erasure is None:
            raise NotConfigured("erasing users", setting="items")
        report = self._erasure.erase(user_id, self._now_ms() if at_ms is None else at_ms)
        self.tell(encode_news(Forget(user_id)))
        return report

    def forget(self, user_id: str) -> int:
        """Forget what this process remembers of a user; return how many entries there were."""
        parts, generations = self.slot.parts, self.parts.generations
        num_entries = parts.shown.forget(user_id)
        if parts.recent is not None:
            num_entries += parts.recent.forget(user_id)
        if isinstance(parts.generator, LadderedGenerator):
            num_entries += parts.generator.forget(user_id)
        if isinstance(parts.ranker, ForgetfulRanker):
            parts.ranker.forget_generated()  # it does not know whose they are, and learns them anew
        if generations is not None:
            generations.forget(user_id)
        return num_entries

    def hear(self, message: bytes) -> None:
        """Take in what another worker told."""
        news = decode_news(message)
        match news:
            case Forget():
                self.forget(news.user_id)
            case Remove():
                if self.parts.erasure is not None and self.parts.erasure.index is not None:
                    self.parts.erasure.index.remove(news.item_ids)
            case WasShown():
                self.slot.parts.shown.add(news.user_id, news.shown)

    def problems(self) -> list[str]:
        """Return why the service cannot do all of its work now; asks its stores."""
        return list(self._problems())

    def close(self) -> None:
        """Stop what is at work, write what waits to be logged, and let go of the stores."""
        with ExitStack() as stack:  # all of it, whatever fails
            for close in self.parts.closes:
                stack.callback(close)
            stack.callback(self.slot.parts.close)
            stack.callback(self.slot.close)
            if self.parts.generations is not None:
                stack.callback(self.parts.generations.close)

    def _everywhere(self, erasure: Erasure | None) -> Erasure | None:
        """Return an erasure that reaches what all workers remember, and the indexes of all."""
        if erasure is None:
            return None
        index = None if erasure.index is None else _IndexOfAll(erasure.index, self.tell)
        return replace(erasure, index=index, others={**erasure.others, MEMORY: self})

    def _generations(self) -> Generations:
        if self.parts.generations is None:
            raise NotConfigured("making pictures on request", setting="generator, items and images")
        return self.parts.generations

    def _note_shown(self, news: WasShown) -> None:
        self.slot.parts.shown.add(news.user_id, news.shown)
        self.tell(encode_news(news))

    def _problems(self) -> Iterator[str]:
        items, images = self.parts.items, self.parts.images
        probes: dict[str, Callable[[], object]] = {
            "histories": lambda: self.slot.parts.histories.recent(PROBE_USER, 1)
        }
        if items is not None:
            probes["items"] = lambda: items.items([PROBE_ITEM])
        if images is not None:
            probes["images"] = lambda: images.read(picture_name("0" * 64))
        for place, probe in probes.items():
            try:
                probe()
            except UnknownUser:
                pass
            except PigeonError as exc:
                logger.warning("not ready: %s: %s", place, exc)
                yield f"the store of {place} fails; the log says why"


@dataclass(frozen=True)
class _IndexOfAll:
    """This worker's index; the other workers are told what to take out of theirs."""

    index: ShrinkingIndex
    tell: Tell

    def remove(self, item_ids: Iterable[str]) -> int:
        """Take items out, and return how many there were here."""
        gone = tuple(item_ids)
        if gone:
            self.tell(encode_news(Remove(gone)))
        return self.index.remove(gone)
