"""Gather the evidence after a drill, source by source, and note the digests of its files.

A source that cannot be read is missing evidence, which the scorecard calls UNKNOWN; the other
sources are gathered all the same.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from seawall.errors import EvidenceError
from seawall.evidence.chain import NATIVE, ChainSource, export_chain
from seawall.evidence.metrics import export_metrics
from seawall.formats.deployment import Deployment
from seawall.formats.run_directory import Manifest
from seawall.formats.venue_records import VenueRecords
from seawall.policy import Policy
from seawall.scorecard import digests


def collect(
    deployment: Deployment,
    *,
    records: VenueRecords,
    policy: Policy,
    manifest: Manifest,
    run_dir: Path,
    report: Callable[[str], None],
) -> None:
    """Fill ``run_dir`` from the venue's records, the chains, Prometheus and the pager.

    Records are read before the chains.

    Whatever goes wrong with one source is reported and leaves its files out.
    """
    now = time.time()
    sources: dict[str, Callable[[], object]] = {
        "records": lambda: records.export(run_dir / "records"),
        "chains": lambda: export_chain(
            chain_sources(deployment, policy),
            observed=observed_blocks(run_dir / "probes.jsonl"),
            into=run_dir / "chain",
        ),
        "metrics": lambda: export_metrics(
            deployment.urls.required("prometheus"),
            start=manifest.started_at,
            end=now,
            step_s=policy.monitoring.scrape_every / 1000,
            into=run_dir / "metrics.json",
        ),
        "pages": lambda: _copy("pages", deployment.pages, run_dir / "pages.jsonl"),
    }
    for name, gather in sources.items():
        try:
            gather()
        # a source that breaks in any way is missing evidence, never a lost drill
        except Exception as error:  # noqa: BLE001
            report(f"no evidence from {name}: {type(error).__name__}: {error}")


def _copy(what: str, source: Path | None, into: Path) -> None:
    if source is None:
        raise EvidenceError(f"the deployment file names no {what}")
    shutil.copyfile(source, into)


def chain_sources(deployment: Deployment, policy: Policy) -> list[ChainSource]:
    """Each network as an auditor reads it: from the node, past every proxy.

    Raises :class:`EvidenceError` for a network where the payouts cannot be seen.
    """
    sites = []
    for name, network in deployment.networks.items():
        if network.payouts is None:
            raise EvidenceError(f"the deployment file does not say where {name} is paid from")
        sites.append(
            ChainSource(
                network=name,
                node_url=network.node,
                payout_contracts=network.payouts.contracts,
                wallets=network.payouts.wallets,
                assets={policy.networks[name].native: NATIVE, **network.payouts.tokens},
                lanes=network.payouts.signers,
            )
        )
    return sites


def finish(manifest: Manifest, run_dir: Path) -> None:
    """Write the manifest for the last time, with length and digest of each file of evidence."""
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
