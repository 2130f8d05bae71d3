"""What every test shares: the rule about skips, the checkout, recorded numbers, servers."""

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from kafka_broker.cluster import Cluster

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
UNDER_CI = os.environ.get("CI", "").lower() in ("1", "true")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder that holds pyproject.toml."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def golden(repo_root: Path) -> Path:
    """The recorded numbers of the released implementation, where they are present."""
    folder = repo_root.parent / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("the recorded numbers of the reference implementation are not here")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A real browser without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium. On Debian: apt-get install --no-install-recommends chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator["Cluster"]:
    """A real Kafka: what PIGEON_KAFKA names, or one broker for the whole run.

    Fails where there can be none, and says what to install. A test that breaks its broker
    starts one of its own: `with Broker.start() as broker`.
    """
    from kafka_broker.cluster import open_cluster
    from kafka_broker.errors import BrokerError

    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(open_cluster())
        except BrokerError as exc:
            raise pytest.fail.Exception(str(exc), pytrace=False) from None
        yield cluster


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` where torch finds no CUDA device."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


def fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that tells the skip's reason."""
    if report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI runs every test that needs no GPU, and this one skips. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI, let only tests marked `gpu` skip."""
    report = yield
    if UNDER_CI and not item.get_closest_marker("gpu"):
        fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Under CI, let no file skip as a whole."""
    report = yield
    if UNDER_CI:
        fail_skipped(report)
    return report
