"""The broker's jars, fetched once by Maven into a cache outside the checkout.

In:  pom.xml, which pins them.
Out: a folder of jars, named after a hash of pom.xml, so that another version gets another folder.

A fetch goes to a folder of its own that is renamed when it is whole; a lock lets one process
fetch while others wait for what it brings. A list of the jars and their sizes tells when
somebody has since cleared a part of the cache, and then all are fetched anew.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kafka_broker.errors import BrokerError
from kafka_broker.programs import Which, find_maven

POM = Path(__file__).with_name("pom.xml")
LIST = "jars.txt"
FETCH_TIMEOUT_S = 900  # 43 MB; a quarter of an hour is a connection that does not work
NUM_OUTPUT_LINES = 20  # of Maven's output in an error

logger = logging.getLogger(__name__)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder that holds the jars of every version."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pigeon-recsys" / "kafka"


def kafka_jars(
    environment: Mapping[str, str], which: Which = shutil.which, pom: Path = POM
) -> Path:
    """Return the folder of the jars, fetching them where they are missing."""
    name = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    folder = cache_folder(environment) / name
    if is_whole(folder):
        return folder
    maven = find_maven(which)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_whole(folder):  # another process may just have fetched them
                fetch(maven, pom, folder)
    except OSError as exc:
        raise BrokerError(
            f"cannot keep Kafka's jars in {folder.parent}: {exc.strerror}. "
            "Make room there, or name another cache by XDG_CACHE_HOME."
        ) from exc
    return folder


def is_whole(folder: Path) -> bool:
    """Say whether every jar of the list is there at its size."""
    jar_list = folder / LIST
    if not jar_list.is_file():
        return False
    listed = (line.split(maxsplit=1) for line in jar_list.read_text().splitlines())
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.jar")}
    return all(sizes.get(name) == int(size) for size, name in listed)


def fetch(maven: Path, pom: Path, folder: Path) -> None:
    """Have Maven copy the jars beside `folder`, then put them there. Hold the lock meanwhile."""
    logger.info("fetching the broker's jars into %s, once", folder)
    for remains in folder.parent.glob(f".{folder.name}.*"):  # of a fetch that was killed
        shutil.rmtree(remains, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        run_maven(maven, pom, fresh)
        jars = sorted(fresh.glob("*.jar"))
        if not jars:
            raise BrokerError(f"{maven} ended well but fetched nothing. Run it by hand on {pom}.")
        (fresh / LIST).write_text("".join(f"{jar.stat().st_size} {jar.name}\n" for jar in jars))
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def run_maven(maven: Path, pom: Path, target: Path) -> None:
    """Copy what `pom` names, and all that it needs, into `target`."""
    command = [
        *(str(maven), "--quiet", "--batch-mode", "-Dstyle.color=never", f"--file={pom}"),
        "dependency:copy-dependencies",
        *("-DincludeScope=runtime", f"-DoutputDirectory={target}"),
    ]
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise BrokerError(
            f"Maven did not fetch Kafka's jars within {FETCH_TIMEOUT_S} s. "
            f"Check the network and Maven's settings, then try again: {' '.join(command)}"
        ) from exc
    if run.returncode != 0:
        output = "\n".join(run.stdout.strip().splitlines()[-NUM_OUTPUT_LINES:])
        raise BrokerError(
            f"Maven could not fetch Kafka's jars (exit code {run.returncode}). "
            "Check the network and Maven's settings, then try again. "
            f"The command was\n  {' '.join(command)}\nand its output ends\n{output}"
        )
