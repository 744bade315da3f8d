"""The signing service: one digest per nonce for ever, stored bytes, no new one in an old epoch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from seawall.controls.sizing import Caps
from seawall.ethereum.keys import keccak256, recover_message_signer, sign_locally
from seawall.keys.proofs import proof_text
from seawall.policy_file import load_policy
from tests.testing.venue_harness import HANGS_AFTER_S, POLICY, Founded
from venue.chain.transaction import MAX_FEE_CEILING_WEI
from venue.contracts import approvals
from venue.contracts.approvals import Approval, Kind
from venue.contracts.calls import NATIVE, Item, cancel, pay
from venue.database import Connection, Pool, open_pool
from venue.signer.bulkhead import Bulkhead
from venue.signer.logs import ProofLog, SignLog, open_log_pool
from venue.signer.protocol import ProveRequest, SigningRefusedError, SignRequest
from venue.signer.service import GAS_LIMIT_MAX, SignerMetrics, SigningService

pytestmark = pytest.mark.integration

WALLET = "customer-aster-hot"
CHAIN = 73311
SECRET = keccak256(b"a wallet")
CONTRACT = "0x" + "ab" * 20
CAPS = Caps(window_ms=60_000, transactions=3, amounts={"0x" + "0d" * 20: 10})


TOKEN = "0x" + "0d" * 20


def cancelling(seq: int) -> str:
    """A call that moves nothing."""
    return "0x" + cancel([(seq, UUID(int=seq))]).hex()


def paying(amount: int, *, seq: int = 1, token: str = TOKEN) -> str:
    """A call that moves ``amount``."""
    item = Item(seq=seq, id=UUID(int=seq), to="0x" + "ee" * 20, token=token, amount=amount)
    return "0x" + pay([item]).hex()


def request_for(address: str, /, **change: Any) -> SignRequest:
    """A request that the lane's first epoch allows."""
    values: dict[str, Any] = {
        "wallet": WALLET,
        "chain_id": CHAIN,
        "address": address,
        "nonce": 0,
        "epoch": 1,
        "to": CONTRACT,
        "value": "0",
        "data": cancelling(1),
        "gas_limit": 500_000,
        "max_fee_wei": "3000000000",
        "priority_fee_wei": "1000000000",
    }
    return SignRequest.model_validate(values | change)


async def open_slot(owner: Pool | Connection, request: SignRequest) -> None:
    """What the settler commits before it asks for the signature of ``request``."""
    await owner.execute(
        """insert into slots (chain_id, address, nonce, epoch, mode_epoch, admitted_epoch, purpose,
            to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei, digest, state)
           select $1, $2, $3, 1, m.epoch, m.epoch, 'payout', $4, $5, $6, $7, $8, $9, $10, 'open'
           from mode m""",
        request.chain_id,
        request.address,
        request.nonce,
        request.to,
        request.value,
        request.data,
        request.gas_limit,
        request.max_fee_wei,
        request.priority_fee_wei,
        request.intent.digest,
    )


@dataclass(kw_only=True)
class LateKeys:
    """A provider with a key at hand that lets something happen while it signs."""

    meanwhile: Callable[[], Awaitable[object]] | None = None
    asked: int = 0

    async def sign(self, wallet: str, digest: bytes) -> bytes:
        """DER, as KMS answers."""
        self.asked += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        signature = sign_locally(digest, secret=SECRET)
        return encode_dss_signature(signature.r, signature.s)


@dataclass(kw_only=True)
class Desk:
    """A signing service of each region over one log, and the lane that fences them.

    ``owner`` owns the venue's database, ``log`` is the signers' own, as its owner.
    """

    address: str
    owner: Pool
    log: Pool
    providers: dict[str, LateKeys]
    services: dict[str, SigningService] = field(default_factory=dict)

    async def raise_epoch(self) -> None:
        """As a failover does."""
        await self.owner.execute("update lanes set epoch = epoch + 1 where wallet = $1", WALLET)


@pytest.fixture
async def desk(founded: Founded) -> AsyncIterator[Desk]:
    """Two regions, one key at hand."""
    from seawall.ethereum.keys import address_of_private_key

    address = address_of_private_key(SECRET)
    owner, log = [
        await open_pool(url, name="owner", size=2)
        for url in (founded.database.owner, founded.database.sign_log.owner)
    ]
    await owner.execute("update lanes set address = $1 where wallet = $2", address, WALLET)
    await open_slot(owner, request_for(address))
    desk = Desk(
        address=address,
        owner=owner,
        log=log,
        providers={region: LateKeys() for region in ("one", "two")},
    )
    pools = []
    for region, provider in desk.providers.items():
        both = [
            await open_log_pool(url, name=region, size=3)
            for url in (founded.database.signer, founded.database.sign_log.signer)
        ]
        pools += both
        desk.services[region] = SigningService(
            region=region,
            log=SignLog(records=both[0], log=both[1], region=region, caps={WALLET: CAPS}),
            proofs=ProofLog(pool=both[0], region=region),
            provider=provider,
            bulkhead=Bulkhead.of_policy(load_policy(POLICY), [WALLET], operations_per_s=1_000),
            chains={WALLET: CHAIN},
            addresses={WALLET: address},
            contracts={WALLET: CONTRACT},
            recipients={},
            metrics=SignerMetrics(region=region),
        )
    yield desk
    for pool in (*pools, owner, log):
        await pool.close()


async def test_a_stored_signature_is_returned_for_ever(desk: Desk) -> None:
    """From another region, in a later epoch; no provider signs again."""
    first = await desk.services["one"].sign(request_for(desk.address))
    await desk.raise_epoch()
    again = await desk.services["two"].sign(request_for(desk.address, epoch=2))

    assert again == first
    assert first.region == "one"
    assert desk.providers["two"].asked == 0


DEARER = {"max_fee_wei": "9000000000", "priority_fee_wei": "2000000000"}


async def to_replace(owner: Pool, *, state: str = "broadcast") -> None:
    """What the settler commits before it asks for a transaction with the fees of ``DEARER``."""
    await owner.execute(
        """update slots set state = 'broadcast', raw = 'a', tx_hash = '0xa', signer_region = 'one'
           where state = 'open'"""
    )
    await owner.execute(
        """insert into replacements (slot_id, n, max_fee_wei, priority_fee_wei)
           select id, 1, 9000000000, 2000000000 from slots"""
    )
    if state != "broadcast":
        await owner.execute(
            "update slots set state = $1, block_number = 1, block_hash = '0xb'", state
        )


async def test_other_fees_are_signed_when_the_venue_wants_them_and_stored_as_well(
    desk: Desk,
) -> None:
    """Each signature of the nonce is returned for ever, to whoever asks for its fees."""
    first = await desk.services["one"].sign(request_for(desk.address))
    await to_replace(desk.owner)
    dearer = await desk.services["one"].sign(request_for(desk.address, **DEARER))
    await desk.raise_epoch()
    two = desk.services["two"]

    assert dearer.digest == first.digest
    assert dearer.raw != first.raw
    assert await two.sign(request_for(desk.address, epoch=2, **DEARER)) == dearer
    assert await two.sign(request_for(desk.address, epoch=2)) == first
    assert desk.providers["two"].asked == 0


async def test_a_replacement_is_signed_in_any_mode(desk: Desk) -> None:
    """It pays nothing that the first transaction of its nonce does not pay."""
    await desk.services["one"].sign(request_for(desk.address))
    await to_replace(desk.owner)
    await desk.owner.execute("update mode set epoch = epoch + 1, tier = 'protected'")
    await desk.services["one"].sign(request_for(desk.address, **DEARER))


@pytest.mark.parametrize("case", ["never wanted", "final", "other fees", "other intent"])
async def test_fees_that_the_venue_does_not_want_are_not_signed(desk: Desk, case: str) -> None:
    """Nor is another intent, whatever its fees."""
    service = desk.services["one"]
    await service.sign(request_for(desk.address))
    change: dict[str, Any] = dict(DEARER)
    if case != "never wanted":
        await to_replace(desk.owner, state="final" if case == "final" else "broadcast")
    if case == "other fees":
        change["max_fee_wei"] = "9000000001"
    if case == "other intent":
        change["data"] = cancelling(3)
    with pytest.raises(SigningRefusedError) as caught:
        await service.sign(request_for(desk.address, **change))
    assert caught.value.code == ("digest_conflict" if case == "other intent" else "no_slot")
    assert desk.providers["one"].asked == 1


async def test_a_second_digest_for_a_nonce_is_refused(desk: Desk) -> None:
    """Even before the first is signed, and even by the holder of the lane."""
    await desk.services["one"].log.record(request_for(desk.address))

    for region in ("one", "two"):
        with pytest.raises(SigningRefusedError) as caught:
            await desk.services[region].sign(request_for(desk.address, data=cancelling(7)))
        assert caught.value.code == "digest_conflict"
        assert desk.providers[region].asked == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"epoch": 0}, "stale_epoch"),
        ({"epoch": 2}, "stale_epoch"),
        ({"wallet": "customer-birch-hot"}, "bad_request"),
        ({"chain_id": 1}, "bad_request"),
        ({"address": "0x" + "01" * 20}, "bad_request"),
        ({"to": "0x" + "cd" * 20}, "bad_request"),
        ({"value": "1"}, "bad_request"),
        ({"gas_limit": GAS_LIMIT_MAX + 1}, "bad_request"),
        ({"max_fee_wei": str(MAX_FEE_CEILING_WEI + 1)}, "bad_request"),
        ({"priority_fee_wei": "3000000001"}, "bad_request"),
        ({"data": "0x07"}, "bad_request"),
        ({"data": cancelling(7)}, "no_slot"),
        ({"nonce": 1}, "no_slot"),
    ],
)
async def test_a_request_without_the_lane_is_refused(
    desk: Desk, change: dict[str, Any], code: str
) -> None:
    """Nothing is recorded for a request that may not be made."""
    with pytest.raises(SigningRefusedError) as caught:
        await desk.services["one"].sign(request_for(desk.address, **change))

    assert caught.value.code == code
    assert await desk.log.fetchval("select count(*) from sign_log") == 0


async def test_a_stranger_cannot_take_up_a_nonce_that_is_to_come(desk: Desk) -> None:
    """Junk for nonce 1 is refused and not in the way of what the venue then wants signed."""
    with pytest.raises(SigningRefusedError, match="no open slot"):
        await desk.services["one"].sign(request_for(desk.address, nonce=1, data=paying(1)))
    wanted = request_for(desk.address, nonce=1)
    await open_slot(desk.owner, wanted)
    assert (await desk.services["one"].sign(wanted)).region == "one"


async def test_a_slot_of_an_old_mode_is_not_signed_unless_it_may_be_out_already(desk: Desk) -> None:
    """A flip after the claim: look again first. After the digest was recorded: signed as it is."""
    flip = "update mode set epoch = epoch + 1"
    await desk.owner.execute(flip)
    with pytest.raises(SigningRefusedError) as caught:
        await desk.services["one"].sign(request_for(desk.address))
    assert caught.value.code == "stale_mode"
    assert await desk.log.fetchval("select count(*) from sign_log") == 0

    await desk.owner.execute("update slots set admitted_epoch = (select epoch from mode)")
    await desk.services["one"].log.record(request_for(desk.address))
    await desk.owner.execute(flip)
    assert (await desk.services["one"].sign(request_for(desk.address))).region == "one"


async def open_slots(desk: Desk, *data: str) -> list[SignRequest]:
    """Requests of the nonces from 1 on, each with its open slot."""
    requests = [request_for(desk.address, nonce=n, data=each) for n, each in enumerate(data, 1)]
    for request in requests:
        await open_slot(desk.owner, request)
    return requests


async def test_both_regions_count_together_what_leaves_a_wallet(desk: Desk) -> None:
    """What is above the cap leaves no trace, can be replayed in vain, and is signed later.

    So its nonce is not used up, and nobody behind it waits for ever.
    """
    first, second, third = await open_slots(desk, paying(6), paying(5, seq=2), paying(4, seq=3))
    await desk.services["one"].sign(first)
    for region in ("two", "one", "two"):
        with pytest.raises(SigningRefusedError, match="would have 11 base units") as caught:
            await desk.services[region].sign(second)
        assert caught.value.code == "over_cap"
    assert await desk.log.fetchval("select count(*) from sign_log") == 1
    assert [await desk.log.fetchval("select sum(amount) from signed_amounts")] == [6]
    await desk.services["two"].sign(third)
    assert (await desk.services["one"].sign(first)).region == "one"  # counted once

    await desk.log.execute(
        "update sign_log set requested_at = requested_at - interval '61 s' where nonce = 1"
    )
    assert (await desk.services["two"].sign(second)).region == "two"
    refused = desk.services["two"].metrics.requests.labels("two", "capped")
    assert refused._value.get() == 2


async def test_two_regions_at_once_do_not_sign_more_than_one(desk: Desk) -> None:
    """Each would have room by itself; whoever comes second sees what the first has recorded."""
    wanted = await open_slots(desk, *[paying(6, seq=seq) for seq in range(3)])
    answers = await asyncio.gather(
        *(
            desk.services[("one", "two")[number % 2]].log.record(request)
            for number, request in enumerate(wanted)
        ),
        return_exceptions=True,
    )
    refused = [each for each in answers if isinstance(each, SigningRefusedError)]
    assert [each.code for each in refused] == ["over_cap"] * 2
    assert await desk.log.fetchval("select sum(amount) from signed_amounts") == 6


async def test_a_token_without_a_cap_and_one_transaction_too_many_are_refused(desk: Desk) -> None:
    """A cancellation moves nothing, and counts as a transaction."""
    (foreign,) = await open_slots(desk, paying(1, token=NATIVE))
    with pytest.raises(SigningRefusedError, match="its signer signs 0") as caught:
        await desk.services["one"].sign(foreign)
    assert caught.value.code == "over_cap"

    await desk.owner.execute("delete from slots")
    for request in await open_slots(desk, *[cancelling(seq) for seq in range(3)]):
        await desk.services["one"].sign(request)
    fourth = request_for(desk.address, nonce=4)
    await open_slot(desk.owner, fourth)
    with pytest.raises(SigningRefusedError, match="3 transactions within 60 s") as caught:
        await desk.services["two"].sign(fourth)
    assert caught.value.code == "over_cap"


async def test_a_reserve_pays_its_own_hot_wallet_and_nobody_else(desk: Desk) -> None:
    """Even what the venue's records want; a cancellation pays nobody."""
    reserve = replace(desk.services["one"], recipients={WALLET: "0x" + "ee" * 20})
    own, cancelled = await open_slots(desk, paying(1), cancelling(2))
    await reserve.sign(own)
    await reserve.sign(cancelled)
    other = replace(reserve, recipients={WALLET: "0x" + "ef" * 20})
    (stolen,) = [request_for(desk.address, nonce=3, data=paying(1, seq=3))]
    await open_slot(desk.owner, stolen)
    with pytest.raises(SigningRefusedError, match="alone") as caught:
        await other.sign(stolen)
    assert caught.value.code == "bad_request"


async def test_a_reserve_hands_in_approvals_and_other_wallets_do_not(desk: Desk) -> None:
    """What an execution moves is counted; to whom it goes, its contract has approvers decide."""
    wanted = Approval(
        kind=Kind.TRANSFER,
        id=UUID(int=1),
        from_bucket="customer",
        to_bucket="treasury",
        to="0x" + "cd" * 20,
        token=TOKEN,
        amount=6,
        use="a test",
        not_before=0,
        expires=1,
        requester=NATIVE,
    )
    executing = "0x" + approvals.execute(wanted).hex()
    vetoing = "0x" + approvals.veto(wanted.id, bytes(65)).hex()
    once, again, veto = await open_slots(desk, executing, executing, vetoing)
    with pytest.raises(SigningRefusedError, match="knows no approvals"):
        await desk.services["one"].sign(once)
    reserve = replace(desk.services["one"], recipients={WALLET: "0x" + "ee" * 20})
    await reserve.sign(once)
    with pytest.raises(SigningRefusedError, match="have 12 base units") as caught:
        await reserve.sign(again)
    assert caught.value.code == "over_cap"
    await reserve.sign(veto)


async def test_a_slow_database_is_not_taken_for_a_dark_region(desk: Desk) -> None:
    """Somebody holds the lane: the signer says in time that its provider is not to blame."""
    async with desk.owner.acquire() as holder, holder.transaction():
        await holder.execute("select 1 from lanes for update")
        async with asyncio.timeout(HANGS_AFTER_S):
            with pytest.raises(SigningRefusedError) as caught:
                await desk.services["one"].sign(request_for(desk.address))
    assert caught.value.code == "records_unavailable"
    assert desk.providers["one"].asked == 0
    assert (await desk.services["one"].sign(request_for(desk.address))).region == "one"


async def test_a_signature_that_comes_after_the_failover_is_the_one_that_is_kept(
    desk: Desk,
) -> None:
    """Its digest was recorded under the lane's epoch; the standby returns it and signs none."""
    desk.providers["one"].meanwhile = desk.raise_epoch
    late = await desk.services["one"].sign(request_for(desk.address))
    assert late.region == "one"

    signed = await desk.services["two"].sign(request_for(desk.address, epoch=2))
    assert signed == late
    assert desk.providers["two"].asked == 0


async def test_a_signature_that_cannot_be_kept_in_time_is_no_dark_region(
    desk: Desk, founded: Founded
) -> None:
    """The settler hears within its 600 ms that the log is slow, and asks again."""
    holder = await open_pool(founded.database.sign_log.owner, name="holder", size=1)
    async with holder.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        desk.providers["one"].meanwhile = lambda: connection.execute(
            "lock table sign_log in access exclusive mode"
        )
        began = time.monotonic()
        with pytest.raises(SigningRefusedError) as caught:
            await desk.services["one"].sign(request_for(desk.address))
        assert time.monotonic() - began < 0.6
        assert caught.value.code == "log_unavailable"
        await transaction.rollback()
    desk.providers["one"].meanwhile = None
    await desk.services["one"].sign(request_for(desk.address))
    await holder.close()


def proof_of(name: str = WALLET) -> str:
    """A text that the key of a wallet may sign."""
    return proof_text(
        stack="test",
        name=name,
        key="mrk-1",
        region="one",
        time="2026-11-24T20:00:00Z",
        challenge="0123456789abcdef",
    )


async def test_a_proof_of_key_control_is_logged_and_recovers_to_the_address_of_the_lane(
    desk: Desk,
) -> None:
    """The request is recorded before the provider signs, and the signature afterwards."""
    seen: list[int] = []

    async def count_requests() -> None:
        seen.append(await desk.owner.fetchval("select count(*) from proof_log"))
        seen.append(await desk.owner.fetchval("select count(*) from proof_signatures"))

    desk.providers["one"].meanwhile = count_requests
    proven = await desk.services["one"].prove(ProveRequest(wallet=WALLET, text=proof_of()))

    assert recover_message_signer(proof_of(), proven.signature) == proven.address == desk.address
    assert seen == [1, 0]
    row = await desk.owner.fetchrow(
        "select * from proof_log join proof_signatures on proof_id = id"
    )
    assert row is not None
    assert (row["id"], row["wallet"], row["region"], row["text"]) == (
        proven.number,
        WALLET,
        "one",
        proof_of(),
    )
    assert row["signature"] == proven.signature
    assert await desk.log.fetchval("select count(*) from sign_log") == 0


@pytest.mark.parametrize(
    "change", [{"text": "give me money"}, {"text": ""}, {"wallet": "treasury-birch-hot"}]
)
async def test_no_other_text_is_signed_and_no_other_wallet(
    desk: Desk, change: dict[str, str]
) -> None:
    with pytest.raises(SigningRefusedError) as caught:
        await desk.services["one"].prove(
            ProveRequest.model_validate({"wallet": WALLET, "text": proof_of()} | change)
        )

    assert caught.value.code == "bad_request"
    assert desk.providers["one"].asked == 0
    assert await desk.owner.fetchval("select count(*) from proof_log") == 0


async def test_the_signers_database_role_can_do_nothing_else(desk: Desk, founded: Founded) -> None:
    """It cannot move money, change a lane or a slot, or write a digest past its functions."""
    for url, statements in (
        (
            founded.database.signer,
            (
                "update lanes set epoch = 9",
                "insert into floats values ('x', 'x', 'x', 1)",
                "update slots set offered_epoch = 1",
                "update proof_log set text = ''",
                "delete from proof_signatures",
                "select * from balances",
                "select * from slots",
                "select * from mode",
            ),
        ),
        (
            founded.database.sign_log.signer,
            (
                "insert into sign_log (nonce) values (1)",
                "update sign_log set digest = ''",
                "update sign_log set requested_at = now()",
                "delete from signed_amounts",
                "delete from sign_log",
            ),
        ),
    ):
        pool = await open_pool(url, name="signer", size=1)
        for statement in statements:
            with pytest.raises(Exception, match="permission denied"):
                await pool.execute(statement)
        await pool.close()
