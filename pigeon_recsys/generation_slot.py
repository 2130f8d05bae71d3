"""The generation slot as an application has it: everything it needs named in one file."""

from pathlib import Path

from pigeon_recsys.slot.slot import Slot


class GenerationSlot(Slot):
    """A slot that knows how to put itself together; threads may share it. `close` when done.

    with GenerationSlot.from_settings("slot.yaml") as slot:
        slate = slot.fill(SlotRequest("request-1", "ada", candidates=ranked))
    """

    def close(self) -> None:
        """Stop what is at work, and write the decisions that wait to be logged."""
        super().close()
        self.parts.close()

    @classmethod
    def from_settings(cls, path: Path | str) -> "GenerationSlot":
        """Return the slot that a settings file describes (`docs/integrate.md`).

        Raises `SettingsError` with every fault of the file, `ArtifactError` naming what is
        missing, and what the stores raise that cannot be reached.
        """
        from pigeon_recsys.settings_file import read_slot_file
        from pigeon_recsys.wiring import slot_parts

        file = read_slot_file(Path(path))
        return cls(slot_parts(file), file.slot)
