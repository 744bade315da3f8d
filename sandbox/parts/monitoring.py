"""Metrics and alerts: Prometheus at the policy's intervals, Alertmanager, and the pager.

Prometheus knows the venue's processes before they start: it takes up to ten seconds to take up a
target that it learns of later. Every receiver of Alertmanager is the pager, reached through its
proxy.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import yaml

from sandbox.parts.part import Context, Part
from sandbox.ports import LOOPBACK
from seawall.formats.atomic import write_private
from seawall.processes.readiness import http_answers

PROMETHEUS, ALERTMANAGER, PAGER = "prometheus", "alertmanager", "pager"
PAGES_FILE = "pages.jsonl"
"""In the data directory: every page that arrived."""
RETENTION = "1d"


def prometheus(context: Context, *, metrics_ports: Mapping[str, int]) -> Part:
    """Ready when it says so.

    ``metrics_ports``: by the name of the process, which becomes the label ``process``.
    """
    folder = context.folder(PROMETHEUS)

    def prepare() -> None:
        pace = context.policy.monitoring
        config = {
            "global": {
                "scrape_interval": f"{pace.scrape_every}ms",
                "scrape_timeout": f"{pace.scrape_every}ms",
                "evaluation_interval": f"{pace.evaluate_every}ms",
            },
            "rule_files": [str(context.rules() / "rules.yml")],
            "alerting": {
                "alertmanagers": [
                    {"static_configs": [{"targets": [context.ports.address(ALERTMANAGER)]}]}
                ]
            },
            "scrape_configs": [
                {
                    "job_name": "venue",
                    "static_configs": [
                        {"targets": [f"{LOOPBACK}:{port}"], "labels": {"process": name}}
                        for name, port in metrics_ports.items()
                    ],
                }
            ],
        }
        write_private(folder / "prometheus.yml", yaml.safe_dump(config, sort_keys=False))

    return Part(
        name=PROMETHEUS,
        argv=(
            context.program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={context.ports.address(PROMETHEUS)}",
            "--log.level=warn",
        ),
        prepare=prepare,
        ready=http_answers(
            f"{context.ports.url(PROMETHEUS)}/api/v1/rules",
            holds=lambda answer: bool(answer["data"]["groups"]),
        ),
        cwd=folder,
    )


def alertmanager(context: Context, *, pager_url: str) -> Part:
    """Ready when it says so."""
    folder = context.folder(ALERTMANAGER)

    def prepare() -> None:
        shutil.copy(context.rules() / "alertmanager.yml", folder / "alertmanager.yml")
        write_private(
            folder / "pager-url", pager_url
        )  # the routing file names this file, so that it holds no address itself

    return Part(
        name=ALERTMANAGER,
        argv=(
            context.program("alertmanager"),
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={context.ports.address(ALERTMANAGER)}",
            "--cluster.listen-address=",  # one node: no gossip to wait for
            "--log.level=warn",
        ),
        prepare=prepare,
        ready=http_answers(f"{context.ports.url(ALERTMANAGER)}/-/ready"),
        cwd=folder,
    )


def pager(context: Context) -> Part:
    """Ready when it lists its pages."""
    return Part(
        name=PAGER,
        argv=context.module(
            "monitors.pager",
            "--port",
            str(context.ports.of(PAGER)),
            "--out",
            str(context.data_dir / PAGES_FILE),
        ),
        ready=http_answers(f"{context.ports.url(PAGER)}/pages"),
    )
