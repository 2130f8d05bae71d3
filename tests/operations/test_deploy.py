"""The dashboard and the alerts speak of metrics that are served, in panels Grafana can load."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pigeon_recsys.operations.metric_table import METRICS

NAME = re.compile(r"\bpigeon_\w+")
SERIES = {series: metric for metric in METRICS for series in metric.series}
LABELS = re.compile(r"by \(([^)]*)\)")
PANELS = {"timeseries", "stat", "row"}
NUM_COLUMNS = 24  # of Grafana's grid


@pytest.fixture(scope="module")
def dashboard(repo_root: Path) -> dict[str, Any]:
    text = (repo_root / "deploy/grafana/pigeon-streaming.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def alerts(repo_root: Path) -> list[dict[str, Any]]:
    rules = yaml.safe_load((repo_root / "deploy/prometheus/alerts.yml").read_text())
    found: list[dict[str, Any]] = rules["groups"][0]["rules"]
    return found


@pytest.fixture
def queries(dashboard: dict[str, Any], alerts: list[dict[str, Any]]) -> list[str]:
    return [*queries_of(dashboard), *(rule["expr"] for rule in alerts)]


def queries_of(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def test_every_metric_in_a_query_is_served(queries: list[str]) -> None:
    for query in queries:
        names = NAME.findall(query)
        assert names, query
        assert set(names) <= SERIES.keys(), query


def test_labels_in_a_query_are_the_metric_s(queries: list[str]) -> None:
    for query in queries:
        known = {"le", "instance", *(SERIES[NAME.findall(query)[0]].labels)}
        for labels in LABELS.findall(query):
            assert set(labels.split(", ")) <= known, query


def test_every_metric_is_on_the_dashboard(dashboard: dict[str, Any]) -> None:
    shown = {SERIES[name] for query in queries_of(dashboard) for name in NAME.findall(query)}
    assert {metric.name for metric in METRICS} == {metric.name for metric in shown}


def test_parentheses_match(queries: list[str]) -> None:
    for query in queries:
        assert query.count("(") == query.count(")")
        assert query.count("{") == query.count("}")


def test_panels_have_what_grafana_needs(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["uid"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        assert panel["type"] in PANELS
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= NUM_COLUMNS
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"].endswith(".")
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["fieldConfig"]["defaults"]["unit"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs)


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_alerts_say_what_is_wrong_and_where_to_read_on(
    alerts: list[dict[str, Any]], repo_root: Path
) -> None:
    runbook = (repo_root / "docs/operations.md").read_text().lower()
    for rule in alerts:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        chapter = rule["annotations"]["description"].rpartition("Runbook: ")[2].rstrip(".")
        assert f"### {chapter}" in runbook, rule["alert"]
