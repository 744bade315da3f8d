"""Alert routing: Alertmanager with the policy's routes.

Every receiver is the pager, reached through its proxy.
"""

from __future__ import annotations

import shutil

from sandbox.parts.base import Part, Site
from seawall.formats.atomic import write_private
from seawall.processes.readiness import http_answers

NAME = "alertmanager"


def part(site: Site, *, pager_url: str) -> Part:
    """Ready when it says so."""
    folder = site.folder(NAME)

    def prepare() -> None:
        shutil.copy(site.rules() / "alertmanager.yml", folder / "alertmanager.yml")
        write_private(
            folder / "pager-url", pager_url
        )  # the routing file names this file, so that it holds no address itself

    return Part(
        name=NAME,
        argv=(
            site.program("alertmanager"),
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={site.ports.address(NAME)}",
            "--cluster.listen-address=",  # one node: no gossip to wait for
            "--log.level=warn",
        ),
        prepare=prepare,
        ready=http_answers(f"{site.ports.url(NAME)}/-/ready"),
        cwd=folder,
    )
