"""Make `.venv`, the environment every make target runs in.

In:  pyproject.toml, constraints.txt, overrides-{cpu,gpu}.txt, and the machine itself.
Out: `.venv` with this project installed in place and a stamp in it; with
     `--with-system-packages`, also the programs that the tests start, or with
     `--with-kafka-packages` only those that the Kafka broker needs.

Standard library only, because this runs before anything is installed. The stamp is removed
before and written after an install, so an interrupted one is taken up again, and a second
run finds the stamp and installs nothing.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
MIN_PYTHON = (3, 11)
INTERRUPTED = 130  # what a shell reports for a command ended by Ctrl-C
DEVICES = ("cpu", "gpu")
DEVICE_VARIABLE = "PIGEON_DEVICE"
DRIVER_FILE = Path("/proc/driver/nvidia/version")
DRIVER_LIBRARY = "libcuda.so.1"  # fbgemm-gpu does not load without it

# uv reads no pip settings; a mirror configured for pip is meant for it as well.
UV_NAME_OF_PIP_SETTING = {
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_DEFAULT_TIMEOUT": "UV_HTTP_TIMEOUT",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
}

Run = Callable[[Sequence[str]], None]
Which = Callable[[str], object]


class SetupError(Exception):
    """Setting up cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Driver:
    """What the machine shows of an NVIDIA driver. Both are needed for it to work."""

    is_loaded: bool  # the kernel names a version
    library_loads: bool  # a process can open it; false in a container without the GPU


@dataclass(frozen=True)
class Choice:
    """Which build of the packages to install, and why."""

    device: str  # one of DEVICES
    reason: str


@dataclass(frozen=True)
class SystemPackage:
    """A program outside Python; any one of its commands will do."""

    commands: tuple[str, ...]
    debian_name: str
    needed_for: str


KAFKA_PACKAGES = (
    SystemPackage(("java",), "default-jre-headless", "running the Kafka broker (Java 17 or newer)"),
    SystemPackage(("mvn",), "maven", "fetching the Kafka broker"),
)
TEST_PACKAGES = (
    *KAFKA_PACKAGES,
    SystemPackage(
        ("chromium", "chromium-browser"),
        "chromium",
        "the test that opens the demo's page in a browser",
    ),
    SystemPackage(("redis-server",), "redis-server", "the tests of histories in Redis"),
    SystemPackage(
        ("initdb", "pg_ctlcluster"),  # Debian keeps initdb itself out of the path
        "postgresql",
        "the tests of histories in Postgres",
    ),
)


def check_python(version: tuple[int, int]) -> None:
    """Raise `SetupError` unless this Python is new enough."""
    if version < MIN_PYTHON:
        needed, found = ("{}.{}".format(*pair) for pair in (MIN_PYTHON, version))
        raise SetupError(
            f"Python {needed} or newer is needed, this is {found}. "
            f"Name one: make PYTHON=python{needed}"
        )


def probe_driver() -> Driver:
    """Look for a working NVIDIA driver, in a few milliseconds and without starting it."""
    try:
        ctypes.CDLL(DRIVER_LIBRARY)
    except OSError:
        return Driver(DRIVER_FILE.exists(), library_loads=False)
    return Driver(DRIVER_FILE.exists(), library_loads=True)


def choose_device(requested: str | None, driver: Driver) -> Choice:
    """Return the build to install: what was requested, or else what the machine can run."""
    if requested:
        if requested not in DEVICES:
            raise SetupError(
                f"{DEVICE_VARIABLE} must be cpu or gpu, got {requested!r}. "
                "Unset it to let the machine decide."
            )
        return Choice(requested, f"{DEVICE_VARIABLE}={requested}")
    if driver.is_loaded and driver.library_loads:
        return Choice("gpu", f"an NVIDIA driver works; {DEVICE_VARIABLE}=cpu overrides")
    fault = f"{DRIVER_LIBRARY} does not load" if driver.is_loaded else "no NVIDIA driver is loaded"
    return Choice("cpu", f"{fault}; {DEVICE_VARIABLE}=gpu overrides")


def run_command(command: Sequence[str]) -> None:
    """Run one command with pip's settings given to uv too; raise `SetupError` if it fails."""
    code = subprocess.run(command, env=installer_environment(os.environ), check=False).returncode
    if code != 0:
        raise SetupError(
            f"this command failed with exit code {code}; its output above says why:\n"
            f"  {' '.join(command)}\nRun make again to go on from here."
        )


def installer_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with uv's name added to each of pip's settings."""
    translated = {
        uv_name: ",".join(environment[pip_name].split())
        for pip_name, uv_name in UV_NAME_OF_PIP_SETTING.items()
        if pip_name in environment
    }
    return {**translated, **environment}


@dataclass(frozen=True)
class Environment:
    """The virtual environment of one checkout, for one device."""

    root: Path
    device: str
    python_version: tuple[int, int]

    @property
    def folder(self) -> Path:
        """Where the environment lies."""
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        """The file that records what was installed."""
        return self.folder / "setup-stamp"

    @property
    def overrides(self) -> Path:
        """The list of packages that must not be installed for this device."""
        return self.root / f"overrides-{self.device}.txt"

    def fingerprint(self) -> str:
        """Return a hash that changes whenever an install could come out differently."""
        digest = hashlib.sha256(f"{self.root} {self.device} {self.python_version}".encode())
        for name in ("pyproject.toml", "constraints.txt", self.overrides.name):
            digest.update((self.root / name).read_bytes())
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Say whether everything is installed as the files now ask."""
        return self.stamp.is_file() and self.stamp.read_text() == self.fingerprint()

    def is_usable(self) -> bool:
        """Say whether an install can go on in the folder as it is."""
        version = "version = {}.{}.".format(*self.python_version)
        settings = self.folder / "pyvenv.cfg"
        has_uv = (self.folder / "bin" / "uv").exists()
        return has_uv and settings.is_file() and version in settings.read_text()

    def unwanted(self) -> list[str]:
        """Return the installed packages that belong to the other device."""
        names = re.findall(r"^[a-z][a-z0-9-]*", self.overrides.read_text(), re.MULTILINE)
        site = "lib/python{}.{}/site-packages".format(*self.python_version)
        return [
            name
            for name in names
            if any((self.folder / site).glob(f"{name.replace('-', '_')}-*.dist-info"))
        ]

    def install(self, run: Run) -> None:
        """Install everything; the stamp is there only when all of it went well."""
        self.stamp.unlink(missing_ok=True)
        python, uv = (str(self.folder / "bin" / name) for name in ("python", "uv"))
        constraints = str(self.root / "constraints.txt")
        if not self.is_usable():
            run([sys.executable, "-m", "venv", "--clear", str(self.folder)])
            run([python, "-m", "pip", "install", "--quiet", "--constraint", constraints, "uv"])
        unwanted = self.unwanted()
        if unwanted:
            run([uv, "pip", "uninstall", "--python", python, *unwanted])
        run(
            [
                *(uv, "pip", "install", "--python", python),
                *("--constraint", constraints, "--build-constraint", constraints),
                *("--override", str(self.overrides)),
                *("--group", f"{self.root / 'pyproject.toml'}:dev"),
                *("--editable", f"{self.root}[all,{self.device}]"),
            ]
        )
        self.stamp.write_text(self.fingerprint())


def missing_packages(packages: Iterable[SystemPackage], which: Which) -> list[SystemPackage]:
    """Return the packages of which no command is found."""
    return [package for package in packages if not any(map(which, package.commands))]


def package_manager(which: Which, *, is_root: bool) -> list[str] | None:
    """Return the command that may install Debian packages here, or None where none may."""
    if not which("apt-get"):
        return None
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    if is_root:
        return command
    return ["sudo", "-n", *command] if which("sudo") and sudo_needs_no_password() else None


def sudo_needs_no_password() -> bool:
    """Say whether `sudo` works without asking."""
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def explain_missing(missing: Iterable[SystemPackage]) -> str:
    """Name what a person has to install by hand."""
    listed = "\n".join(
        f"  {' or '.join(package.commands)} (Debian package {package.debian_name}): "
        f"{package.needed_for}"
        for package in missing
    )
    return (
        "programs are needed that are not installed, and this is no Debian or Ubuntu where "
        f"they may be installed as root or with sudo:\n{listed}\n"
        "Install them, then run make again. make demo does not need them."
    )


def install_system(packages: Iterable[SystemPackage], manager: list[str], run: Run) -> None:
    """Install Debian packages."""
    run([*manager, "update", "-qq"])
    names = [package.debian_name for package in packages]
    run([*manager, "install", "-y", "-qq", "--no-install-recommends", *names])


def set_up(environment: Environment, packages: Sequence[SystemPackage], run: Run) -> bool:
    """Install what is missing and return whether anything was. Fails before any work is done."""
    missing = missing_packages(packages, shutil.which)
    manager = package_manager(shutil.which, is_root=os.geteuid() == 0) if missing else None
    if missing and manager is None:
        raise SetupError(explain_missing(missing))
    is_current = environment.is_current()
    if not is_current:
        environment.install(run)
    if manager is not None:
        install_system(missing, manager, run)
    return not is_current or bool(missing)


def main(argv: Sequence[str] | None = None) -> int:
    """Set up this checkout and return the exit code: 0 done, 1 failed, 130 interrupted."""
    parser = argparse.ArgumentParser(description="Make .venv, the environment of every target.")
    programs = parser.add_mutually_exclusive_group()
    programs.add_argument(
        "--with-system-packages",
        dest="packages",
        action="store_const",
        const=TEST_PACKAGES,
        help="also install the programs that the tests start",
    )
    programs.add_argument(
        "--with-kafka-packages",
        dest="packages",
        action="store_const",
        const=KAFKA_PACKAGES,
        help="also install what the Kafka broker needs",
    )
    parser.set_defaults(packages=())
    args = parser.parse_args(argv)
    version = sys.version_info[:2]
    try:
        check_python(version)
        choice = choose_device(os.environ.get(DEVICE_VARIABLE), probe_driver())
        print(f"setup: {choice.device} packages ({choice.reason})", flush=True)
        set_up(Environment(ROOT, choice.device, version), args.packages, run_command)
    except SetupError as exc:
        print(f"setup: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the next run goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
