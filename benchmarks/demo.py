"""How long does the default demo take, how much memory, and how long do imports take?

    python -m benchmarks.demo --out out/bench/demo.json

Runs `pigeon-recsys demo` in a fresh process and times the whole of it, imports included.
Read `wall_s` against 120 s and `peak_memory_mib` against 4096 for 40 users; the two import
times are the best of five processes, against 1 s.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks._record import write_result
from pigeon_recsys.files import check_writable

REPEATS = 5


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    figures = {
        "import_s": best_time([sys.executable, "-c", "import pigeon_recsys"], args.repeats),
        "help_s": best_time([sys.executable, "-m", "pigeon_recsys.cli", "--help"], args.repeats),
        **time_demo(args.users),
    }
    for name, value in figures.items():
        print(f"{name:24} {value}")
    settings = {"users": args.users, "repeats_of_imports": args.repeats}
    write_result(args.out, "How long does the default demo take?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of the imports")
    return parser.parse_args(argv)


def best_time(command: Sequence[str], repeats: int) -> float:
    """Return the least wall time of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - started)
    return round(min(times), 3)


def time_demo(users: int) -> dict[str, object]:
    """Run the demo once and return wall time, peak memory and the seconds of each stage."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pigeon_recsys.cli", "demo"]
        started = time.monotonic()
        subprocess.run([*command, "--out", folder, "--users", str(users)], check=True)
        wall_s = time.monotonic() - started
        report = json.loads((Path(folder) / "report.json").read_text())
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "wall_s": round(wall_s, 1),
        "peak_memory_mib": round(peak_kib / 1024),
        "stages": report["timings"],
        "counts": report["counts"],
    }


if __name__ == "__main__":
    main()
