"""`pigeon-recsys serve`: the slot over HTTP; `serve new-key`: a key for a caller."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.operations.arguments import LOG_FORMATS
from pigeon_recsys.service.api_keys import SCOPES

if TYPE_CHECKING:
    from pigeon_recsys.service.slot_service import SlotService
    from pigeon_recsys.service.worker_news import Tell

FRAMEWORK = "fastapi"  # entry point of pigeon_recsys.servers


def register(commands: Any) -> None:
    """Add `serve` to the command line."""
    parser = commands.add_parser(
        "serve",
        help="serve the slot over HTTP",
        description="Serve the slot that a settings file describes, until SIGTERM or Ctrl-C. "
        "docs/http.md has the API and every setting.",
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the settings file")
    parser.add_argument("--host", help="in place of http.host; 127.0.0.1 without either")
    parser.add_argument("--port", type=int, help="in place of http.port; 0 takes a free one")
    parser.add_argument("--workers", type=int, help="processes, in place of http.workers")
    parser.add_argument(
        "--insecure", action="store_true", help="serve other machines without asking for keys"
    )
    parser.add_argument(
        "--log-format", choices=LOG_FORMATS, default=LOG_FORMATS[0], help="json: one object a line"
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_serve)
    subcommands = parser.add_subparsers(dest="serve_command", metavar="COMMAND")
    _register_new_key(subcommands)


def _register_new_key(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "new-key",
        help="make an API key",
        description="Print a key, which is kept nowhere, and what the settings file keeps of it. "
        "Scopes: " + "; ".join(f"{name}: {what}" for name, what in SCOPES.items()) + ".",
    )
    parser.add_argument("--name", required=True, help="whose key it is, for logs and metrics")
    parser.add_argument(
        "--scopes", nargs="+", choices=tuple(SCOPES), required=True, metavar="SCOPE"
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_new_key)


def run_serve(args: argparse.Namespace) -> dict[str, Any]:
    """Serve until stopped and say what happened."""
    import logging
    from functools import partial

    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.settings_file import read_slot_file
    from pigeon_recsys.wiring import connector

    if args.settings is None:
        raise SettingsError("--settings is missing. Name the file that describes the slot.")
    given = {name: getattr(args, name) for name in ("host", "port", "workers")}
    parts = read_slot_file(args.settings).parts
    section = dict(parts.http)
    if section.get("viewer") is True and not parts.recent_slates:
        raise SettingsError(
            f"{args.settings}: http.viewer shows slates, and recent_slates is 0, so none are kept. "
            "Set recent_slates to 200, say."
        )
    section |= {name: value for name, value in given.items() if value is not None}
    serve = connector("servers", FRAMEWORK)
    result: dict[str, Any] = serve(
        partial(open_service, args.settings.absolute()),
        section,
        insecure=args.insecure,
        log_format=args.log_format,
        log_level=logging.INFO if args.verbose else logging.WARNING,
        on_ready=lambda url: print(f"serving at {url}", flush=True),
    )
    return result


def open_service(settings: Path, tell: "Tell") -> "SlotService":
    """Open the service of a settings file; every worker process does it for itself."""
    from pigeon_recsys.service_wiring import slot_service
    from pigeon_recsys.settings_file import read_slot_file

    return slot_service(read_slot_file(settings), tell)


def run_new_key(args: argparse.Namespace) -> dict[str, Any]:
    """Print a key and the line for the settings; the result holds no key."""
    from pigeon_recsys.service.api_keys import key_hash, new_key

    key = new_key()
    kept = {"name": args.name, "sha256": key_hash(key), "scopes": sorted(set(args.scopes))}
    print(f"The key, which is shown this once: {key}\n")
    print("For the settings file, under http.keys:")
    print(f"    - {json.dumps(kept)}")
    return kept
