"""Gather the evidence after a drill, source by source, and note the digests of its files.

A source that cannot be read is missing evidence, which the scorecard calls UNKNOWN; the other
sources are gathered all the same.
"""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seawall.conventions.evidence import Port
from seawall.drill.earlier import Earlier
from seawall.errors import SeawallError
from seawall.evidence.aws_log import AwsLogReading
from seawall.evidence.chain import Reach, export_chain
from seawall.evidence.metrics import export_metrics
from seawall.evidence.ports import chain_sources, chains_of, read_source
from seawall.evidence.statements import export_statements
from seawall.formats.component_status import ComponentStatus
from seawall.formats.deployment import Deployment
from seawall.formats.run_directory import Manifest
from seawall.formats.venue_records import VenueRecords
from seawall.policy import Policy
from seawall.scorecard import digests


def collect(
    deployment: Deployment,
    *,
    records: VenueRecords | None,
    policy: Policy,
    manifest: Manifest,
    before: Reach,
    earlier: Earlier,
    run_dir: Path,
    report: Callable[[str], None],
    collected: Callable[[], None],
) -> None:
    """Fill ``run_dir`` with all that the deployment offers: records, chains, metrics, pages.

    Records are read before the chains and the statements of rails. ``before`` is how far these had
    come before the drill; ``earlier`` what the game day knows of its drills so far, and learns what
    keys have sent by now. ``collected`` is called before sources are waited for that settle later:
    until then the drill was observed.

    Whatever goes wrong with one source is reported and leaves its files out.
    """
    now = time.time()
    settled: dict[str, Callable[[], object]] = {}
    unsettled: dict[str, Callable[[], object]] = {}
    if records is not None:
        settled["records"] = partial(records.export, run_dir / "records")
    for port, source in sorted(deployment.evidence.items(), key=lambda each: each[1].settles_s):
        read = partial(
            read_source,
            port,
            source,
            folder=deployment.folder or deployment.path.parent,
            into=run_dir,
            started_at=manifest.started_at,
            ended_at=now,
        )
        # A drill that broke proves nothing anyway, so nothing is waited for.
        if source.settles_s and manifest.broke is None:
            unsettled[port] = partial(
                _read_settled, read, port, settled_at=now + source.settles_s, report=report
            )
        else:
            settled[port] = read
    if chains_of(deployment):
        # What a late record says was paid must not be missed by an earlier look at the chain.
        (unsettled or settled)["chains"] = lambda: earlier.sent.update(
            export_chain(
                chain_sources(
                    deployment,
                    policy,
                    before,
                    earlier=earlier.sent,
                    destinations=destinations(run_dir) | earlier.destinations,
                ),
                observed=observed_blocks(run_dir / "probes.jsonl"),
                into=run_dir / "chain",
            )
        )
    if deployment.rails:
        # Likewise.
        (unsettled or settled)["statements"] = lambda: export_statements(
            deployment.rails, into=run_dir / "rails"
        )
    prometheus = deployment.urls.prometheus
    if prometheus is not None:
        settled["metrics"] = lambda: export_metrics(
            prometheus,
            start=manifest.started_at,
            end=now,
            step_s=policy.monitoring.scrape_every / 1000,
            expressions=deployment.metrics,
            into=run_dir / "metrics.json",
        )
    pages = deployment.pages
    if pages is not None:
        settled["pages"] = partial(shutil.copyfile, pages, run_dir / "pages.jsonl")
    _gather(settled, report)
    collected()
    _gather(unsettled, report)


@dataclass(kw_only=True)
class LateLog:
    """AWS's own log of a drill's signatures: read from its beginning on, complete after its end.

    Where the deployment offers none, or it cannot be read, there is nothing to wait for: the file
    is missing evidence then.

    Attributes:
        run_dir: Where the file goes.
        report: Gets lines for people.
        reading: Once it has begun.
    """

    run_dir: Path
    report: Callable[[str], None]
    reading: AwsLogReading | None = None

    def begin(
        self, deployment: Deployment, *, policy: Policy, started_at: float, after: LateLog | None
    ) -> None:
        """Read it beside the drill that began at ``started_at`` (Unix seconds).

        ``after`` is that of the drill before, which may still be waited for.
        """

        def begin() -> None:
            self.reading = AwsLogReading(
                deployment,
                policy,
                started_at=started_at,
                report=self.report,
                after=None if after is None else after.reading,
            )

        if deployment.aws_log is not None:
            _gather({"aws_log": begin}, self.report)

    @property
    def awaited(self) -> bool:
        """Whether there is one."""
        return self.reading is not None

    def finish(self, *, wait: bool) -> None:
        """Read the rest and write the file; without ``wait`` of what is there already."""
        reading = self.reading
        if reading is not None:
            _gather({"aws_log": lambda: reading.finish(wait=wait, into=self.run_dir)}, self.report)

    def abandon(self) -> None:
        """Read no more of it, whoever waits for it; idempotent."""
        if self.reading is not None:
            self.reading.abandon()


def _gather(sources: Mapping[str, Callable[[], object]], report: Callable[[str], None]) -> None:
    for name, gather in sources.items():
        try:
            gather()
        # a source that breaks in any way is missing evidence, never a lost drill
        except Exception as error:  # noqa: BLE001
            report(f"no evidence from {name}: {type(error).__name__}: {error}")


def _read_settled(
    read: Callable[[], None], port: Port, *, settled_at: float, report: Callable[[str], None]
) -> None:
    left_s = settled_at - time.time()
    if left_s > 0:
        report(f"{port} is read in {left_s:.0f} s, when it has settled")
        time.sleep(left_s)
    read()


def note_components(
    manifest: Manifest, components: Callable[[], Sequence[ComponentStatus]]
) -> None:
    """Note the state of every process; if it is not known, that is what broke the drill."""
    try:
        manifest.components = [each.model_dump() for each in components()]
    except SeawallError as error:
        manifest.broke = manifest.broke or str(error)


def finish(manifest: Manifest, run_dir: Path) -> None:
    """Write the manifest for the last time, with length and digest of each file of evidence."""
    manifest.ended_at = time.time()
    manifest.files = digests(run_dir)
    manifest.write(run_dir)


def destinations(run_dir: Path) -> frozenset[str]:
    """Every address that a request of the drill was to be paid to, in lower case."""
    with (run_dir / "arrivals.csv").open(encoding="utf-8", newline="") as file:
        found = {row["destination"].lower() for row in csv.DictReader(file)}
    with (run_dir / "probes.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            if '"destination"' in line and line.endswith("\n"):
                found.add(str(json.loads(line)["detail"]["destination"]).lower())
    return frozenset(found)


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
