"""Find the two programs the broker needs, or say what to install.

In:  the environment of this process.
Out: paths of a Java that is new enough and of Maven.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from kafka_broker.errors import BrokerError

MIN_JAVA = 17  # what Kafka 4 brokers are compiled for
INSTALL_JAVA = "On Debian: apt-get install --no-install-recommends default-jre-headless"
INSTALL_MAVEN = "On Debian: apt-get install --no-install-recommends maven"

Which = Callable[[str], str | None]


def find_java(environment: Mapping[str, str], which: Which = shutil.which) -> Path:
    """Return JAVA_HOME's Java, or else the one on PATH; raise `BrokerError` unless it will do."""
    home = environment.get("JAVA_HOME")
    found = which(f"{home}/bin/java" if home else "java")
    if found is None:
        where = f"JAVA_HOME={home} holds none" if home else "there is no java on PATH"
        raise BrokerError(
            f"the Kafka broker needs Java {MIN_JAVA} or newer, and {where}. {INSTALL_JAVA}"
        )
    version = java_version(Path(found))
    if version < MIN_JAVA:
        raise BrokerError(
            f"the Kafka broker needs Java {MIN_JAVA} or newer, and {found} is Java {version}. "
            f"{INSTALL_JAVA}, then put it first on PATH or name it by JAVA_HOME."
        )
    return Path(found)


def java_version(java: Path) -> int:
    """Return the feature number of a Java: 17 for 17.0.15, and 1 for 1.8."""
    run = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', run.stderr + run.stdout)
    if match is None:
        raise BrokerError(
            f"{java} -version names no version but prints: {(run.stderr + run.stdout).strip()!r}. "
            f"Install another Java. {INSTALL_JAVA}"
        )
    return int(match[1])


def find_maven(which: Which = shutil.which) -> Path:
    """Return Maven, which fetches the broker; raise `BrokerError` where there is none."""
    found = which("mvn")
    if found is None:
        raise BrokerError(
            "the Kafka broker is fetched by Maven, and there is no mvn on PATH. " + INSTALL_MAVEN
        )
    return Path(found)
