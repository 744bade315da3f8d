"""The commands that the workflows in docs/ci run, job by job."""

from __future__ import annotations

from pathlib import Path

import yaml

from seawall.cache import repository_root

ROOT = repository_root()
FILES = (ROOT / "docs" / "ci" / "github.yml", ROOT / "docs" / "ci" / "gitlab.yml")


def commands_of(file: Path) -> dict[str, list[str]]:
    """The commands of each job in their order, by the job's name up to a dash."""
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    if "jobs" in tree:
        return {
            name: [
                line
                for step in job["steps"]
                for line in str(step.get("run", "")).splitlines()
                if line.strip()
            ]
            for name, job in tree["jobs"].items()
        }
    found: dict[str, list[str]] = {}
    for name, job in tree.items():
        if isinstance(job, dict) and "script" in job:
            found.setdefault(name.partition("-")[0], []).extend(job["script"])
    return found
