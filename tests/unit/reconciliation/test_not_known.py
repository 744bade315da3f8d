"""What a reconciliation could not see is said, and never passes for explained."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seawall.conventions.evidence import Port
from seawall.errors import UsageError
from seawall.reconciliation import result
from seawall.reconciliation.contradictions import COMPARISONS, Comparison
from seawall.reconciliation.payouts import Stage
from seawall.reconciliation.result import Reconciliation
from seawall.scorecard.outcome import Outcome
from tests.testing.reconciled_venue import (
    HOT,
    NETWORK,
    PINNED,
    QUIET,
    STRANGER,
    UNTIL,
    ReconciledVenue,
    approval_id,
    destination,
    reconciled_venue,
    tx_hash,
    withdrawal_id,
)

Reconciling = Callable[..., Reconciliation]
OF_THE_NETWORK = {"payouts", "slots", "nonces", "top_ups", "approvals", "holdings"}


def outcomes(found: Reconciliation) -> dict[Comparison, Outcome | None]:
    """What became of each comparison."""
    return {each.name: each.outcome for each in found.comparisons}


def test_a_network_that_does_not_answer_leaves_its_statements_open(
    reconciling: Reconciling,
) -> None:
    """What needs no network is still judged, and the node's address stays where it is."""
    venue = reconciled_venue()
    venue.dark = True
    found = reconciling(venue)

    assert outcomes(found) == {
        name: Outcome.UNKNOWN if name in OF_THE_NETWORK else Outcome.PASS for name in COMPARISONS
    }
    assert found.outcome is Outcome.UNKNOWN
    assert found.contradictions.count == 0
    assert found.stages[NETWORK, "AST"][Stage.NOT_SEEN].count == 2
    assert all("127.0.0.1" not in each.text for each in found.doubts.each)
    assert "11 withdrawals of it were not compared" in found.doubts.each[0].text


def test_what_the_ledger_alone_contradicts_is_found_in_the_dark(reconciling: Reconciling) -> None:
    """FAIL beats UNKNOWN."""
    venue = reconciled_venue()
    venue.dark = True
    venue.ledger_faults["balance_mismatches"] = 1
    assert reconciling(venue).outcome is Outcome.FAIL


def test_a_payment_is_waited_for_until_its_block_is_final(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    venue.finalized = [PINNED, PINNED, PINNED, UNTIL]
    assert reconciling(venue).outcome is Outcome.PASS


def test_what_is_not_final_in_time_is_not_known(reconciling: Reconciling) -> None:
    """The venue says that it was paid in block 12, and only block 10 is final."""
    venue = reconciled_venue()
    venue.finalized = [PINNED]
    venue.one("slots", id=3)["block_number"] = ""
    found = reconciling(venue)

    assert outcomes(found)["payouts"] is Outcome.UNKNOWN
    [doubt] = found.doubts.each
    assert doubt.text == (
        f"withdrawal {withdrawal_id(6)} (seq 6) is posted: what is newer than block 10 of aster is"
        " not final"
    )


def test_a_node_that_is_behind_the_venues_proves_nothing_against_it(
    reconciling: Reconciling,
) -> None:
    venue = reconciled_venue()
    venue.logs[:] = [log for log in venue.logs if log["blockNumber"] != hex(12)]
    venue.one("slots", id=3)["block_number"] = 15
    found = reconciling(venue)

    assert found.contradictions.count == 0
    assert [each.text for each in found.doubts.each] == [
        f"withdrawal {withdrawal_id(6)} (seq 6) is posted: in block 15, and aster was read until 13"
    ]


def test_a_node_that_refuses_many_blocks_at_once_is_asked_for_fewer(
    reconciling: Reconciling,
) -> None:
    """Every block is read once, whatever the node allows."""
    venue = reconciled_venue()
    venue.span_max = 3
    assert reconciling(venue).outcome is Outcome.PASS
    read = [number for first, last in venue.spans for number in range(first, last + 1)]
    assert read == list(range(UNTIL + 1))


def test_a_node_that_takes_too_long_is_asked_for_fewer(reconciling: Reconciling) -> None:
    """A busy network's events of 1,000 blocks may be more than a node finds in time."""
    venue = reconciled_venue()
    venue.span_max, venue.slow = 3, True
    assert reconciling(venue).outcome is Outcome.PASS


def test_a_node_that_refuses_a_single_block_is_dark(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    venue.span_max = 0
    assert outcomes(reconciling(venue))["payouts"] is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda venue: setattr(venue, "forked", True), "the node contradicts itself"),
        (lambda venue: setattr(venue, "chain_id", 5), "one of the chain 5"),
        (lambda venue: venue.logs[0].update(removed=True), "what no node can say"),
        (lambda venue: venue.logs[0].update(topics=venue.logs[0]["topics"][:2]), "no node can say"),
        (lambda venue: venue.transactions[tx_hash(1)].update(hash="0x1"), "no node can say"),
    ],
)
def test_a_node_that_says_what_cannot_be_is_believed_in_nothing(
    spoil: Callable[[ReconciledVenue], Any], complaint: str, reconciling: Reconciling
) -> None:
    venue = reconciled_venue()
    spoil(venue)
    found = reconciling(venue)

    assert outcomes(found)["holdings"] is Outcome.UNKNOWN
    assert found.contradictions.count == 0
    assert complaint in found.doubts.each[0].text


def test_a_payment_after_the_records_were_read_is_left_to_the_next_time(
    reconciling: Reconciling,
) -> None:
    """Its withdrawal may be newer than the records are."""
    venue = reconciled_venue()
    venue.paid(500, 5, block=12, slot=3)
    found = reconciling(venue)

    assert found.outcome is Outcome.PASS
    [newer] = [each for each in found.notices.each if each.name == "newer"]
    assert newer.text == "1 payment on aster is too new to be judged"


def test_an_approval_in_a_block_that_was_not_read_is_in_doubt(reconciling: Reconciling) -> None:
    """It is executed by the records, and newer than what the node has."""
    venue = reconciled_venue()
    venue.one("slots", id=33).update(state="final", block_number=UNTIL + 1)
    venue.one("approvals", id=approval_id(3))["state"] = "executed"
    venue.posting("transfer", "reserve", -60)
    venue.entry("treasury", "transfer", "hot", "AST", 60)
    venue.newest = UNTIL + 1
    found = reconciling(venue)
    assert found.contradictions.each == []
    assert outcomes(found)["approvals"] is Outcome.UNKNOWN


def test_an_act_of_a_reserve_after_the_records_were_read_is_left_to_the_next_time(
    reconciling: Reconciling,
) -> None:
    """On its way by the records, or not even asked for yet."""
    venue = reconciled_venue()
    venue.executed(3, 60, block=12, slot=33)
    venue.executed(9, 5, block=12, slot=33)
    found = reconciling(venue)
    assert found.outcome is Outcome.PASS
    assert [each.name for each in found.notices.each].count("newer") == 1


def test_an_approval_that_is_final_and_not_posted_yet_is_explained(
    reconciling: Reconciling,
) -> None:
    """Neither wallet has a difference."""
    venue = reconciled_venue()
    venue.one("slots", id=33).update(state="included", block_number=9)
    venue.executed(3, 60, block=9, slot=33)
    found = reconciling(venue)
    assert found.contradictions.each == []
    assert found.approvals[NETWORK, "AST"]["not_posted"].amount == 60


def test_money_from_outside_that_was_booked_in_a_later_block_is_explained(
    reconciling: Reconciling,
) -> None:
    """Whether it had come by the pinned block or not."""
    venue = reconciled_venue()
    for amount, came in ((5, True), (9, False)):
        venue.surpluses.append(
            {"wallet": HOT, "asset": "AST", "amount": amount, "block_number": 12}
        )
        venue.posting("surplus", "hot", amount)
        venue.posting("surplus", "unidentified", -amount)
        venue.balances[HOT, "AST"] += amount if came else 0
    found = reconciling(venue)

    assert found.contradictions.each == []
    [line] = [each for each in found.assets if each.asset == "AST"]
    assert (line.surpluses, line.difference) == (75, 0)


# --- what the venue does not offer


@pytest.mark.parametrize(
    ("without", "unclaimed"),
    [
        ("ledger", {"holdings", "reservations", "postings", "ledger"}),
        ("top_ups", {"top_ups", "approvals", "holdings", "postings"}),
        ("surpluses", {"postings"}),
        (
            "signatures",
            {"slots", "signatures", "nonces", "top_ups", "approvals", "holdings", "postings"},
        ),
    ],
)
def test_what_is_not_offered_is_not_claimed(
    without: Port, unclaimed: set[Comparison], reconciling: Reconciling
) -> None:
    venue = reconciled_venue()
    evidence = venue.evidence()
    del evidence[without]
    found = reconciling(venue, evidence=evidence)

    assert {each.name for each in found.comparisons if not each.claimed} == unclaimed
    assert found.outcome is Outcome.PASS
    [reason] = {
        each.reason
        for each in found.comparisons
        if each.name in unclaimed and without in each.reason
    }
    assert reason == f"needs {without}"
    assert {each.difference for each in found.assets} <= {0}


def test_without_withdrawals_or_payments_nothing_is_explained(reconciling: Reconciling) -> None:
    """All that the ledger says of itself may hold; what was paid is still not known."""
    venue = reconciled_venue()
    evidence = venue.evidence()
    del evidence["withdrawals"]
    found = reconciling(venue, evidence=evidence)

    assert outcomes(found)["ledger"] is Outcome.PASS
    assert found.outcome is Outcome.UNKNOWN


def test_a_ledger_that_does_not_say_how_it_came_about_claims_no_opening(
    reconciling: Reconciling,
) -> None:
    """Wallets are still held against it."""
    venue = reconciled_venue()
    found = reconciling(venue, spoil=lambda files: (files / "ledger_by_posting.csv").unlink())

    assert {each.name for each in found.comparisons if not each.claimed} == {"postings"}
    assert found.outcome is Outcome.PASS
    assert {each.opening for each in found.assets} == {None}
    assert {each.difference for each in found.assets} == {0}


@pytest.mark.parametrize(
    "name", ["withdrawals", "slots", "sign_log", "topups", "approvals", "ledger"]
)
def test_a_source_that_is_cut_off_is_missing_and_not_half_believed(
    name: str, reconciling: Reconciling
) -> None:
    venue = reconciled_venue()

    def cut(files: Path) -> None:
        path = files / f"{name}.csv"
        path.write_text(path.read_text(encoding="utf-8")[:-5], encoding="utf-8")

    found = reconciling(venue, spoil=cut)

    assert found.contradictions.count == 0
    assert found.outcome is Outcome.UNKNOWN
    assert any(f"{name}.csv is truncated" in each.reason for each in found.comparisons)


def test_a_state_that_no_withdrawal_can_have_is_not_explained_away(
    reconciling: Reconciling,
) -> None:
    venue = reconciled_venue()
    venue.one("withdrawals", seq=10)["state"] = "sent"
    found = reconciling(venue)
    assert found.outcome is Outcome.UNKNOWN
    assert any(
        f"{withdrawal_id(10)} is on record as 'sent'" in each.reason for each in found.comparisons
    )


def test_a_wallet_that_the_policy_does_not_know_is_named(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    venue.surpluses[0]["wallet"] = "nobodys"
    found = reconciling(venue)
    assert outcomes(found)["postings"] is Outcome.UNKNOWN
    assert outcomes(found)["holdings"] is Outcome.UNKNOWN


def test_a_withdrawal_of_a_network_that_nobody_reads_was_not_compared(
    reconciling: Reconciling,
) -> None:
    venue = reconciled_venue()
    venue.one("withdrawals", seq=11)["network"] = "cedar"
    found = reconciling(venue)
    assert outcomes(found)["payouts"] is Outcome.UNKNOWN
    assert any("cedar was not read, 1 withdrawals" in each.text for each in found.doubts.each)


def test_a_network_of_the_policy_that_nobody_reads_is_not_passed_over(
    reconciling: Reconciling,
) -> None:
    """Its wallets may hold nothing, and its keys may have sent anything."""
    venue = reconciled_venue()
    networks = venue.networks()
    del networks[QUIET]
    found = reconciling(venue, networks=networks)

    assert found.contradictions.count == 0
    assert outcomes(found) == {
        name: Outcome.UNKNOWN if name in OF_THE_NETWORK else Outcome.PASS for name in COMPARISONS
    }
    assert all(f"{QUIET} was not read" in each.text for each in found.doubts.each)


def test_money_of_the_ledger_on_a_network_that_nobody_knows_is_not_passed_over(
    reconciling: Reconciling,
) -> None:
    venue = reconciled_venue()
    venue.entry("customer", "fund", "cold", "CED", 10**24, network="cedar")
    venue.entry("customer", "fund", "customer", "CED", -(10**24), network="cedar")
    found = reconciling(venue)
    assert found.contradictions.count == 0
    assert outcomes(found)["holdings"] is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("network", "part", "left_out", "unknown"),
    [
        (NETWORK, "signers", "treasury-aster-hot", {"nonces"}),
        (NETWORK, "wallets", "customer-aster-cold", {"holdings"}),
        (QUIET, "tokens", "USDX", {"holdings"}),
        (QUIET, "wallets", "customer-birch-reserve", {"holdings", "top_ups", "approvals"}),
        (QUIET, "contracts", "customer-birch-hot", {"payouts", "slots"}),
    ],
)
def test_what_the_deployment_file_leaves_out_was_not_read(
    network: str, part: str, left_out: str, unknown: set[Comparison], reconciling: Reconciling
) -> None:
    """It is not called nothing: neither a deficit, nor proven."""
    venue = reconciled_venue()
    networks = venue.networks()
    del networks[network]["payouts"][part][left_out]
    found = reconciling(venue, networks=networks)

    assert found.contradictions.each == []
    assert {name for name, each in outcomes(found).items() if each is Outcome.UNKNOWN} == unknown
    assert {each.comparison for each in found.doubts.each} == unknown
    assert all(network in each.text for each in found.doubts.each)
    assert {each.difference for each in found.assets} == {0}


# --- a statement instead of a chain

PAID_AT, WRITTEN_AT = 1_700_000_000.5, 1_700_000_100.0


def _statement(
    reconciling: Reconciling,
    spoil: Callable[[list[str]], object] | None = None,
    *,
    written_at: float = WRITTEN_AT,
    records_at: float | None = None,
    **source: Any,
) -> Reconciliation:
    """The same venue, whose payments are lines of a statement without numbers.

    ``records_at`` is when its records were written, long afterwards if it is None.
    """
    venue = reconciled_venue()
    lines = [
        f"{NETWORK},,{destination(number)},,{asset},{amount},line-{number},,{PAID_AT},"
        for number, amount, asset in ((1, 1_001, "AST"), (2, 2_002, "USDX"), (6, 6_006, "AST"))
    ]
    if spoil is not None:
        spoil(lines)

    def write(files: Path) -> None:
        header = "network,seq,to,token,asset,amount,tx_hash,block_number,block_timestamp,x"
        (files / "bank").mkdir()
        for path in (files / "statement.csv", files / "bank" / "payouts.csv"):
            path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
            os.utime(path, (written_at, written_at))
        if records_at is not None:
            os.utime(files / "withdrawals.csv", (records_at, records_at))

    evidence = venue.evidence()
    return reconciling(
        venue,
        spoil=write,
        networks={},
        evidence={
            "withdrawals": evidence["withdrawals"],
            "payouts": {"file": "files/statement.csv"} | source,
        },
    )


def test_a_statement_is_compared_by_destination_and_amount(reconciling: Reconciling) -> None:
    found = _statement(reconciling)
    assert found.contradictions.each == []
    assert outcomes(found)["payouts"] is Outcome.PASS
    assert {each.name for each in found.comparisons if each.claimed} == {"payouts"}
    assert found.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda lines: lines.append(lines[0]), {"paid-twice"}),
        (lambda lines: lines.pop(0), {"posted-without-payment"}),
        (
            lambda lines: lines.__setitem__(0, lines[0].replace(destination(1), STRANGER)),
            {"posted-without-payment", "paid-without-withdrawal"},
        ),
    ],
)
def test_a_line_too_many_or_too_few_is_found(
    spoil: Callable[[list[str]], object], expected: set[str], reconciling: Reconciling
) -> None:
    found = _statement(reconciling, spoil)
    assert {each.name for each in found.contradictions.each} == expected


def test_what_a_statement_cannot_show_yet_is_not_known(reconciling: Reconciling) -> None:
    """It was written 100 s after the posting, and shows the last payments 200 s late."""
    found = _statement(reconciling, lambda lines: lines.pop(0), settles_s=200)
    assert found.contradictions.count == 0
    assert "the statement of payments ends before that" in found.doubts.each[0].text


LATER = "1700000050"


def _posted_later(lines: list[str]) -> None:
    """Only what was paid and posted earlier is on the statement: the first line is lacking."""
    lines[:] = [line.replace(str(PAID_AT), "1699999000") for line in lines[1:]]


def test_a_file_that_was_only_copied_later_goes_no_further_than_its_newest_line(
    reconciling: Reconciling,
) -> None:
    """Its time of modification is that of the copy, and accuses nobody."""
    found = _statement(reconciling, _posted_later)
    assert found.contradictions.count == 0
    assert "the statement of payments ends before that" in found.doubts.each[0].text


def test_a_statement_that_says_how_far_it_goes_is_taken_at_its_word(
    reconciling: Reconciling,
) -> None:
    until = "2023-11-14T22:14:00Z"  # 40 s after the posting
    found = _statement(reconciling, _posted_later, until=until)
    assert {each.name for each in found.contradictions.each} == {"posted-without-payment"}


def test_of_a_folder_the_file_in_it_has_the_time(reconciling: Reconciling) -> None:
    """A folder is modified whenever anything comes into it or leaves it."""
    found = _statement(
        reconciling, lambda lines: lines.pop(0), written_at=PAID_AT - 100, file="files/bank"
    )
    assert found.contradictions.count == 0
    assert outcomes(found)["payouts"] is Outcome.UNKNOWN


def test_only_a_statement_of_payments_has_an_end(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    evidence = venue.evidence()
    evidence["ledger"]["until"] = "2023-11-14T22:15:00Z"
    with pytest.raises(UsageError, match="only a statement"):
        reconciling(venue, evidence=evidence)


@pytest.mark.parametrize(("records_at", "names"), [(40, set()), (60, {"paid-without-withdrawal"})])
def test_a_line_that_is_newer_than_the_records_is_nobodys_theft(
    records_at: int, names: set[str], reconciling: Reconciling
) -> None:
    """Its withdrawal may be, too; once the records are newer, they must know it."""
    found = _statement(
        reconciling,
        lambda lines: lines.append(
            lines[0].replace(destination(1), STRANGER).replace(str(PAID_AT), LATER)
        ),
        records_at=1_700_000_000 + records_at,
    )
    assert {each.name for each in found.contradictions.each} == names
    assert found.outcome is (Outcome.FAIL if names else Outcome.PASS)
    newer = [each.text for each in found.notices.each if each.name == "newer"]
    assert newer == ([] if names else ["1 payment on aster is too new to be judged"])


def test_a_statement_is_read_before_the_records(reconciling: Reconciling, tmp_path: Path) -> None:
    """A live venue goes on: what is on the statement by then must be on record already."""

    def printed(name: str) -> dict[str, Any]:
        return {"command": ["sh", "-c", f"echo {name} >> order; cat files/{name}.csv"]}

    def write(files: Path) -> None:
        header = "network,seq,to,token,asset,amount,tx_hash,block_number,block_timestamp"
        (files / "payouts.csv").write_text(f"{header}\n", encoding="utf-8")

    reconciling(
        reconciled_venue(),
        spoil=write,
        networks={},
        evidence={"withdrawals": printed("withdrawals"), "payouts": printed("payouts")},
    )
    assert (tmp_path / "order").read_text(encoding="utf-8").split() == ["payouts", "withdrawals"]


def test_a_statement_of_an_unknown_network_is_missing_from_its_first_line_on(
    reconciling: Reconciling,
) -> None:
    """Half a statement would accuse whoever is in the other half."""

    def spoil(lines: list[str]) -> None:
        lines.insert(0, lines[0].replace(destination(1), STRANGER))
        lines.append(lines[0].replace(NETWORK, "elm"))

    found = _statement(reconciling, spoil)
    assert outcomes(found)["payouts"] is Outcome.UNKNOWN
    assert found.contradictions.count == 0


# --- bounds


def test_what_is_not_kept_is_counted_and_still_counts(
    reconciling: Reconciling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of one contradiction must not hide another one."""
    monkeypatch.setattr(result, "KEPT_MAX", 1)
    venue = reconciled_venue()
    venue.paid(900, 5, block=9, slot=2)
    venue.paid(901, 5, block=9, slot=2)
    venue.ledger_faults["negative_balances"] = 1
    found = reconciling(venue)

    assert (len(found.contradictions.each), found.contradictions.count) == (1, 3)
    failed = {name for name, outcome in outcomes(found).items() if outcome is Outcome.FAIL}
    assert failed == {"payouts", "ledger"}


def test_a_deployment_file_that_makes_no_sense_is_a_usage_error(reconciling: Reconciling) -> None:
    with pytest.raises(UsageError, match="comes from the networks already"):
        reconciling(reconciled_venue(), evidence={"payouts": {"file": "p.csv"}})


def test_a_network_that_the_policy_lacks_is_a_usage_error(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    networks = venue.networks()
    networks["elm"] = networks.pop(QUIET)
    with pytest.raises(UsageError, match="names the network 'elm'"):
        reconciling(venue, networks=networks)


def test_waiting_has_an_end(reconciling: Reconciling, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as finality should take, twice."""
    waited: list[float] = []
    sleep = time.sleep

    def noted(seconds: float) -> None:
        waited.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    venue = reconciled_venue()
    venue.finalized = [PINNED]
    reconciling(venue)
    network = venue.policy.networks[NETWORK]
    bound = 2 * (network.finality_depth_blocks + 3) * network.block_time / 1_000
    assert bound <= sum(waited) < bound + 1
