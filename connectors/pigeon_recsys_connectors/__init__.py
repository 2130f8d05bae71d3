"""Connectors of pigeon-recsys to what a team runs: Feast, Kafka, stores of pictures.

Feast, as it loads, makes a folder for metrics, which stays where a worker is killed, and names it
in a variable by which prometheus_client, as it loads, decides how every value is kept. So the one
is loaded first, and the other finds a folder named, unless somebody named one. The name stands
from when Feast begins to load until `feast_repository.py` takes it back: a process that never
loads Feast, and what it starts, must not find it.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from types import ModuleType

METRIC_VARIABLES = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")


class _BeforeFeast(MetaPathFinder):
    """Finds nothing; names the folder when Feast is looked for, and is gone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname != "feast":
            return
        sys.meta_path.remove(self)
        if any(name in os.environ for name in METRIC_VARIABLES):
            return
        with suppress(ModuleNotFoundError):  # then there is no Feast either
            import prometheus_client  # noqa: F401

            os.environ[METRIC_VARIABLES[0]] = os.devnull


if "feast" not in sys.modules:
    sys.meta_path.insert(0, _BeforeFeast())
