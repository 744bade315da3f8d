"""Faults of a key service that refuses, with a real signer, a real lease and the emulated AWS."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.faults import Fault, make_fault
from chaos.session import FaultSession
from seawall.conventions.local_aws import KMS_CROWDING_PATH
from seawall.formats.deployment import Deployment
from seawall.lease import REAL_CLOCK, LeaseClient
from tests.testing.deployments import make_deployment, urls
from tests.testing.fault_harness import first_line, running
from tests.testing.signer_harness import Region, region

__all__ = ["region"]
pytestmark = pytest.mark.integration

TTL_MS = 3_000


@contextmanager
def session_of(fault: Fault, folder: Path, events: list[str]) -> Iterator[FaultSession]:
    """A session of ``fault`` with a lease holder of its own; its facts go to ``events``."""
    command = ("-m", "seawall.lease", "--data-dir", str(folder), "--port", "0")
    with running(sys.executable, *command) as holder:
        session = FaultSession(
            fault,
            leases=LeaseClient(first_line(holder).split()[-1]),
            ttl_ms=TTL_MS,
            watch=lambda: None,
            permit=lambda: None,
            record=lambda event, _at, _detail: events.append(event),
            clock=REAL_CLOCK,
        )
        try:
            yield session
        finally:
            session.close()
            holder.terminate()  # with its sentinel
            holder.wait(5)


def _deployment(folder: Path, region: Region) -> Deployment:
    return make_deployment(
        folder,
        urls=urls(aws=region.endpoint),
        kms_crowding=f"{region.endpoint}{KMS_CROWDING_PATH}",
        signers={"us-east-1": {"url": region.url, "operations_per_s": 100}},
    )


async def test_a_crowded_key_service_throttles_the_signer_until_its_lease_expires(
    region: Region, tmp_path: Path
) -> None:
    """Seen through the signer's own probe, throughout; an owner that falls silent is undone."""
    fault = make_fault(
        "kms-throttled",
        target="kms.primary",
        parameters={"throttled": "0.9"},
        deployment=_deployment(tmp_path, region),
        blast_radius=("kms.primary",),
    )
    events: list[str] = []

    def injected() -> None:
        with session_of(fault, tmp_path, events) as session:
            session.apply()
            session.hold(2_000)
            session.revert()
            session.revert()
            session.apply()
            session.close()  # and no word more
            give_up = time.monotonic() + TTL_MS / 1_000 + 5
            while fault.observe().state != "clear":
                assert time.monotonic() < give_up

    async with region.signing():
        await asyncio.to_thread(injected)
    once = ["fault.applied", "fault.effective"]
    assert events == [*once, "fault.held", "fault.reverted", "fault.cleared", *once]
    assert fault.observe().state == "unclear"  # a signer that is gone proves nothing
