"""What each page of the viewer shows.

In:  ids and forms, which may hold anything.
Out: a template's name and its values. Raises `Refused` for what is not known, `StoreError` where a
store fails.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass

from pigeon_recsys.errors import RequestError, SettingsError
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.records import GENERATED_PREFIX, Slate
from pigeon_recsys.service.item_story import tell_item
from pigeon_recsys.service.pictured import Pictures
from pigeon_recsys.service.slate_story import tell_slate
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.service.user_story import tell_line, tell_user
from pigeon_recsys.slot.draft import Draft
from pigeon_recsys.slot.recent_slates import MAX_SLATES
from pigeon_recsys_connectors.http_viewer.access import Refused
from pigeon_recsys_connectors.http_viewer.slate_form import SlateForm

NUM_LINES = 30  # newest slates listed
NUM_USERS = 60  # users listed


@dataclass(frozen=True, slots=True)
class Page:
    """A template and what fills it."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


class Views:
    """All pages over one service; threads may share it."""

    def __init__(
        self, service: SlotService, other_workers: Callable[[], Sequence[int]] = lambda: ()
    ) -> None:
        parts = service.slot.parts
        if parts.recent is None:
            raise SettingsError(
                "the viewer shows the newest slates, and the slot keeps none. Give it "
                "`SlotParts(recent=RecentSlates())`, or switch the viewer off."
            )
        self._service = service
        self._parts = parts
        self._recent = parts.recent
        self._stored = service.parts.items or parts.stored
        self._pictures = Pictures(parts.catalog, service.parts.images)
        self._other_workers = other_workers

    def home(self, form: SlateForm | None = None, faults: tuple[str, ...] = ()) -> Page:
        """Return the list of users and slates, and the form."""
        pairs = self._recent.newest(MAX_SLATES)
        counts: dict[str, int] = {}
        for _, slate in pairs:
            counts[slate.user_id] = counts.get(slate.user_id, 0) + 1
        values = {
            "form": form or SlateForm(),
            "faults": faults,
            "users": list(counts.items())[:NUM_USERS],
            "lines": [tell_line(*pair, self._pictures) for pair in pairs[:NUM_LINES]],
            "num_slates": len(pairs),
            "worker": os.getpid(),
            "other_workers": self._other_workers(),
        }
        return Page("home.html", values, 422 if faults else 200)

    def make(self, body: bytes) -> Page:
        """Fill a slate as the form says and return its page; the form again where it has faults.

        The page comes with the answer, so that another worker need not be asked for it.
        """
        form = SlateForm()
        try:
            form = SlateForm.read(body)
            slate = self._service.fill(form.to_request())
        except RequestError as exc:
            return self.home(form, exc.faults)
        return self.slate(slate.request_id)

    def slate(self, request_id: str) -> Page:
        """Return a slate's page."""
        pair = self._recent.of_request(request_id)
        if pair is None:
            raise Refused(
                404,
                "This slate is not known here",
                "A worker remembers the newest slates that it made. The decision log has them all.",
            )
        return self._slate_page(*pair)

    def user(self, user_id: str) -> Page:
        """Return a user's page."""
        story = tell_user(
            user_id, self._pictures, self._parts.histories, self._stored, self._recent
        )
        if story is None:
            raise Refused(
                404,
                "This user is not known here",
                "No history is stored for the user, no generated item, and no slate was made "
                "lately by this process.",
            )
        return Page("user.html", {"story": story, "form": SlateForm(user_id=user_id)})

    def item(self, item_id: str) -> Page:
        """Return the page of a generated item, or of one of the catalog."""
        if item_id.startswith(GENERATED_PREFIX):
            story = tell_item(item_id, self._pictures, self._stored, self._recent)
            if story is not None:
                return Page("item.html", {"story": story})
        else:
            shown = self._pictures.of_catalog(item_id)
            if not shown.missing:
                item = self._parts.catalog.item(item_id)
                return Page("catalog_item.html", {"item": item, "shown": shown})
        text = "Neither the catalog nor the store of generated items holds it."
        raise Refused(404, "There is no such item", text)

    def _slate_page(self, draft: Draft, slate: Slate) -> Page:
        story = tell_slate(draft, slate, self._pictures, self._service.slot.settings.deadline_ms)
        return Page("slate.html", {"story": story, "constraints": in_force(draft.constraints)})


def in_force(constraints: BlendConstraints) -> dict[str, str]:
    """Return constraints as names and words; positions count from 1."""
    told = {}
    for one in fields(constraints):
        value = getattr(constraints, one.name)
        if one.name == "allowed_positions":
            told[one.name] = ", ".join(str(position + 1) for position in value)
        elif is_dataclass(value):
            parts = [f"{part.name} {getattr(value, part.name)}" for part in fields(value)]
            told[one.name] = ", ".join(parts)
        else:
            told[one.name] = "none" if value is None else str(value)
    return told
