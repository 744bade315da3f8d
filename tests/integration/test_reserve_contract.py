"""The reserve contract on a real node: beyond refills it does what approvers signed, and once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from seawall.ethereum.keys import ORDER, address_of_private_key, keccak256, recoverable, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient, NodeRefusedError
from seawall.ethereum.values import Receipt, uint256
from tests.integration.test_payout_contract import CAP, DEPLOYER, REJECTS, SIGNER, Bench, item
from tests.testing.approvers import all_signed, signed
from venue.contracts import approvals
from venue.contracts.approvals import Approval, Home, Kind, State, review_message, veto_message
from venue.contracts.calls import NATIVE, mint, open_generation, pay
from venue.contracts.compiler import ReserveLane, reserve_creation, token_creation

pytestmark = pytest.mark.integration

CHAIN_ID = 73311
BUCKET = "customer"
KEYS = [keccak256(f"approver {n}".encode()) for n in range(4)]
"""The first three approve routinely, the last three in the fast lane."""
ADDRESSES = [address_of_private_key(key) for key in KEYS]
DELAY_S = 900
WINDOW_S = 10**6
REVIEW_S = 86_400
FAST_CAP = CAP // 4
LIVES_S = 100_000
HOT = f"0x{0xC0:040x}"
ELSEWHERE = f"0x{0xC1:040x}"
WORD = 32


class Reserve(Bench):
    """A node with a reserve contract, and a token."""

    @property
    def home(self) -> Home:
        """Where its approvals count."""
        return Home(chain_id=CHAIN_ID, contract=self.contract)

    async def now_s(self) -> int:
        """Time of the newest block."""
        block = await self.rpc.call("eth_getBlockByNumber", "latest", False)
        return int(block["timestamp"], 16)

    async def wait(self, seconds: int) -> None:
        """Let the chain's time pass."""
        await self.rpc.call("evm_increaseTime", seconds)
        await self.rpc.call("evm_mine")

    async def approval(self, kind: Kind = Kind.TRANSFER, **changes: Any) -> Approval:
        """An approval that is right, with ``changes``."""
        now_s = await self.now_s()
        wanted = Approval(
            kind=kind,
            id=uuid4(),
            from_bucket=BUCKET,
            to_bucket="treasury",
            to=ELSEWHERE,
            token=NATIVE,
            amount=0 if kind is Kind.RECIPIENT else 1000,
            use="pays for the test",
            not_before=now_s,
            expires=now_s + LIVES_S,
            requester=NATIVE,
        )
        return replace(wanted, **changes)

    async def why_not(self, data: bytes, *, by: bytes = SIGNER) -> str:
        """Why the contract refuses a call at the newest block; empty if it does not."""
        call = {"from": address_of_private_key(by), "to": self.contract, "data": "0x" + data.hex()}
        try:
            await self.rpc.call("eth_call", call, "latest")
        except NodeRefusedError as error:
            return error.reason
        return ""

    def proposal(self, wanted: Approval, keys: Sequence[bytes] = KEYS[:2]) -> bytes:
        """Calldata that proposes ``wanted``, as the holders of ``keys`` have signed it."""
        return approvals.propose(wanted, all_signed(wanted.message, self.home, keys))

    async def proposed(self, wanted: Approval, keys: Sequence[bytes] = KEYS[:2]) -> Receipt:
        """Propose ``wanted``."""
        gas = approvals.propose_gas_limit(len(keys))
        return await self.does(self.proposal(wanted, keys), gas=gas)

    async def executed(self, wanted: Approval) -> Receipt:
        """Carry ``wanted`` out."""
        return await self.does(approvals.execute(wanted), gas=approvals.EXECUTE_GAS_LIMIT)

    async def does(self, data: bytes, *, by: bytes = SIGNER, gas: int = 500_000) -> Receipt:
        """Call the contract."""
        return await self.send(by, to=self.contract, data=data, gas=gas)

    async def state(self, wanted: Approval) -> State:
        """What the contract has done with it."""
        return State(await self.rpc.read(self.contract, approvals.state(wanted.id), uint256))

    async def fast(self, **changes: Any) -> Approval:
        """Propose an approval of the fast lane."""
        wanted = await self.approval(Kind.FAST_TRANSFER, **changes)
        assert (await self.proposed(wanted, KEYS[1:3])).succeeded
        return wanted

    async def fast_lane_open(self) -> bool:
        """Whether the fast lane moves anything."""
        return bool(await self.rpc.read(self.contract, approvals.fast_lane_open(), uint256))


def lanes(token: str) -> dict[str, ReserveLane]:
    """Both lanes: two of three, the fast one for a quarter of the money."""
    routine = ReserveLane(
        approvers=ADDRESSES[:3],
        needed=2,
        delay_s=DELAY_S,
        window_s=WINDOW_S,
        caps={NATIVE: CAP, token: CAP},
    )
    caps = {NATIVE: FAST_CAP, token: FAST_CAP}
    fast = replace(routine, approvers=ADDRESSES[1:], delay_s=0, caps=caps)
    return {"routine": routine, "fast": fast}


def creation(token: str, **changes: Any) -> bytes:
    """Creation code of the reserve, with ``changes``."""
    arguments: dict[str, Any] = {
        "signer": address_of_private_key(SIGNER),
        "recipient": HOT,
        "window_seconds": 10**6,
        "caps": {NATIVE: CAP, token: CAP},
        "bucket": BUCKET,
        "review_within_s": REVIEW_S,
        **lanes(token),
    }
    return reserve_creation(**(arguments | changes))


@pytest.fixture
async def reserve(start_anvil: Callable[..., str]) -> AsyncIterator[Reserve]:
    """A funded reserve that refills ``HOT``."""
    async with AsyncRpcClient("aster", (start_anvil(),)) as rpc:
        bench = Reserve(rpc=rpc)
        bench.token = await bench.create(token_creation(symbol="USDX", decimals=6))
        bench.contract = await bench.create(creation(bench.token))
        assert (await bench.send(DEPLOYER, to=bench.contract, value=3 * CAP)).succeeded
        assert (
            await bench.send(DEPLOYER, to=bench.token, data=mint(bench.contract, 3 * CAP))
        ).succeeded
        yield bench


async def test_a_reserve_refills_its_hot_wallet_and_pays_nobody_else(reserve: Reserve) -> None:
    """One payment to another address reverts the whole batch: no number is used, nothing moves."""
    assert not (await reserve.pay(item(1, to=HOT), item(2))).succeeded
    assert await reserve.bits(1, 2) == [False, False]
    assert (await reserve.pay(item(1, to=HOT), item(3, to=HOT))).succeeded
    assert await reserve.rpc.balance(HOT) == 2000
    used_up = pay([item(1), item(4, to=HOT)])  # passed over, whomever it would pay now
    assert (await reserve.does(used_up)).succeeded
    assert await reserve.rpc.balance(HOT) == 3000
    assert (await reserve.does(open_generation(1))).succeeded


async def test_an_approved_transfer_waits_for_its_delay_and_is_made_once(reserve: Reserve) -> None:
    wanted = await reserve.approval()
    assert (await reserve.proposed(wanted)).succeeded
    gas = await reserve.gas_used()
    assert await reserve.state(wanted) is State.PROPOSED
    ready_at = await reserve.rpc.read(reserve.contract, approvals.ready_at(wanted.id), uint256)
    assert ready_at == await reserve.now_s() + DELAY_S

    assert "too early" in await reserve.why_not(approvals.execute(wanted))
    await reserve.wait(DELAY_S - 2)
    assert "too early" in await reserve.why_not(approvals.execute(wanted))
    await reserve.wait(2)
    assert (await reserve.executed(wanted)).succeeded
    print(f"gas of a proposal {gas}, of an execution {await reserve.gas_used()}")

    assert await reserve.rpc.balance(ELSEWHERE) == 1000
    assert await reserve.state(wanted) is State.EXECUTED
    assert "not proposed" in await reserve.why_not(approvals.execute(wanted))
    assert "used before" in await reserve.why_not(reserve.proposal(wanted))
    again = replace(wanted, amount=999)  # another message under the same id
    assert "used before" in await reserve.why_not(reserve.proposal(again))


async def test_a_token_moves_as_coins_do_and_what_does_not_move_may_be_tried_again(
    reserve: Reserve,
) -> None:
    rejects = await reserve.runtime(REJECTS)
    coins, token = await reserve.approval(to=rejects), await reserve.approval(token=reserve.token)
    for wanted in (coins, token):
        assert (await reserve.proposed(wanted)).succeeded
    await reserve.wait(DELAY_S)
    assert (await reserve.executed(token)).succeeded
    assert await reserve.rpc.balance(ELSEWHERE, token=reserve.token) == 1000
    assert "did not move" in await reserve.why_not(approvals.execute(coins))
    await reserve.rpc.call("anvil_setCode", rejects, "0x")
    assert (await reserve.executed(coins)).succeeded


async def test_only_enough_signatures_of_different_approvers_are_a_quorum(reserve: Reserve) -> None:
    """Too few, the same twice, strangers, another lane's, out of order."""
    wanted = await reserve.approval()
    one, two = all_signed(wanted.message, reserve.home, KEYS[:2])
    fourth = signed(wanted.message, reserve.home, KEYS[3])
    stranger = signed(wanted.message, reserve.home, SIGNER)

    async def why_not(*signatures: bytes) -> str:
        return await reserve.why_not(approvals.propose(wanted, signatures))

    assert "too few" in await why_not()
    assert "too few" in await why_not(one)
    assert "out of order" in await why_not(one, one)
    assert "out of order" in await why_not(two, one)
    digest = wanted.message.digest(reserve.home)
    for other in (stranger, fourth):  # the fourth approves in the fast lane alone
        both = approvals.in_order(digest, [one, other])
        assert "not an approver" in await why_not(*both)
    three = all_signed(wanted.message, reserve.home, KEYS[:3])
    assert await why_not(*three) == await why_not(one, two) == ""
    assert not (await reserve.does(approvals.propose(wanted, [one]))).succeeded
    assert await reserve.state(wanted) is State.UNUSED


async def test_malformed_and_malleable_signatures_are_refused(reserve: Reserve) -> None:
    """Each signature has a twin with the other s; it would count a second time elsewhere."""
    wanted = await reserve.approval()
    one, two = all_signed(wanted.message, reserve.home, KEYS[:2])
    parts = recoverable(one)
    twin = (
        parts.r.to_bytes(WORD, "big")
        + (ORDER - parts.s).to_bytes(WORD, "big")
        + bytes([28 - parts.y_parity])
    )

    async def why_not(*signatures: bytes) -> str:
        return await reserve.why_not(approvals.propose(wanted, signatures))

    assert "twin" in await why_not(twin, two)
    assert "no signature" in await why_not(one[:64], two)
    assert "no signature" in await why_not(one[:64] + bytes([parts.y_parity]), two)
    assert "out of order" in await why_not(bytes(64) + bytes([27]), two)  # nobody's
    assert await why_not(one, two) == ""


async def test_a_signature_counts_for_one_message_on_one_chain_at_one_contract(
    reserve: Reserve,
) -> None:
    """Another chain, another contract, and each field that is another one than was signed."""
    wanted = await reserve.approval()
    for home in (
        Home(chain_id=CHAIN_ID + 1, contract=reserve.contract),
        Home(chain_id=CHAIN_ID, contract=HOT),
    ):
        elsewhere = approvals.propose(wanted, all_signed(wanted.message, home, KEYS[:2]))
        assert await reserve.why_not(elsewhere) != ""
    proposal = all_signed(wanted.message, reserve.home, KEYS[:2])
    changes: dict[str, Any] = {
        "kind": Kind.FAST_TRANSFER,
        "id": UUID(int=7),
        "to_bucket": "escrow",
        "to": HOT,
        "token": reserve.token,
        "amount": 1001,
        "use": "something else",
        "not_before": wanted.not_before + 1,
        "expires": wanted.expires + 1,
        "requester": HOT,
    }
    for field, value in changes.items():
        forged = replace(wanted, **{field: value})
        assert await reserve.why_not(approvals.propose(forged, proposal)) != "", field
    assert await reserve.why_not(approvals.propose(wanted, proposal)) == ""


async def test_what_is_executed_is_what_was_proposed(reserve: Reserve) -> None:
    wanted = await reserve.approval()
    assert (await reserve.proposed(wanted)).succeeded
    await reserve.wait(DELAY_S)
    for forged in (replace(wanted, amount=1001), replace(wanted, to=HOT)):
        assert "not what was signed" in await reserve.why_not(approvals.execute(forged))
    never = await reserve.approval()
    assert "not proposed" in await reserve.why_not(approvals.execute(never))


async def test_nobody_approves_their_own_request(reserve: Reserve) -> None:
    wanted = await reserve.approval(requester=ADDRESSES[0])
    assert "own request" in await reserve.why_not(reserve.proposal(wanted, KEYS[:2]))
    assert "own request" in await reserve.why_not(reserve.proposal(wanted, KEYS[:3]))
    assert await reserve.why_not(reserve.proposal(wanted, KEYS[1:3])) == ""


async def test_an_approval_is_good_between_two_times(reserve: Reserve) -> None:
    now_s = await reserve.now_s()
    expired = await reserve.approval(expires=now_s)
    assert "expired" in await reserve.why_not(reserve.proposal(expired))
    later = await reserve.approval(not_before=now_s + 5 * DELAY_S, expires=now_s + 6 * DELAY_S)
    assert (await reserve.proposed(later)).succeeded
    await reserve.wait(2 * DELAY_S)
    assert "too early" in await reserve.why_not(approvals.execute(later))
    await reserve.wait(3 * DELAY_S)
    assert await reserve.why_not(approvals.execute(later)) == ""
    await reserve.wait(DELAY_S)
    assert "expired" in await reserve.why_not(approvals.execute(later))


async def test_what_makes_no_sense_is_not_proposed(reserve: Reserve) -> None:
    for changes, why in (
        ({"from_bucket": "treasury"}, "another bucket"),
        ({"to": NATIVE}, "no destination"),
        ({"amount": 0}, "no amount"),
        ({"kind": Kind.RECIPIENT, "amount": 1}, "has no amount"),
        ({"kind": Kind.RECIPIENT, "token": reserve.token}, "has no amount"),
    ):
        wanted = await reserve.approval(**changes)
        assert why in await reserve.why_not(reserve.proposal(wanted)), changes
    for kind in (0, 4):
        wanted = replace(await reserve.approval(), kind=kind)  # type: ignore[arg-type]
        assert "no such kind" in await reserve.why_not(reserve.proposal(wanted))


async def test_a_lane_moves_no_more_than_its_cap_in_a_window(reserve: Reserve) -> None:
    """Each lane has a cap of its own for each token; an unknown token never moves."""
    most = [await reserve.approval(amount=CAP // 2) for _ in range(2)]
    more = await reserve.approval(amount=1)
    unknown = await reserve.approval(token=HOT)
    token = await reserve.approval(token=reserve.token, amount=CAP)
    for wanted in (*most, more, unknown, token):
        assert (await reserve.proposed(wanted)).succeeded
    await reserve.wait(DELAY_S)
    assert "cap of the lane" in await reserve.why_not(approvals.execute(unknown))
    for wanted in (*most, token):
        assert (await reserve.executed(wanted)).succeeded
    assert "cap of the lane" in await reserve.why_not(approvals.execute(more))
    fast = await reserve.fast(amount=FAST_CAP)
    assert (await reserve.executed(fast)).succeeded
    above = await reserve.fast(amount=1)
    assert "cap of the lane" in await reserve.why_not(approvals.execute(above))
    # What is approved does not use up what may be refilled, nor the other way round.
    assert (await reserve.pay(item(1, to=HOT, token=reserve.token, amount=CAP))).succeeded


async def test_only_the_signer_proposes_and_executes(reserve: Reserve) -> None:
    wanted = await reserve.approval()
    assert "not the signer" in await reserve.why_not(reserve.proposal(wanted), by=DEPLOYER)
    assert (await reserve.proposed(wanted)).succeeded
    await reserve.wait(DELAY_S)
    assert "not the signer" in await reserve.why_not(approvals.execute(wanted), by=DEPLOYER)


async def test_one_approver_stops_it_before_it_is_made_and_anybody_hands_that_in(
    reserve: Reserve,
) -> None:
    unproposed, proposed, made = [await reserve.approval() for _ in range(3)]
    for wanted in (proposed, made):
        assert (await reserve.proposed(wanted)).succeeded
    await reserve.wait(DELAY_S)
    assert (await reserve.executed(made)).succeeded

    def veto(wanted: Approval, key: bytes, home: Home = reserve.home) -> bytes:
        return approvals.veto(wanted.id, signed(veto_message(wanted.id), home, key))

    assert "not an approver" in await reserve.why_not(veto(proposed, SIGNER), by=DEPLOYER)
    elsewhere = Home(chain_id=CHAIN_ID + 1, contract=reserve.contract)
    assert "not an approver" in await reserve.why_not(veto(proposed, KEYS[2], elsewhere))
    other = approvals.veto(proposed.id, signed(veto_message(made.id), reserve.home, KEYS[2]))
    assert "not an approver" in await reserve.why_not(other)
    for wanted in (unproposed, proposed):
        data = veto(wanted, KEYS[2])
        assert (await reserve.does(data, by=DEPLOYER, gas=approvals.VETO_GAS_LIMIT)).succeeded
        assert await reserve.state(wanted) is State.VETOED
    gas = await reserve.gas_used()
    assert "too late" in await reserve.why_not(veto(made, KEYS[2]))
    assert "not proposed" in await reserve.why_not(approvals.execute(proposed))
    assert "used before" in await reserve.why_not(reserve.proposal(unproposed))
    print(f"gas of a veto {gas}")


async def test_another_recipient_is_set_by_the_quorum_after_the_delay(reserve: Reserve) -> None:
    """A hot contract that is replaced: the reserve refills the new one, and the old one no more."""
    wanted = await reserve.approval(Kind.RECIPIENT)
    assert "not an approver" in await reserve.why_not(reserve.proposal(wanted, KEYS[1:]))
    assert (await reserve.proposed(wanted)).succeeded
    assert "too early" in await reserve.why_not(approvals.execute(wanted))
    assert "not the recipient" in await reserve.why_not(pay([item(1, to=ELSEWHERE)]))
    await reserve.wait(DELAY_S)
    assert (await reserve.executed(wanted)).succeeded

    answer = await reserve.rpc.read(reserve.contract, approvals.recipient(), uint256)
    assert f"0x{answer:040x}" == ELSEWHERE
    assert "not the recipient" in await reserve.why_not(pay([item(1, to=HOT)]))
    assert (await reserve.pay(item(1, to=ELSEWHERE))).succeeded
    assert await reserve.rpc.balance(ELSEWHERE) == 1000


async def test_the_fast_lane_does_not_wait_and_closes_when_its_review_is_missed(
    reserve: Reserve,
) -> None:
    first = await reserve.fast()
    assert (await reserve.executed(first)).succeeded
    assert await reserve.rpc.balance(ELSEWHERE) == 1000
    second, third = await reserve.fast(), await reserve.fast(expires=await reserve.now_s() + 10**6)
    assert (await reserve.executed(second)).succeeded
    print(f"gas of a fast execution {await reserve.gas_used()}")
    assert await reserve.fast_lane_open()
    await reserve.wait(REVIEW_S + 1)
    assert not await reserve.fast_lane_open()
    assert "waits for a review" in await reserve.why_not(approvals.execute(third))
    routine = await reserve.approval()  # goes on
    assert (await reserve.proposed(routine)).succeeded
    await reserve.wait(DELAY_S)
    assert (await reserve.executed(routine)).succeeded

    for reviewed in (first, second):
        assert not await reserve.fast_lane_open()
        message = review_message(reviewed.id, "it was in order")
        data = approvals.review(
            reviewed.id, "it was in order", all_signed(message, reserve.home, KEYS[:2])
        )
        assert (await reserve.does(data, by=DEPLOYER)).succeeded
        assert await reserve.state(reviewed) is State.REVIEWED
    print(f"gas of a review {await reserve.gas_used()}")
    assert await reserve.fast_lane_open()
    assert (await reserve.executed(third)).succeeded


async def test_a_review_is_the_routine_quorums_and_not_the_requesters(reserve: Reserve) -> None:
    moved = await reserve.fast(requester=ADDRESSES[0])
    waiting = await reserve.fast()
    assert (await reserve.executed(moved)).succeeded

    def reviewing(
        keys: Sequence[bytes], said: str = "fine", handed_in: str = "fine", of: Approval = moved
    ) -> bytes:
        signatures = all_signed(review_message(of.id, said), reserve.home, keys)
        return approvals.review(of.id, handed_in, signatures)

    assert "own request" in await reserve.why_not(reviewing(KEYS[:2]))
    assert "not an approver" in await reserve.why_not(reviewing(KEYS[2:]))
    assert "too few" in await reserve.why_not(reviewing(KEYS[1:2]))
    assert await reserve.why_not(reviewing(KEYS[1:3], said="foul")) != ""
    assert "nothing to review" in await reserve.why_not(reviewing(KEYS[1:3], of=waiting))
    assert (await reserve.does(reviewing(KEYS[1:3]))).succeeded
    assert "nothing to review" in await reserve.why_not(reviewing(KEYS[1:3]))


async def test_no_more_than_eight_await_a_review(reserve: Reserve) -> None:
    """The list is bounded, so that no execution runs out of gas; when it is full, reviews first."""
    nine = [await reserve.fast() for _ in range(7)]
    # The dearest: a token to somebody who never had any.
    nine += [await reserve.fast(token=reserve.token, to=f"0x{n:040x}") for n in (0xD0, 0xD1)]
    for wanted in nine[:8]:
        assert (await reserve.executed(wanted)).succeeded
    print(f"gas of the eighth fast execution {await reserve.gas_used()}")
    assert not await reserve.fast_lane_open()
    assert "waits for a review" in await reserve.why_not(approvals.execute(nine[8]))
    last = nine[7]
    signatures = all_signed(review_message(last.id, ""), reserve.home, KEYS[:3])
    data = approvals.review(last.id, "", signatures)
    assert (await reserve.does(data, gas=approvals.review_gas_limit(3))).succeeded
    print(f"gas of a review of the eighth {await reserve.gas_used()}")
    assert await reserve.fast_lane_open()


async def test_the_digest_is_what_a_wallet_signs(reserve: Reserve) -> None:
    """A node's own EIP-712 signs the document, and it is a signature of our digest."""
    holder = address_of_private_key(DEPLOYER)
    wanted = await reserve.approval(use="größere Summe, “quoted”")
    for message in (
        wanted.message,
        veto_message(wanted.id),
        review_message(wanted.id, "in Ordnung"),
    ):
        document = message.document(reserve.home)
        answer = await reserve.rpc.call("eth_signTypedData_v4", holder, document)
        assert approvals.signer_of(message.digest(reserve.home), to_bytes(answer)) == holder


async def test_a_reserve_is_not_made_with_lanes_that_do_not_hold(reserve: Reserve) -> None:
    good = lanes(reserve.token)["routine"]
    for faulty in (
        replace(good, needed=1),
        replace(good, needed=4),
        replace(good, window_s=0),
        replace(good, approvers=[ADDRESSES[0], ADDRESSES[0], ADDRESSES[1]]),
        replace(good, approvers=[NATIVE, *ADDRESSES[:2]]),
    ):
        code = creation(reserve.token, routine=faulty)
        assert not (await reserve.send(DEPLOYER, to=None, data=code, gas=5_000_000)).succeeded


async def test_as_many_signatures_as_a_call_takes_fit_its_gas_limit(reserve: Reserve) -> None:
    keys = [keccak256(f"many {n}".encode()) for n in range(approvals.SIGNATURES_MAX)]
    many = replace(
        lanes(reserve.token)["routine"],
        approvers=[address_of_private_key(key) for key in keys],
        needed=len(keys),
    )
    reserve.contract = await reserve.create(creation(reserve.token, routine=many))
    print(f"gas of a deployment with 16 approvers {await reserve.gas_used()}")
    wanted = await reserve.approval()
    assert (await reserve.proposed(wanted, keys)).succeeded
    print(f"gas of a proposal with 16 signatures {await reserve.gas_used()}")
