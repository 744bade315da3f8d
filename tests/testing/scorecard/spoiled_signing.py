"""Ways to spoil who signed, in the records or in AWS's own log, and the checks that find it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seawall.conventions import signing
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Signature, SignCall
from seawall.scorecard.run import Run
from tests.testing.scorecard.aws_log import logged_as, moved
from tests.testing.scorecard.spoiling import Files, Spoil, each, first, payout, us, without

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
RELABELLED = 33


def relabelled(run: Run, *, count: int = RELABELLED, dated: bool = True) -> Files:
    """The standby's last payouts of the dark are recorded as the primary's.

    ``dated``: as if they had been signed just before the dark.
    """
    slots = [
        slot
        for slot in run.slots
        if payout(slot)
        and slot.signer_region == run.policy.regions.standby
        and us(30) < (slot.broadcast_at or 0) < us(57)
    ][-count:]
    assert len(slots) == count
    nonces = {(slot.chain_id, slot.address, slot.nonce) for slot in slots}
    primary = run.policy.regions.primary

    def chosen(row: Any) -> bool:
        return (row.chain_id, row.address, row.nonce) in nonces

    return {
        "slots": each(run.slots, chosen, signer_region=primary),
        "signatures": each(run.signatures, chosen, signed_by=primary)
        if not dated
        else each(run.signatures, chosen, signed_by=primary, signed_at=us(26.9)),
    }


def more(run: Run, at: float, **changes: Any) -> Files:
    """One more event of a hot wallet's key, that of the second ``at`` with ``changes``."""
    known = next(
        call
        for call in run.sign_calls
        if call.wallet == "customer-aster-hot" and call.region == run.policy.regions.standby
    )
    added = replace(known, event_id="added", at=Instant(us(at) // SECOND * SECOND), **changes)
    return {"sign_calls": (*run.sign_calls, added)}


def in_the_dark(run: Run, **changes: Any) -> Files:
    """An event of the dark region."""
    added = more(run, 40, **changes)["sign_calls"][-1]
    return {"sign_calls": (*run.sign_calls, moved(run.policy, added, run.policy.regions.primary))}


def of_probe(run: Run, call: SignCall) -> bool:
    """An event of a signer's probe, whose wallet pays nothing."""
    return call.wallet == min(run.policy.signing_wallets())


def signed_in_dark(row: Signature) -> bool:
    """Signatures well within the dark."""
    return us(35) < (row.signed_at or 0) < us(50)


INCOMPLETE = {
    "signing.logged_by_aws": UNKNOWN,
    "signing.by_signers_only": UNKNOWN,
    "failover.time": UNKNOWN,
}

SIGNING: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "33 payouts of the standby are recorded as the dark region's, dated before the dark": (
        relabelled,
        {"signing.logged_by_aws": UNKNOWN, "failover.time": UNKNOWN},
    ),
    "one payout of the standby is recorded as the dark region's, dated before the dark": (
        lambda run: relabelled(run, count=1),
        {"signing.logged_by_aws": UNKNOWN, "failover.time": UNKNOWN},
    ),
    "33 payouts of the standby are recorded as the dark region's, at their own times": (
        lambda run: relabelled(run, dated=False),
        {"signing.logged_by_aws": FAIL, "failover.time": UNKNOWN, "drill.fault_landed": UNKNOWN},
    ),
    "payouts of the calm are recorded as the standby's": (
        lambda run: {
            "signatures": each(
                run.signatures,
                lambda row: us(3) < row.signed_at < us(9),
                signed_by=run.policy.regions.standby,
            ),
            "slots": each(
                run.slots,
                lambda slot: us(3) < (slot.broadcast_at or 0) - 10_000 < us(9),
                signer_region=run.policy.regions.standby,
            ),
        },
        {"signing.logged_by_aws": FAIL, "failover.time": UNKNOWN},
    ),
    "the log ends before the drill": (
        lambda run: {"sign_calls": without(run.sign_calls, lambda call: call.at > us(80))},
        INCOMPLETE,
    ),
    "the log of one region ends before the drill": (
        lambda run: {
            "sign_calls": without(
                run.sign_calls,
                lambda call: call.at > us(80) and call.region == run.policy.regions.standby,
            )
        },
        INCOMPLETE,
    ),
    "the log has nothing of one region": (
        lambda run: {
            "sign_calls": without(
                run.sign_calls, lambda call: call.region == run.policy.regions.standby
            )
        },
        INCOMPLETE,
    ),
    "the log is empty": (lambda run: {"sign_calls": ()}, INCOMPLETE),
    "the log lacks ten seconds in the middle, as if they were not delivered yet": (
        lambda run: {"sign_calls": without(run.sign_calls, lambda call: us(35) < call.at < us(45))},
        INCOMPLETE,
    ),
    "the log lacks three probes that the kit saw answered, and no payout": (
        lambda run: {
            "sign_calls": without(
                run.sign_calls, lambda call: of_probe(run, call) and us(3) < call.at < us(7)
            )
        },
        INCOMPLETE,
    ),
    "one signature is in the log of neither region": (
        lambda run: {
            "sign_calls": without(
                run.sign_calls,
                lambda call: call.wallet == "customer-aster-hot" and call.at == us(40),
            )
        },
        {"signing.logged_by_aws": UNKNOWN, "failover.time": UNKNOWN},
    ),
    "another principal had a hot wallet's key sign": (
        lambda run: more(run, 12, principal="seawall-harbour-gameday"),
        {"signing.by_signers_only": FAIL},
    ),
    "the other region's signer had a hot wallet's key sign": (
        lambda run: more(run, 12, principal="seawall-harbour-signer-customer-aster-hot-us-east-1"),
        {"signing.by_signers_only": FAIL},
    ),
    "another wallet's signer had a hot wallet's key sign": (
        lambda run: more(run, 12, principal="seawall-harbour-signer-escrow-aster-hot-us-west-2"),
        {"signing.by_signers_only": FAIL},
    ),
    "the log has a wallet that the policy does not know": (
        lambda run: more(run, 12, wallet="somebody-else"),
        {"signing.by_signers_only": UNKNOWN},
    ),
    "the dark region signed, by AWS's own log": (in_the_dark, {"drill.fault_landed": UNKNOWN}),
    "the dark region refused, which is no signature": (
        lambda run: in_the_dark(run, error="AccessDenied"),
        {},
    ),
    "another key of the account signed in the dark region": (
        lambda run: {
            "sign_calls": (
                *run.sign_calls,
                replace(
                    in_the_dark(run)["sign_calls"][-1],
                    wallet=None,
                    address=None,
                    principal="user/alice",
                ),
            )
        },
        {},
    ),
    "a signature was asked for twice, as a retry does": (lambda run: more(run, 40), {}),
    "every event stands in the log a second later, by a clock that is ahead": (
        lambda run: {
            "sign_calls": each(
                run.sign_calls, lambda call: True, at=lambda call: Instant(call.at + SECOND)
            )
        },
        {},
    ),
    "the standby never signed, by the log as well": (
        lambda run: {
            "sign_calls": logged_as(
                run, each(run.signatures, signed_in_dark, signed_by=run.policy.regions.primary)
            )
        },
        {"signing.logged_by_aws": FAIL, "failover.time": UNKNOWN, "drill.fault_landed": UNKNOWN},
    ),
    "a signature has a region and no time": (
        lambda run: {
            "signatures": first(run.signatures, lambda row: us(40) < row.signed_at, signed_at=None)
        },
        INCOMPLETE,
    ),
    "a probe was answered that is in no log": (
        lambda run: {
            "probes": run.probes
            | {
                "signer": tuple(
                    replace(
                        sample,
                        ok=True,
                        detail={**(sample.detail or {}), "result": signing.ANSWERED},
                    )
                    for sample in run.probes["signer"]
                )
            }
        },
        {"drill.fault_landed": UNKNOWN, **INCOMPLETE},
    ),
}
