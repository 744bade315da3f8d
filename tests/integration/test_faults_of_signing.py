"""Faults of a key service that refuses, with a real signer, a real lease and the emulated AWS."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.faults import Fault, make_fault
from chaos.faults.signing_denied import POLICY_NAME
from chaos.session import FaultSession
from seawall.cache import repository_root
from seawall.conventions.local_aws import ACCOUNT_ID, KMS_CROWDING_PATH
from seawall.errors import ServiceError
from seawall.formats.atomic import write_private
from seawall.formats.deployment import Deployment
from seawall.keys import access
from seawall.lease import REAL_CLOCK, LeaseClient
from seawall.policy_file import load_policy
from tests.testing.aws_harness import ROOT_KEY, client
from tests.testing.deployments import make_deployment, urls
from tests.testing.fault_harness import first_line, running
from tests.testing.signer_harness import Region, region
from tests.testing.venue_harness import HANGS_AFTER_S, POLICY, PROBERS_CREDENTIAL

__all__ = ["region"]
pytestmark = pytest.mark.integration

TTL_MS = 3_000
DENIED_MS, MARGIN_MS = 2_000, 3_000
DENIED = {
    "fault": "signing-denied",
    "target": "kms.primary",
    "parameters": {"margin": f"{MARGIN_MS}ms"},
    "after_ms": 0,
    "length_ms": DENIED_MS,
}
CONFIGURATION = {
    "drill": "signing-denied",
    "noop": "",
    "calm_ms": 5_000,
    "flood_ms": 60_000,
    "lease_ttl_ms": TTL_MS,
    "blast_radius": ["kms.primary"],
}
APPLY = (
    "import time; from chaos.actions import apply_fault; "
    f"apply_fault({DENIED!r}, {CONFIGURATION!r}); print('denied', flush=True); time.sleep(60)"
)


@contextmanager
def session_of(
    fault: Fault, folder: Path, events: list[str], *, ttl_ms: int = TTL_MS
) -> Iterator[FaultSession]:
    """A session of ``fault`` with a lease holder of its own; its facts go to ``events``."""
    command = ("-m", "seawall.lease", "--data-dir", str(folder), "--port", "0")
    with running(sys.executable, *command) as holder:
        session = FaultSession(
            fault,
            leases=LeaseClient(first_line(holder).split()[-1]),
            ttl_ms=ttl_ms,
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
            holder.wait(HANGS_AFTER_S)


def _deployment(folder: Path, region: Region, **addresses: str) -> Deployment:
    principals = folder / "principals.config"
    region.identities.write_profiles(
        principals, policy=load_policy(POLICY), account=ACCOUNT_ID, endpoint=region.endpoint
    )
    prober = folder / "prober.credential"
    write_private(prober, PROBERS_CREDENTIAL)
    return make_deployment(
        folder,
        urls=urls(aws=region.endpoint, **addresses),
        principals=str(principals),
        kms_crowding=f"{region.endpoint}{KMS_CROWDING_PATH}",
        signers={"us-east-1": {"url": region.url, "operations_per_s": 100, "prober": str(prober)}},
    )


@pytest.mark.nightly  # another fault of signing stays
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


def _denial(deployment: Deployment) -> Fault:
    return make_fault(
        "signing-denied",
        target="kms.primary",
        parameters={"margin": f"{MARGIN_MS}ms"},
        deployment=deployment,
        blast_radius=("kms.primary",),
        length_ms=DENIED_MS,
    )


def _left(region: Region) -> set[str]:
    """Roles that still have the drill's policy."""
    iam = client("iam", region.endpoint, ROOT_KEY)
    return {
        role["RoleName"]
        for role in iam.list_roles()["Roles"]
        if POLICY_NAME in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    }


@pytest.mark.nightly  # that the denial ends by itself stays
async def test_every_signer_of_a_region_is_denied_and_allowed_again(
    region: Region, tmp_path: Path
) -> None:
    """By the fault role, which writes no policy of any other role."""
    fault = _denial(_deployment(tmp_path, region))
    events: list[str] = []
    found: list[set[str]] = []

    def injected() -> None:
        with session_of(fault, tmp_path, events) as session:
            session.apply()
            found.append(_left(region))
            session.hold(DENIED_MS)
            session.revert()
            session.revert()
            found.append(_left(region))

    async with region.signing():
        await asyncio.to_thread(injected)
    assert events == [
        "fault.applied",
        "fault.effective",
        "fault.held",
        "fault.reverted",
        "fault.cleared",
    ]
    policy = load_policy(POLICY)
    signers = {access.signer(policy, name, "us-east-1").name for name in policy.signing_wallets()}
    assert found == [signers, set()]


async def test_the_denial_of_a_runner_that_was_killed_ends_by_itself(
    region: Region, tmp_path: Path
) -> None:
    """Nobody deletes it: the signer signs again, and the policies are still there.

    The next drill deletes what is left before it begins.
    """
    command = ("-m", "seawall.lease", "--data-dir", str(tmp_path), "--port", "0")

    def killed() -> None:
        with running(sys.executable, *command) as holder:
            deployment = _deployment(tmp_path, region, lease=first_line(holder).split()[-1])
            environment = {
                **{name: value for name, value in os.environ.items() if "SEAWALL" not in name},
                "SEAWALL_DEPLOYMENT": str(deployment.write()),
                "SEAWALL_POLICY": str(POLICY),
                "PYTHONPATH": str(repository_root()),
            }
            began = time.time()
            with running(sys.executable, "-c", APPLY, environment=environment) as runner:
                assert first_line(runner) == "denied"
                runner.kill()
                runner.wait()
            fault = _denial(deployment)
            assert fault.observe().state == "effective", "it outlives its runner"
            while fault.observe().state != "clear":
                assert time.time() < began + 30
            # The end counts in whole seconds.
            assert time.time() - began > (DENIED_MS + MARGIN_MS) / 1_000 - 1
            assert _left(region), "nobody deleted anything"
            fault.revert(within_ms=TTL_MS)
            assert not _left(region)
            holder.terminate()  # with its sentinel
            holder.wait(HANGS_AFTER_S)

    async with region.signing():
        await asyncio.to_thread(killed)


async def test_the_fault_role_reaches_no_role_without_the_signers_boundary(
    region: Region, tmp_path: Path
) -> None:
    """Were the boundary gone, an Allow through this door would not be harmless any more."""
    deployment = _deployment(tmp_path, region)
    policy = load_policy(POLICY)
    signer = access.signer(policy, next(iter(policy.signing_wallets())), "us-east-1").name
    client("iam", region.endpoint, ROOT_KEY).delete_role_permissions_boundary(RoleName=signer)
    with pytest.raises(ServiceError, match=rf"{signer} was not denied to sign: .*AccessDenied"):
        await asyncio.to_thread(_denial(deployment).apply)
