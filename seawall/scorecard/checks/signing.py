"""Checks of signatures: does AWS's own log say what the venue's records say of them?

The venue writes its records itself; nobody but AWS writes AWS's log.
"""

from __future__ import annotations

from seawall.errors import EvidenceError
from seawall.scorecard.aws_log import APART_S, compared, described, strangers, unplaced
from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Finding, check, failed, passed, unknown, violations
from seawall.scorecard.sources import Doubts

_EVIDENCE = (
    "aws/sign_calls.csv",
    "records/sign_log.csv",
    "records/slots.csv",
    "probes.jsonl",
    "timeline.jsonl",
)


@check(
    "signing.logged_by_aws",
    question="Is every signature in AWS's own log of the region that is said to have signed?",
    motivation=(
        "That a standby took over is only as true as the records' word for who signed; the records"
        " are the venue's, the log is not."
    ),
    evidence=_EVIDENCE,
    remediation=(
        "If the log came late, let it be waited for longer (aws_log.within_s of the deployment"
        " file); if a region is named wrongly, find out what writes the signers' log."
    ),
    believes={
        "venue": "a signature that it leaves out of its log; `safety.signed_is_logged` misses it",
        "AWS": "an event that it logged in the wrong region, or made up",
    },
)
def logged_by_aws(facts: Facts) -> Finding:
    """Each recorded signature has a successful event of its key, in its region, at its time.

    FAIL if another region signed instead, and the log of the one that is recorded is complete;
    UNKNOWN if none did, or if the log is not known to be complete.
    """
    found = compared(facts)
    target = f"an event for each signature, within {APART_S} s"
    measured = f"{found.recorded - len(found.uncovered):,} of {found.recorded:,} signatures"
    elsewhere = {
        place: call
        for place, call in found.elsewhere.items()
        if found.uncovered[place].region not in found.gaps
    }
    nowhere = next(iter(unplaced(facts).values()), None)
    if found.recorded == 0 and nowhere is None:
        return unknown(target=target, reason="there are no signatures", measured="no samples")
    doubt = nowhere if found.gap is None else found.gap
    if doubt is not None and not elsewhere:
        return unknown(target=target, measured=measured, reason=doubt)
    if elsewhere:
        sentences = [
            f"nonce {signature.nonce} of {signature.address} was signed in {signature.region} by"
            f" records/sign_log.csv, in {call.region} by AWS's own log"
            for place, call in elsewhere.items()
            for signature in (found.uncovered[place],)
        ]
        return failed(
            target=target,
            measured=measured,
            reason=(
                f"{len(found.uncovered)} signatures are not in the log of the region that is"
                f" recorded, and {len(sentences)} of them in another region's"
            ),
            details=(sentences[0], *sentences[-1:]),
        )
    if found.uncovered:
        return unknown(target=target, measured=measured, reason=described(found.uncovered[0]))
    return passed(
        measured=measured,
        target=target,
        reason="the regions that signed are those that the records name",
    )


@check(
    "signing.by_signers_only",
    question="Did nobody but the region's signer have a wallet's key sign?",
    motivation="Whoever else can have a key sign can pay past every control of the venue.",
    evidence=_EVIDENCE,
    adapts_to=("signatures",),
    remediation="Stop the key (docs/runbooks/signing-dark.md), then find out who could use it.",
    proves_alone=True,
    believes={"AWS": "an event that it leaves out, or gives to another role"},
)
def by_signers_only(facts: Facts) -> Finding:
    """Every successful event of a wallet's key was asked for by its signer's role there."""
    signed = [
        call for call in facts.run.sign_calls if call.wallet is not None and call.error is None
    ]
    doubts = Doubts()
    found = [
        f"{call.principal} had the key of {call.wallet} sign in {call.region}"
        for call in strangers(facts, doubts)
    ]
    doubts.ask(lambda: _require_complete(facts))
    return violations(
        found,
        checked=len(signed),
        what="signatures of wallets' keys",
        reason="each was asked for by the signer's role of its wallet and region",
        doubts=doubts.reasons,
    )


def _require_complete(facts: Facts) -> None:
    """Raise :class:`EvidenceError` unless the log is known to be complete."""
    gap = compared(facts).gap
    for doubt in (gap, *unplaced(facts).values()):
        if doubt is not None:
            raise EvidenceError(doubt)


CHECKS = (logged_by_aws, by_signers_only)
