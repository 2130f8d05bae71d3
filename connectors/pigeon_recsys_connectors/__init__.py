"""Connectors of pigeon-recsys to what a team runs: Feast, Kafka, stores of pictures.

Feast, as it loads, makes a folder for metrics, which stays where a worker is killed, and names it
in a variable by which prometheus_client, as it loads, decides how every value is kept. So the one
is loaded first, and the other finds a folder named, unless somebody named one.
`feast_repository.py` takes the name back.
"""

import os
from contextlib import suppress

METRIC_VARIABLES = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")

if not any(name in os.environ for name in METRIC_VARIABLES):
    with suppress(ModuleNotFoundError):  # then there is no Feast either
        import prometheus_client  # noqa: F401

        os.environ[METRIC_VARIABLES[0]] = os.devnull
