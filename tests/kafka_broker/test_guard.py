"""What is left of a broker whose parent was killed: nothing."""

import os
import select
import subprocess
import sys
from pathlib import Path

from kafka_broker.guard import clean_up, processes_on

# A process like the broker's, named by its folder's properties.
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
DIE_WITH_A_BROKER = f"""
import os, signal, subprocess, sys
from pathlib import Path
from kafka_broker.broker import watch
folder = Path(sys.argv[1])
guard = watch(folder)
properties = str(folder / "server.properties")
broker = subprocess.Popen(
    [sys.executable, "-c", {SLEEP!r}, properties], stdout=subprocess.PIPE, start_new_session=True
)
broker.stdout.readline()
print(guard.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def start_process_on(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that runs on a folder as the broker does."""
    command = [sys.executable, "-c", SLEEP, str(folder / "server.properties")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_cleaning_up_kills_what_runs_on_the_folder_and_nothing_else(tmp_path: Path) -> None:
    """A folder whose name only begins alike is another broker's."""
    ours, others = tmp_path / "kafka", tmp_path / "kafka-2"
    ours.mkdir()
    with start_process_on(ours) as process, start_process_on(others) as other:
        assert processes_on(ours) == [process.pid]
        clean_up(ours)
        assert process.wait() == -9
        assert other.poll() is None
        other.kill()
    assert not ours.exists()


def test_cleaning_up_twice_does_nothing(tmp_path: Path) -> None:
    clean_up(tmp_path / "gone")


def test_a_killed_parent_leaves_no_process_and_no_folder(tmp_path: Path, repo_root: Path) -> None:
    folder = tmp_path / "kafka"
    folder.mkdir()
    parent = subprocess.run(
        [sys.executable, "-c", DIE_WITH_A_BROKER, str(folder)],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert parent.returncode == -9, parent.stderr
    wait_until_gone(int(parent.stdout))
    assert not processes_on(folder)
    assert not folder.exists()


def wait_until_gone(pid: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 30)[0], f"process {pid} still runs"
    finally:
        os.close(handle)
