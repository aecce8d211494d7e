#!/usr/bin/env python3
"""Runs every query of the dashboard and of the alerts against a Prometheus that scrapes a running Isthmus.

    queries.py http://127.0.0.1:9090 [SECONDS]     how long they may take to have data; default 60

Every query must be answered, and every series and label that it names be there. Those of the dashboard must have data,
too; an alert has none while all is well. What is not counted until something happens is in UNTROUBLED: where it is not
there, nobody sees here whether its name is right, and `cargo test --test observability` holds it against the table.
"""
import json
import math
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

DASHBOARD = Path(__file__).parents[3] / "deploy/observability/grafana/dashboards/isthmus.json"

# Not there while nothing goes wrong: counters of trouble, and labels of errors.
UNTROUBLED = {
    "isthmus_reloads_total",
    "isthmus_status_unrecognized_total",
    "isthmus_telemetry_export_failures_total",
    "isthmus_telemetry_spans_dropped_total",
    "isthmus_upstream_retries_total",
    "isthmus_upstream_throttled_total",
    "ALERTS",
    "error_type",
}
# What Grafana puts in their place; a scrape a second is enough for half a minute.
VARIABLES = {"$__rate_interval": "30s", "$backend": ".*"}


class Prometheus:
    def __init__(self, base):
        self.base = base
        self.labels_of = {}

    def get(self, path, **parameters):
        url = f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def labels(self, metric):
        """The names of all labels of a metric's series; none if it has no series."""
        if metric not in self.labels_of:
            found = self.get("series", **{"match[]": metric})
            if not found:
                return set()
            self.labels_of[metric] = {label for series in found for label in series}
        return self.labels_of[metric]


def dashboard_queries():
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel “{panel['title']}” {target['refId']}", target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation “{annotation['name']}”", annotation["target"]["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            yield f"variable “{variable['name']}”", f"count by ({label}) ({metric})"


def alert_queries(prometheus):
    for group in prometheus.get("rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] == "err":
                raise SystemExit(f"alert {rule['name']}: {rule['lastError']}")
            yield f"alert {rule['name']}", rule["query"]


def named(node):
    """The metrics below a node of a parsed query, and for each the labels that it is selected or grouped by."""
    if isinstance(node, list):
        for each in node:
            yield from named(each)
    elif isinstance(node, dict):
        by = set(node.get("grouping") or []) | set((node.get("matching") or {}).get("labels") or [])
        if node.get("type") in ("vectorSelector", "matrixSelector"):
            yield node["name"], {matcher["name"] for matcher in node["matchers"]} - {"__name__"}
        for child in node.values():
            for metric, labels in named(child):
                yield metric, labels | by


def complaint(prometheus, query, wants_data):
    """What is wrong with a query, or nothing."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    try:
        result = prometheus.get("query", query=query)["result"]
    except urllib.error.HTTPError as refused:
        return json.load(refused)["error"]
    quiet = False
    for metric, labels in named(prometheus.get("parse_query", query=query)):
        there = prometheus.labels(metric)
        if not there and metric not in UNTROUBLED:
            return f"there is no {metric}"
        missing = labels - there - UNTROUBLED
        if there and missing:
            return f"{metric} has no label {', '.join(sorted(missing))}"
        quiet = quiet or metric in UNTROUBLED or labels & UNTROUBLED
    if wants_data and not quiet and all(math.isnan(float(series["value"][1])) for series in result):
        return "no data"
    return None


def main():
    prometheus = Prometheus(sys.argv[1])
    deadline = time.monotonic() + float(sys.argv[2] if len(sys.argv) > 2 else 60)
    left = [(where, query, True) for where, query in dashboard_queries()]
    left += [(where, query, False) for where, query in alert_queries(prometheus)]
    asked = len(left)
    while True:
        complaints = [(each, complaint(prometheus, each[1], each[2])) for each in left]
        left = [each for each, why in complaints if why]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(1)
    for (where, query, _), why in complaints:
        if why:
            print(f"{where}: {why}\n    {query}", file=sys.stderr)
    print(f"{asked - len(left)} passed, {len(left)} failed")
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
