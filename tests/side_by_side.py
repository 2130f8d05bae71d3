"""All tests in two processes side by side: `python -m tests.side_by_side`, as `make test` does.

The tests of the connectors wait for brokers, browsers and servers while the others compute. Each
half has a processor core of its own, so libraries are told to take one thread. What the first half
writes is shown as it comes, the other's once that has ended. Fails where either fails.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CONNECTORS = "tests/connectors"
HALVES = ([f"--ignore={CONNECTORS}"], [CONNECTORS])
ROOT = Path(__file__).parent.parent


def main() -> int:
    """Run both halves with the arguments given; return 1 where one of them fails."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    shown, kept = ([*command, *half] for half in HALVES)
    with tempfile.TemporaryFile() as output:
        other = subprocess.Popen(kept, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            failed = subprocess.run(shown, cwd=ROOT, env=environment, check=False).returncode
            failed |= other.wait()
        finally:
            if other.poll() is None:
                other.terminate()
                other.wait()
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main())
