"""Put the slot service together from a settings file: the slot, and what else callers may ask for.

What the file leaves out, the service does without, and says so to whoever asks for it.
"""

from typing import TYPE_CHECKING

from pigeon_recsys.service.erasure import Erasure, ErasureLog, ShrinkingIndex
from pigeon_recsys.service.feedback import Feedback
from pigeon_recsys.service.generation_making import PoolMaking, WorkerMaking
from pigeon_recsys.service.generations import Generations, Making, Tickets
from pigeon_recsys.service.slot_service import ServiceParts, SlotService
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.making import ItemMaker, Stage
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.wiring import connector, image_store, slot_parts

if TYPE_CHECKING:
    from pigeon_recsys.ports import GeneratedItemStore, ImageStore
    from pigeon_recsys.service.worker_news import Tell
    from pigeon_recsys.settings_file import SlotFile
    from pigeon_recsys.streaming.event_log import RecordWriter

CAPACITY = 32  # pictures asked for that wait in this process; a further one is told to come again


def slot_service(file: "SlotFile", tell: "Tell") -> SlotService:
    """Open the service that a settings file describes; `tell` reaches its other processes.

    Raises what `slot_parts` raises, and `LogError` where the file names a broker that is not there.
    """
    parts = slot_parts(file)
    images, items = image_store(file), parts.stored
    writer: RecordWriter | None = (
        connector("record_writers", "kafka")(file.parts.kafka) if file.parts.kafka else None
    )
    service = ServiceParts(
        items=items,
        images=images,
        generations=_generations(file, parts, images, items, writer),
        feedback=None if parts.log is None else Feedback(parts.log),
        erasure=_erasure(file, parts, images, items, writer),
        closes=() if writer is None else (writer.close,),
    )
    return SlotService(Slot(parts, file.slot), service, tell)


def _generations(
    file: "SlotFile",
    parts: SlotParts,
    images: "ImageStore | None",
    items: "GeneratedItemStore | None",
    writer: "RecordWriter | None",
) -> Generations | None:
    """Return what makes pictures on request: the workers behind the broker, or this process."""
    if parts.generator is None or images is None or items is None:
        return None
    codecs = Codecs()
    planner = Planner(
        parts.histories,
        parts.catalog,
        parts.index,
        parts.generator.version,
        selection=file.slot.selection,
    )
    tickets = Tickets(images, codecs.items)
    stage = Stage(
        parts.catalog, parts.embedder, parts.index, images, items, codecs.items, parts.safety
    )
    making: Making = (
        PoolMaking([ItemMaker(parts.generator, stage)], tickets, CAPACITY)
        if writer is None
        else WorkerMaking(writer, codec=codecs.requests)
    )
    return Generations(planner, tickets, making)


def _erasure(
    file: "SlotFile",
    parts: SlotParts,
    images: "ImageStore | None",
    items: "GeneratedItemStore | None",
    writer: "RecordWriter | None",
) -> Erasure | None:
    if images is None or items is None:
        return None
    told = file.parts.histories
    offline = connector("offline_files", told.kind).open(file.place(told.path))
    return Erasure(
        items,
        images,
        parts.histories,  # type: ignore[arg-type]  # the stores that can be opened take states
        index=parts.index if isinstance(parts.index, ShrinkingIndex) else None,
        others={"offline": offline},
        log=None if writer is None else ErasureLog(writer),
    )
