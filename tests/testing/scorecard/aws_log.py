"""AWS's own log of a synthetic run, and of runs whose signatures were made otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seawall.conventions import aws
from seawall.policy import Policy
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Signature, SignCall
from seawall.scorecard.run import Run
from tests.testing.scorecard.story import ENDS, ZERO, Row, Story, address_of

SIGNED_S = 0.02
"""From the end of a request for a signature to the commit that it was made."""


def log_signatures(story: Story) -> None:
    """An event for each signature, each answered probe of a signer, and one at the end."""
    policy = story.policy
    wallets = {address_of(policy, wallet): wallet for wallet in policy.signing_wallets()}
    for row in story.table("records/sign_log"):
        _log(story, row["signed_by"], wallets[row["address"]], float(row["signed_at"]) - SIGNED_S)
    probing = min(policy.signing_wallets())
    for sample in story.table("probes"):
        if sample["probe"] == "signer" and sample["ok"]:
            _log(story, sample["detail"]["region"], probing, sample["done_at"] - SIGNED_S)
    for region in (policy.regions.primary, policy.regions.standby):
        _log(story, region, probing, ZERO + ENDS + 0.5)


def _log(story: Story, region: str, wallet: str, at: float) -> None:
    calls: list[Row] = story.table("aws/sign_calls")
    calls.append(
        {
            "event_id": f"event-{len(calls)}",
            "region": region,
            "at": int(at),
            "wallet": wallet,
            "address": address_of(story.policy, wallet),
            "principal": aws.signer_role(story.policy.venue.name, wallet, region),
            "error": "",
        }
    )


def moved(policy: Policy, call: SignCall, region: str, **changes: Any) -> SignCall:
    """The same request, made in ``region`` by the signer there."""
    assert call.wallet is not None
    principal = aws.signer_role(policy.venue.name, call.wallet, region)
    return replace(call, region=region, principal=principal, **changes)


def logged_as(run: Run, signatures: tuple[Signature, ...]) -> tuple[SignCall, ...]:
    """The log as it were if ``signatures`` were true, where those of ``run`` were others.

    Both have the same nonces, in the same order; one that is left out keeps its event.
    """
    new = {(row.chain_id, row.address, row.nonce): row for row in signatures}
    calls = list(run.sign_calls)
    for row in run.signatures:
        other = new.get((row.chain_id, row.address, row.nonce), row)
        if (other.signed_by, other.signed_at) == (row.signed_by, row.signed_at):
            continue
        assert row.signed_at is not None
        at = _second(row.signed_at)
        index = next(
            index
            for index, call in enumerate(calls)
            if (call.address, call.region, call.at) == (row.address, row.signed_by, at)
        )
        assert other.signed_by is not None
        assert other.signed_at is not None
        calls[index] = moved(run.policy, calls[index], other.signed_by, at=_second(other.signed_at))
    return tuple(sorted(calls, key=lambda call: call.at))


def _second(signed_at: Instant) -> Instant:
    """When the event of a signature is that was written down at ``signed_at``."""
    return Instant(int(signed_at - SIGNED_S * SECOND) // SECOND * SECOND)
