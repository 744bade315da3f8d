"""The nonces on record against the chain's own counts: no key has sent what nobody knows of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seawall.scorecard.chain_rows import LaneNonce
from seawall.scorecard.checks import ALL
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import each, without
from tests.testing.scorecard.story import PAYOUT_LANES

Alter = Callable[..., Run]
Files = dict[str, Any]
FAIL, UNKNOWN, PASS = Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS
CHECK = next(check for check in ALL if check.id == "safety.nonces_contiguous")


def _paying(run: Run) -> LaneNonce:
    """A lane that has paid from its key's first nonce on."""
    return next(row for row in run.lane_nonces if row.wallet == PAYOUT_LANES["aster"])


def _idle(run: Run) -> LaneNonce:
    """A key without a slot."""
    used = {slot.wallet for slot in run.slots}
    return next(row for row in run.lane_nonces if row.wallet not in used)


def _counted(of: Callable[[Run], LaneNonce], **changes: Any) -> Callable[[Run], Files]:
    """The chain's counts of one key changed."""
    return lambda run: {"lane_nonces": each(run.lane_nonces, lambda row: row == of(run), **changes)}


def _later(run: Run, *, before: int | None) -> Files:
    """The records of a lane begin three nonces later, of which the chain had ``before`` before."""
    lane = _paying(run)
    return {
        "slots": each(
            run.slots, lambda slot: slot.wallet == lane.wallet, nonce=lambda slot: slot.nonce + 3
        ),
        "lane_nonces": each(
            run.lane_nonces,
            lambda row: row == lane,
            nonce=lambda row: row.nonce + 3,
            nonce_before=before,
        ),
    }


def _moved(run: Run, **changes: Any) -> Files:
    """The last slot of a lane was signed with another key."""
    last = max(
        (slot for slot in run.slots if slot.wallet == _paying(run).wallet),
        key=lambda slot: slot.nonce,
    )
    return {"slots": each(run.slots, lambda slot: slot is last, **changes)}


SPOILED: dict[str, tuple[Callable[[Run], Files], Outcome, str]] = {
    "the records lack the first three nonces of a lane": (
        lambda run: _later(run, before=0),
        FAIL,
        "0 of them from before the drill, and the first nonce on record is 3",
    ),
    "they lack one of the drill, and others are older": (
        lambda run: _later(run, before=2),
        FAIL,
        "2 of them from before the drill, and the first nonce on record is 3",
    ),
    "nobody counted before the drill": (
        lambda run: _later(run, before=None),
        UNKNOWN,
        "does not say how many there were before the drill",
    ),
    "the key was used before the venue was founded": (
        lambda run: _later(run, before=3),
        PASS,
        "without a gap",
    ),
    "nobody counted before the drill, and the first nonce is on record": (
        _counted(_paying, nonce_before=None),
        PASS,
        "without a gap",
    ),
    "a key without a slot has sent a transaction": (
        _counted(_idle, nonce=lambda row: row.nonce + 1),
        FAIL,
        "and no nonce is on record",
    ),
    "one without a slot was not counted before": (
        _counted(_idle, nonce_before=None),
        UNKNOWN,
        "does not say how many there were before the drill",
    ),
    "the chain counts less after the drill than before": (
        _counted(_idle, nonce_before=lambda row: row.nonce + 1),
        UNKNOWN,
        "transactions before the drill, and",
    ),
    "one without a slot was not asked for": (
        lambda run: {"lane_nonces": without(run.lane_nonces, lambda row: row == _idle(run))},
        UNKNOWN,
        "does not say how many transactions",
    ),
    "one was counted twice": (
        lambda run: {
            "lane_nonces": (replace(_paying(run), nonce=_paying(run).nonce + 1), *run.lane_nonces)
        },
        UNKNOWN,
        "has more than one count",
    ),
    "the records lack all slots of a lane": (
        lambda run: {"slots": without(run.slots, lambda slot: slot.wallet == _paying(run).wallet)},
        FAIL,
        "and no nonce is on record",
    ),
    "one slot of a lane was signed from another address": (
        lambda run: _moved(run, address="0x" + "ab" * 20),
        FAIL,
        "signed from 0xabab",
    ),
    "one slot of a lane is of another chain": (
        lambda run: _moved(run, chain_id=999),
        FAIL,
        "on chain 999",
    ),
}


BETWEEN: dict[str, tuple[Callable[[Run], Files], Outcome, str]] = {
    "an idle key sent nothing": (
        _counted(_idle, nonce_earlier=lambda row: row.nonce),
        PASS,
        "without a gap",
    ),
    "an idle key sent a transaction": (
        _counted(
            _idle,
            nonce_earlier=lambda row: row.nonce,
            nonce_before=lambda row: row.nonce + 1,
            nonce=lambda row: row.nonce + 1,
        ),
        UNKNOWN,
        "and 0 of those between are on record",
    ),
    "a lane sent what is on record": (
        _counted(
            _paying, nonce_earlier=lambda row: row.nonce - 5, nonce_before=lambda row: row.nonce - 2
        ),
        PASS,
        "without a gap",
    ),
    "a lane's records begin after it": (
        lambda run: {
            **_later(run, before=3),
            "lane_nonces": each(
                _later(run, before=3)["lane_nonces"],
                lambda row: row.wallet == PAYOUT_LANES["aster"],
                nonce_earlier=1,
            ),
        },
        UNKNOWN,
        "counted 1 transactions after the drill before and 3 when this one began, and 0 of those",
    ),
    "the chain counted more after the drill before": (
        _counted(_idle, nonce_earlier=lambda row: row.nonce + 1),
        UNKNOWN,
        "transactions after the drill before, and",
    ),
}
"""What a key sent between two drills of a game day."""


@pytest.mark.parametrize("what", BETWEEN)
def test_what_a_key_sent_between_two_drills_of_a_day_is_on_record(
    what: str, altered: Alter, good_run: Run
) -> None:
    """The first of them did not see it, and the second counts it as of before."""
    spoil, outcome, said = BETWEEN[what]

    finding = ask(CHECK, Facts(altered(**spoil(good_run))))

    assert (finding.outcome, said in finding.reason) == (outcome, True), finding


@pytest.mark.parametrize("what", SPOILED)
def test_no_key_has_sent_what_the_records_do_not_know(
    what: str, altered: Alter, good_run: Run
) -> None:
    spoil, outcome, said = SPOILED[what]

    finding = ask(CHECK, Facts(altered(**spoil(good_run))))

    assert (finding.outcome, said in finding.reason) == (outcome, True), finding


def test_a_key_on_a_network_that_nobody_reads_is_not_asked_for(
    altered: Alter, good_run: Run
) -> None:
    """The policy names more networks than the deployment."""
    idle = _idle(good_run)
    keys = {
        name
        for name, wallet in good_run.policy.signing_wallets().items()
        if wallet.network == idle.network
    }
    files: Files = {
        "slots": without(good_run.slots, lambda slot: slot.wallet in keys),
        "lane_nonces": without(good_run.lane_nonces, lambda row: row.wallet in keys),
    }
    chains = tuple(name for name in good_run.policy.networks if name != idle.network)
    manifest = good_run.manifest.model_copy(update={"chains": chains})

    assert ask(CHECK, Facts(altered(**files))).outcome is UNKNOWN
    assert ask(CHECK, Facts(altered(**files, manifest=manifest))).outcome is PASS


def _uncounted(run: Run) -> Files:
    """Payouts on birch are seen as transfers of an address, so that its keys are not counted."""
    manifest = run.manifest.model_copy(update={"counted": ("aster",)})
    return {
        "manifest": manifest,
        "lane_nonces": without(run.lane_nonces, lambda row: row.network == "birch"),
    }


def test_keys_that_cannot_be_counted_are_named_and_the_others_judged(
    altered: Alter, good_run: Run
) -> None:
    finding = ask(CHECK, Facts(altered(**_uncounted(good_run))))

    assert finding.outcome is PASS
    assert finding.reason.endswith(", on aster; on birch nobody counts what a key has sent")
    assert "birch" not in ask(CHECK, Facts(good_run)).reason


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda run: {
                "slots": without(
                    run.slots,
                    lambda slot: (
                        slot.wallet == PAYOUT_LANES["birch"]
                        and slot.nonce
                        == min(each.nonce for each in run.slots if each.wallet == slot.wallet) + 1
                    ),
                )
            },
            "customer-birch-hot: nonce",
        ),
        (_counted(_idle, nonce=lambda row: row.nonce + 1), "no nonce is on record"),
    ],
)
def test_what_the_records_alone_show_is_wrong_without_a_count(
    spoil: Callable[[Run], Files], said: str, altered: Alter, good_run: Run
) -> None:
    """A gap on a network without counts, and a key of another network."""
    files = _uncounted(good_run)
    run = altered(**files)

    finding = ask(CHECK, Facts(altered(**{**files, **spoil(run)})))

    assert (finding.outcome, said in finding.reason) == (FAIL, True), finding


@pytest.mark.parametrize(("network", "outcome"), [("aster", UNKNOWN), ("birch", PASS)])
def test_a_wallet_that_the_policy_does_not_know_is_where_its_slots_say(
    network: str, outcome: Outcome, altered: Alter, good_run: Run
) -> None:
    strange = replace(
        good_run.slots[0], wallet="somebody", network=network, address="0x" + "ab" * 20
    )

    run = altered(**_uncounted(good_run), slots=(*good_run.slots, strange))

    assert ask(CHECK, Facts(run)).outcome is outcome
