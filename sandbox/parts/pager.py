"""The pager: receives what Alertmanager sends and writes it down."""

from __future__ import annotations

from sandbox.parts.base import Part, Site
from seawall.processes.readiness import http_answers

NAME = "pager"
PAGES_FILE = "pages.jsonl"


def part(site: Site) -> Part:
    """Ready when it lists its pages."""
    return Part(
        name=NAME,
        argv=site.module(
            "monitors.pager",
            "--port",
            str(site.ports.of(NAME)),
            "--out",
            str(site.data_dir / PAGES_FILE),
        ),
        ready=http_answers(f"{site.ports.url(NAME)}/pages"),
    )
