"""The signer as a process on the emulated AWS: whose credentials it uses, and a KMS that hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import httpx
import pytest

from seawall.conventions import metrics as metrics_names
from seawall.conventions.signing import authorization
from tests.integration.test_signer import cancelling, open_slot, proof_of, request_for
from tests.testing.signer_harness import Region, region
from tests.testing.venue_harness import CREDENTIAL, HANGS_AFTER_S, connected
from venue.signer.protocol import SignRequest

__all__ = ["region"]
pytestmark = pytest.mark.integration


async def test_the_process_signs_by_kms_and_answers_while_kms_hangs(region: Region) -> None:
    """Over HTTP: signed, replayed, refused, and unavailable before KMS goes on; SIGTERM ends it."""

    def wanted(**change: Any) -> SignRequest:
        return request_for(region.address, to=region.contract, **change)

    async with connected(region.owner_url) as owner:
        for nonce in range(32):
            await open_slot(owner, wanted(nonce=nonce))
    async with region.signing() as signer:
        async with httpx.AsyncClient(
            base_url=region.url, timeout=HANGS_AFTER_S, headers=authorization(CREDENTIAL)
        ) as client:

            async def sign(**change: Any) -> httpx.Response:
                return await client.post("/sign", content=wanted(**change).model_dump_json())

            signed, replayed = await sign(), await sign()
            conflict = await sign(data=cancelling(7))
            for nonce in range(1, 31):
                assert (await sign(nonce=nonce)).status_code == 200
            region.aws.send_signal(signal.SIGSTOP)
            # Both answers arrive before KMS goes on.
            dark, probe = await asyncio.gather(sign(nonce=31), client.post("/probe"))
            region.aws.send_signal(signal.SIGCONT)
            healed, healthy = await sign(nonce=31), await client.post("/probe")
            metrics = (await client.get("/metrics")).text
        signer.terminate()
        async with asyncio.timeout(HANGS_AFTER_S):
            code = await signer.wait()

    assert (signed.status_code, replayed.json()) == (200, signed.json())
    assert (conflict.status_code, conflict.json()["code"]) == (409, "digest_conflict")
    assert [(each.status_code, each.json()["code"]) for each in (dark, probe)] == [
        (503, "provider_unavailable")
    ] * 2
    assert (healed.status_code, healthy.status_code) == (200, 200)
    assert (
        f'{metrics_names.SIGN_REQUESTS}{{outcome="unavailable",region="us-east-1"}} 1.0' in metrics
    )
    assert f'{metrics_names.SIGN_REQUESTS}{{outcome="signed",region="us-east-1"}} 32.0' in metrics
    assert code == 0


async def _ended(region: Region, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the complaint of a signer that cannot start."""
    argv = (
        sys.executable,
        "-m",
        "venue.signer",
        "--config",
        str(region.config_path),
        "--region",
        "us-east-1",
        *arguments,
    )
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=os.environ | region.environment | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, complaint.decode()


async def test_a_bucket_is_signed_for_with_its_own_credentials_and_no_others(
    region: Region,
) -> None:
    """It does not start with another bucket's, nor for a bucket that has no keys, nor for all."""
    escrow = region.credentials("escrow")
    code, complaint = await _ended(region, "--bucket", "customer", **escrow)
    assert code == 4
    assert "AccessDenied" in complaint

    code, complaint = await _ended(region, "--bucket", "nobody", **escrow)
    assert code == 3
    assert "has no key of bucket nobody" in complaint

    code, complaint = await _ended(region, **escrow)
    assert code == 2
    assert "--bucket" in complaint


async def test_a_front_passes_requests_on_to_the_signer_of_the_wallets_bucket(
    region: Region,
) -> None:
    """Each process knows the wallets of its own bucket alone; the front knows where they are.

    Without one bucket's signer, the others go on.
    """
    async with (
        region.signing("escrow"),
        region.signing("", module="venue.signer.front"),
        httpx.AsyncClient(timeout=HANGS_AFTER_S, headers=authorization(CREDENTIAL)) as client,
    ):
        proof = {"wallet": "escrow-aster-hot", "text": proof_of("escrow-aster-hot")}
        direct = await client.post(f"{region.urls['escrow']}/prove", json=proof)
        passed = await client.post(f"{region.urls['']}/prove", json=proof)
        other = await client.post(
            f"{region.urls['escrow']}/sign", content=request_for(region.address).model_dump_json()
        )
        dead = await client.post(
            f"{region.urls['']}/sign", content=request_for(region.address).model_dump_json()
        )
        stranger = await client.post(
            f"{region.urls['']}/prove", json=proof, headers={"Authorization": "Bearer x"}
        )
    assert (direct.status_code, passed.status_code) == (200, 200)
    assert direct.json()["address"] == passed.json()["address"]
    assert (other.status_code, other.json()["code"]) == (422, "bad_request")
    assert (dead.status_code, dead.json()["code"]) == (503, "provider_unavailable")
    assert (stranger.status_code, stranger.json()["code"]) == (401, "unknown_caller")
