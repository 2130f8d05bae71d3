"""The command line with a sudden death in it:

python -m tests.alignment.dying_train STEP train STAGE …

ends as `kill -9` ends a process, once the metrics of that step are written.
"""

import os
import signal
import sys
from collections.abc import Mapping

from pigeon_recsys.alignment.run_record import RunRecord
from pigeon_recsys.cli import main

log = RunRecord.log


def log_and_die(record: RunRecord, step: int, seconds: float, metrics: Mapping[str, float]) -> None:
    """Log the step; end with the one that was named."""
    log(record, step, seconds, metrics)
    if step == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    RunRecord.log = log_and_die  # type: ignore[method-assign]
    sys.exit(main(sys.argv[2:]))
