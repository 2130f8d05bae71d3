"""torchmetrics, imported when a metric needs it.

In:  where a metric is and what it is called.
Out: the metric; `MissingExtra` where the library is not installed.
"""

import warnings
from importlib import import_module
from typing import Any

from pigeon_recsys.errors import MissingExtra


def torchmetric(module: str, name: str) -> Any:
    """Return one name of a module of torchmetrics."""
    with warnings.catch_warnings():
        # Release 1.0, which torchrec pins, compares versions in a way Python warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return getattr(import_module(f"torchmetrics.{module}"), name)
        except ModuleNotFoundError as exc:
            raise MissingExtra(
                "evaluation", needed_for="measuring pictures", library="torchmetrics"
            ) from exc
