"""`seawall reconcile` of the reference venue, on a real database and real chains, while it pays."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from seawall.ethereum.keys import keccak256, sign_locally
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.deployment import load_deployment
from seawall.reconciliation.contradictions import COMPARISONS
from seawall.reconciliation.payouts import Stage
from seawall.reconciliation.result import Reconciliation
from seawall.reconciliation.run import reconcile
from seawall.scorecard.outcome import Outcome
from tests.integration.test_approvals import desk_of
from tests.testing.anvil import mined
from tests.testing.deployments import write_deployment
from tests.testing.settler_harness import STRANGER, Venue, Wanted, until_final, venue_bench
from venue.chain.transaction import Intent, encode_signed, fees, signing_hash, transaction_hash
from venue.contracts.calls import Item, pay

pytestmark = pytest.mark.integration

HOT, RESERVE = "customer-aster-hot", "customer-aster-reserve"
USDX, AST = 10**6, 10**18
CLOSED = "0x" + "de" * 20
"""A contract that takes no coins."""
_AVAILABLE = """
    update balances b set available = sums.owed
    from (select account_id, -sum(amount) as owed from entries group by account_id) sums
    where b.account_id = sums.account_id and b.available <> sums.owed"""
_TOP_UP = """
    insert into topups (id, network, asset, from_wallet, to_wallet, amount, state, justification)
    values (gen_random_uuid(), 'aster', 'USDX', $1, $2, 420000000000, 'requested', 'test')"""


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """A venue with settlers on both networks."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        for network in bench.config.networks:
            await bench.settler(network)
        yield bench


async def reconciled(venue: Venue, folder: Path) -> Reconciliation:
    """As the command does, by the deployment file that a sandbox would write."""
    auditor, sign_log = folder / "auditor-url", folder / "sign-log-url"
    auditor.write_text(venue.database.auditor, encoding="utf-8")
    sign_log.write_text(venue.database.sign_log.auditor, encoding="utf-8")
    keys = venue.config.signers[venue.policy.regions.primary].keys
    networks = {
        name: {
            "chain_id": site.chain_id,
            "node": site.rpc.primary,
            "payouts": {
                "contracts": dict(site.payout_contracts),
                "wallets": {
                    wallet: venue.config.holder_of(venue.policy, wallet)
                    for wallet, declared in venue.policy.wallets.items()
                    if declared.network == name
                },
                "tokens": dict(site.tokens),
                "carrier": site.carrier,
                "signers": {
                    wallet: keys[wallet].address
                    for wallet, declared in venue.policy.signing_wallets().items()
                    if declared.network == name
                },
            },
        }
        for name, site in venue.config.networks.items()
    }
    records = {
        "records": "adapters.reference_venue",
        "settings": {"auditor_url_file": str(auditor), "sign_log_url_file": str(sign_log)},
    }
    deployment = load_deployment(write_deployment(folder, networks=networks, venue=records))
    return await asyncio.to_thread(reconcile, deployment, venue.policy, report=print)


def stages(found: Reconciliation) -> Counter[Stage]:
    """Withdrawals by how far they have come, over both networks."""
    counted: Counter[Stage] = Counter()
    for each in found.stages.values():
        counted.update({stage: total.count for stage, total in each.items()})
    return counted


def names(found: Reconciliation) -> set[str]:
    """The contradictions by name."""
    return {each.name for each in found.contradictions.each}


async def reserve(venue: Venue, wanted: Sequence[Wanted]) -> None:
    """Accept withdrawals, and lower what their customer may still spend, as intake does at once."""
    async with venue.owner.transaction():
        await venue.reserve(wanted)
        await venue.owner.execute(_AVAILABLE)


async def call(venue: Venue, method: str, *params: object) -> None:
    """A call of aster's node."""
    async with AsyncRpcClient("aster", (venue.config.networks["aster"].rpc.primary,)) as rpc:
        await rpc.call(method, *params)


async def test_everything_is_explained_while_payouts_and_a_top_up_go_on(
    venue: Venue, tmp_path: Path
) -> None:
    """At each of several moments, to the base unit; in the end it says what waits and why."""
    await call(venue, "anvil_setCode", CLOSED, "0x60006000fd")
    await venue.owner.execute(_TOP_UP, RESERVE, HOT)
    refused = Wanted(network="aster", asset="AST", amount=AST // 100, destination=CLOSED)
    for turn in range(4):
        await reserve(
            venue,
            [
                *[Wanted(network="aster", asset="USDX", amount=USDX)] * 150,
                *[Wanted(network="birch", asset="BIR", amount=AST // 1_000)] * 150,
                *([refused] if turn == 0 else []),
            ],
        )
        found = await reconciled(venue, tmp_path)
        assert found.contradictions.each == []
        assert [each.text for each in found.doubts.each] == []
        assert found.outcome is Outcome.PASS
    await venue.all_posted()
    await venue.until("select not exists (select 1 from topups where state <> 'posted')")
    assert [await venue.stop(process) for process in venue.settlers] == [0, 0]
    await reserve(venue, [Wanted(network="aster", asset="USDX", amount=USDX)] * 7)

    found = await reconciled(venue, tmp_path)

    assert (found.contradictions.each, found.doubts.each) == ([], [])
    seen = stages(found)
    assert seen[Stage.FINAL] + seen[Stage.FINAL_LATER] == 1_200
    assert (seen[Stage.HELD], seen[Stage.RESERVED], seen.total()) == (1, 7, 1_208)
    proven = {each.name for each in found.comparisons if each.outcome is Outcome.PASS}
    assert proven == COMPARISONS.keys() - {"approvals"}  # nobody has asked for any
    [held] = [each for each in found.notices.each if each.name == "held"]
    assert held.ids.keys() == {"withdrawal", "seq", "slot", "tx_hash", "block"}


@pytest.mark.nightly  # `make test` has records that were changed
async def test_what_approvers_have_moved_is_explained_and_nothing_without_its_record(
    venue: Venue, tmp_path: Path
) -> None:
    """By approval, slot, transaction and block. Then its record is changed, and at last gone."""
    await reserve(venue, [Wanted(network="aster", asset="USDX", amount=USDX)] * 2)
    async with desk_of(venue.owner, venue.database, venue.policy, venue.config) as desk:
        asked = await desk.request()
        for role in ("treasury-lead", "wallet-ops-lead"):
            await desk.sign(asked["approval"], "approve", by=role)
        await venue.until("select executed from approval_standing")
        await desk.request(kind="transfer")
    await venue.all_posted()
    assert [await venue.stop(process) for process in venue.settlers] == [0, 0]

    found = await reconciled(venue, tmp_path)
    assert (found.contradictions.each, found.outcome) == ([], Outcome.PASS)
    counted = {stage: total.count for stage, total in found.approvals["aster", "AST"].items()}
    assert counted == {"final": 1, "open": 1}

    past_all_triggers = "set session_replication_role = replica"
    await venue.owner.execute(
        f"{past_all_triggers}; update approval_requests set to_address = '{STRANGER}'"
    )
    found = await reconciled(venue, tmp_path)
    assert names(found) == {"approval-differs"}
    [wrong] = found.contradictions.each
    assert wrong.ids.keys() == {"approval", "slot", "wallet", "nonce", "tx_hash", "block"}
    await venue.owner.execute("delete from approval_requests")
    found = await reconciled(venue, tmp_path)
    assert names(found) >= {"executed-without-approval", "postings-differ"}
    assert found.outcome is Outcome.FAIL


async def test_what_leaves_or_comes_past_the_venue_is_named(venue: Venue, tmp_path: Path) -> None:
    """A stolen key pays itself, and a stranger sends a base unit."""
    await reserve(venue, [Wanted(network="aster", asset="USDX", amount=USDX)] * 5)
    await venue.all_posted()
    assert [await venue.stop(process) for process in venue.settlers] == [0, 0]
    assert (await reconciled(venue, tmp_path)).outcome is Outcome.PASS

    site = venue.config.networks["aster"]
    key = venue.config.signers[venue.policy.regions.primary].keys[HOT].address
    stolen = Item(seq=999_999, id=uuid.uuid4(), to=STRANGER, token=site.tokens["USDX"], amount=3)
    theft = pay([stolen])
    await call(venue, "anvil_impersonateAccount", key)
    transaction = {"from": key, "to": site.payout_contracts[HOT], "data": "0x" + theft.hex()}
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await mined(rpc, {**transaction, "gas": hex(1_000_000)})
    await venue.send("aster", "AST", 1, to=RESERVE)
    await until_final(site.rpc.primary)
    found = await reconciled(venue, tmp_path)

    assert names(found) == {
        "paid-without-withdrawal",
        "paid-without-slot",
        "nonce-without-slot",
        "surplus",
    }
    by_name = {each.name: each for each in found.contradictions.each}
    assert by_name["paid-without-withdrawal"].amount == 3
    assert (by_name["surplus"].ids["wallet"], by_name["surplus"].amount) == (RESERVE, 1)
    assert found.outcome is Outcome.FAIL


async def _signed_instead(venue: Venue) -> str:
    """Log another payment as a dearer form of the first one of the hot wallet; its hash.

    The log has no digest for it, and the bytes are those of what the key did sign.
    """
    [first] = await venue.owner.fetch(
        "select chain_id, address, nonce, to_address from slots where purpose = 'payout' limit 1"
    )
    other = Intent(
        chain_id=first["chain_id"],
        sender=first["address"],
        nonce=first["nonce"],
        to=first["to_address"],
        value=0,
        data=pay([Item(seq=9, id=uuid.uuid4(), to=STRANGER, token=STRANGER, amount=7)]),
    )
    dear = fees(base_fee_wei=10**11, gas_limit=1_000_000)
    by_key = sign_locally(signing_hash(other, dear), secret=keccak256(HOT.encode()))
    raw = encode_signed(other, dear, by_key)
    await venue.sign_log.execute(
        """insert into sign_log_replacements (chain_id, address, nonce, max_fee_wei,
               priority_fee_wei, region, raw, tx_hash, signed_by, signed_at)
           select chain_id, address, nonce, $4, $5, region, $6, $7, region, clock_timestamp()
           from sign_log where (chain_id, address, nonce) = ($1, $2, $3)""",
        *(other.chain_id, other.sender, other.nonce, dear.max_fee_wei, dear.priority_fee_wei),
        *(raw, transaction_hash(raw)),
    )
    return transaction_hash(raw)


async def test_records_that_were_changed_are_named(venue: Venue, tmp_path: Path) -> None:
    """One fact after another is changed, as only the owner of the database could, and back."""
    await reserve(venue, [Wanted(network="aster", asset="USDX", amount=USDX)] * 5)
    await venue.all_posted()
    assert [await venue.stop(process) for process in venue.settlers] == [0, 0]
    first = await venue.owner.fetchrow("select * from withdrawals order by seq limit 1")
    assert first is not None
    for column, value, expected in (
        ("destination", STRANGER, {"paid-elsewhere"}),
        ("amount", USDX + 1, {"paid-other-amount", "postings-differ", "deficit"}),
        ("asset", "AST", {"paid-other-asset", "postings-differ", "deficit", "surplus"}),
    ):
        statement = f"update withdrawals set {column} = $1 where id = $2"
        await venue.owner.execute(statement, value, first["id"])
        found = await reconciled(venue, tmp_path)
        assert (column, names(found)) == (column, expected)
        assert found.outcome is Outcome.FAIL
        await venue.owner.execute(statement, first[column], first["id"])
    stolen = await _signed_instead(venue)
    found = await reconciled(venue, tmp_path)
    assert names(found) == {"signed-something-else"}
    assert [each.ids["tx_hash"] for each in found.contradictions.each] == [stolen]
    past_all_triggers = "set session_replication_role = replica"
    await venue.sign_log.execute(
        f"{past_all_triggers}; delete from sign_log_replacements; delete from sign_log"
    )
    assert names(await reconciled(venue, tmp_path)) == {"signed-past-the-signer"}
