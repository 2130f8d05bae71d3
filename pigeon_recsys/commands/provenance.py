"""`pigeon-recsys provenance`: what a picture file says of its making."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments

if TYPE_CHECKING:
    from pigeon_recsys.generation.picture_file import FileProvenance


def register(commands: Any) -> None:
    """Add `provenance` to the command line."""
    parser = commands.add_parser(
        "provenance",
        help="tell what a picture file says of its making",
        description="Print the IPTC digital source type and the record that a generated PNG "
        "carries, and whether its pixels are still those it was written for. Nothing in it is "
        "signed: it tells what a file says, not who says it.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the picture, a PNG")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print what the file says; raises where it says nothing."""
    from pigeon_recsys.generation.picture_file import is_unchanged, read_file, read_provenance

    found = read_provenance(args.file)
    unchanged = None if found.record is None else is_unchanged(read_file(args.file), found.record)
    print(f"{args.file}: {_source(found)}")
    for name, value in _lines(found, unchanged):
        print(f"  {name}: {_printable(value)}")
    return {
        "file": str(args.file),
        "digital_source_type": found.source_type,
        "record": None if found.record is None else found.record.model_dump(mode="json"),
        "pixels_unchanged": unchanged,
    }


def _source(found: "FileProvenance") -> str:
    from pigeon_recsys.generation.xmp import COMPOSITE, GENERATED

    told = {
        GENERATED: "made by a model",
        COMPOSITE: "a sheet of pictures, some made by a model",
        None: "made by a model, says its record; its XMP packet is gone",
    }
    return told.get(found.source_type, "its digital source is of another kind")


def _lines(found: "FileProvenance", unchanged: bool | None) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    if found.source_type is not None:
        lines.append(("digital source type", found.source_type))
    if found.record is None:
        return [*lines, ("record", "none")]
    reference = found.record.reference
    told = {
        **found.record.model_dump(),
        "reference": ": ".join(filter(None, (reference.item_id, reference.text))),
        "checks_passed": ", ".join(found.record.checks_passed) or "none",
        "created_ms": f"{found.record.created_ms} ms since 1970",
    }
    lines += [(name.removesuffix("_ms").replace("_", " "), value) for name, value in told.items()]
    return [*lines, ("pixels", "as they were made" if unchanged else "changed since")]


def _printable(value: object) -> str:
    """Return a value on one line; a file may hold what a terminal would obey."""
    text = str(value)
    return text if text.isprintable() else repr(text)
