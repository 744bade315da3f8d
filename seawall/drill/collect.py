"""After the drill: gather each source by itself, and note the digests of what was gathered.

A source that cannot be read is missing evidence, which the scorecard calls UNKNOWN; it never hides
what another source says.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from adapters.reference_venue.records import export_records
from sandbox.bring_up import Stage
from seawall.evidence.chain import export_chain
from seawall.evidence.metrics import export_metrics
from seawall.formats.run_directory import Manifest
from seawall.scorecard import digests


def collect(
    stage: Stage, *, manifest: Manifest, run_dir: Path, report: Callable[[str], None]
) -> None:
    """Fill ``run_dir`` from the venue's records, the chains, Prometheus and the pager.

    Records are read before the chains.

    Whatever goes wrong with one source is reported and leaves its files out.
    """
    data_dir, now = stage.sandbox.data_dir, time.time()
    sources: dict[str, Callable[[], object]] = {
        "records": lambda: asyncio.run(export_records(stage.auditor_url, into=run_dir / "records")),
        "chains": lambda: export_chain(
            stage.chain_sites(),
            observed=observed_blocks(run_dir / "probes.jsonl"),
            into=run_dir / "chain",
        ),
        "metrics": lambda: export_metrics(
            stage.sandbox.targets.urls.prometheus,
            start=manifest.started_at,
            end=now,
            step_s=stage.policy.monitoring.scrape_every / 1000,
            into=run_dir / "metrics.json",
        ),
        "pages": lambda: shutil.copyfile(data_dir / "pages.jsonl", run_dir / "pages.jsonl"),
        "arrivals": lambda: shutil.copyfile(data_dir / "arrivals.csv", run_dir / "arrivals.csv"),
    }
    for name, gather in sources.items():
        try:
            gather()
        # a source that breaks in any way is missing evidence, never a lost drill
        except Exception as error:  # noqa: BLE001
            report(f"no evidence from {name}: {type(error).__name__}: {error}")


def finish(manifest: Manifest, run_dir: Path) -> None:
    """Write the manifest for the last time, with the length and digest of every file of evidence."""
    manifest.ended_at = time.time()
    manifest.files = digests(run_dir)
    manifest.write(run_dir)


def observed_blocks(probes: Path) -> dict[tuple[str, int], float]:
    """When the prober first saw each block: (network, number) -> Unix seconds.

    A line cut short is passed over.
    """
    seen: dict[tuple[str, int], float] = {}
    with probes.open(encoding="utf-8") as lines:
        for line in lines:
            if '"block"' not in line:
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry["probe"] == "block" and entry["ok"]:
                seen.setdefault(
                    (entry["detail"]["network"], entry["detail"]["number"]), float(entry["done_at"])
                )
    return seen
