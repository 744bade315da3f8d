"""Metrics: Prometheus at the policy's pace.

It finds the venue's processes in a file that the supervisor keeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from sandbox.parts import alertmanager
from sandbox.parts.base import Part, Site
from seawall.formats.atomic import write_private
from seawall.processes.readiness import http_answers

NAME = "prometheus"
RETENTION = "1d"


def watched_file(data_dir: Path) -> Path:
    """The file that names what to scrape."""
    return data_dir / NAME / "watched.json"


def write_watched(data_dir: Path, ports: Mapping[str, int]) -> None:
    """Have the processes in ``ports`` (process name -> metrics port) scraped, each under its name
    as label ``process``.
    """
    groups = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"process": name}}
        for name, port in ports.items()
    ]
    write_private(watched_file(data_dir), json.dumps(groups, indent=1) + "\n")


def part(site: Site) -> Part:
    """Ready when it says so."""
    folder = site.folder(NAME)

    def prepare() -> None:
        pace = site.policy.monitoring
        write_watched(site.data_dir, {})
        config = {
            "global": {
                "scrape_interval": f"{pace.scrape_every}ms",
                "scrape_timeout": f"{pace.scrape_every}ms",
                "evaluation_interval": f"{pace.evaluate_every}ms",
            },
            "rule_files": [str(site.rules() / "rules.yml")],
            "alerting": {
                "alertmanagers": [
                    {"static_configs": [{"targets": [site.ports.address(alertmanager.NAME)]}]}
                ]
            },
            "scrape_configs": [
                {
                    "job_name": "venue",
                    "file_sd_configs": [
                        {"files": [str(watched_file(site.data_dir))], "refresh_interval": "1s"}
                    ],
                }
            ],
        }
        write_private(folder / "prometheus.yml", yaml.safe_dump(config, sort_keys=False))

    return Part(
        name=NAME,
        argv=(
            site.program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={site.ports.address(NAME)}",
            "--log.level=warn",
        ),
        prepare=prepare,
        ready=http_answers(
            f"{site.ports.url(NAME)}/api/v1/rules",
            holds=lambda answer: bool(answer["data"]["groups"]),
        ),
        cwd=folder,
    )
