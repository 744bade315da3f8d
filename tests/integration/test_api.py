"""The api for customers on a real database: withdrawals, cancellations, swaps, status."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import httpx
import pytest

from seawall.contract_verify import Verification
from seawall.conventions import metrics
from seawall.conventions.components import API_PROCESS
from seawall.formats.customers import Account
from seawall.formats.drill_contract import (
    Balances,
    Credentials,
    Refusal,
    SwapReceipt,
    SwapRequest,
    Ticket,
    TicketRequest,
    VenueClient,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
)
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    Heartbeat,
    connected,
    heartbeat,
    venue_process,
)
from venue.api.directory import KEYS_VALID_S
from venue.ledger.chart import payout_routes

pytestmark = pytest.mark.integration
DESTINATION = "0x" + "ab" * 20
ONE = 10**18


def _withdrawal(amount: int, **changes: object) -> WithdrawalRequest:
    fields = {
        "id": uuid.uuid4(),
        "network": "aster",
        "asset": "USDX",
        "amount": str(amount),
        "destination": DESTINATION,
    }
    return WithdrawalRequest.model_validate(fields | changes)


def _who(number: int) -> Credentials:
    return Credentials(customer_id=str(number), credential=f"key-{number}")


@pytest.fixture
async def beating(founded: Founded) -> AsyncIterator[Heartbeat]:
    """A mode controller that is alive until it is silenced."""
    async with heartbeat(founded.database.owner) as found:
        yield found


@pytest.fixture
async def api(founded: Founded, beating: Heartbeat) -> AsyncIterator[VenueClient]:
    """A client of the api process, beside a mode controller that is alive."""
    del beating
    async with (
        venue_process("api", founded.config_path, founded.database),
        httpx.AsyncClient(base_url=founded.config.api_url, timeout=HANGS_AFTER_S) as http,
    ):
        yield VenueClient(http)


async def _set_tier(founded: Founded, tier: str) -> None:
    async with connected(founded.database.mode_controller) as mode_controller:
        await mode_controller.execute(
            "update mode set tier = $1, epoch = epoch + 1, since = clock_timestamp()", tier
        )


async def _books(founded: Founded) -> dict[tuple[str, str, str], int]:
    async with connected(founded.database.auditor) as auditor:
        assert (
            await auditor.fetchval(
                "select count(*) from balances b where available <> "
                "(select -coalesce(sum(amount), 0) from entries e "
                "where e.account_id = b.account_id)"
            )
            == 0
        )
        rows = await auditor.fetch(
            "select network, asset, kind, sum(e.amount) s from entries e "
            "join accounts a on a.id = account_id group by 1, 2, 3"
        )
    return {(row["network"], row["asset"], row["kind"]): row["s"] for row in rows}


async def test_a_withdrawal_is_reserved_once_however_often_it_is_sent(
    api: VenueClient, founded: Founded
) -> None:
    """A replay gets the first answer's seq; other content under the same id is refused."""
    request = _withdrawal(5_000_000)
    first = await api.withdraw(_who(1), request)
    assert isinstance(first, WithdrawalReceipt)
    assert (first.state, first.size, first.outcome, first.deferred) == (
        "reserved",
        "small",
        "accepted",
        False,
    )
    again = await asyncio.gather(*(api.withdraw(_who(1), request) for _ in range(5)))
    assert again == [first.model_copy(update={"outcome": "replayed"})] * 5
    other = await api.withdraw(_who(1), request.model_copy(update={"amount": "6000000"}))
    assert isinstance(other, Refusal)
    assert other.code == "id_reused"
    stranger = await api.withdraw(_who(2), request)
    assert isinstance(stranger, Refusal)
    assert stranger.code == "id_reused"
    assert (await _books(founded))["aster", "USDX", "reserved"] == -5_000_000
    followed = await api.withdrawal(_who(1), request.id)
    assert not isinstance(followed, Refusal)
    assert followed.state == "reserved"
    unknown = await api.withdrawal(_who(2), request.id)
    assert isinstance(unknown, Refusal)
    assert unknown.code == "not_found"


async def test_one_bad_request_of_a_batch_fails_alone(api: VenueClient, founded: Founded) -> None:
    """Overdrafts, duplicates and bad requests are refused; the rest of the batch is reserved."""
    balances = await api.balances(_who(3))
    assert isinstance(balances, Balances)
    rich = next(
        int(b.available) for b in balances.balances if (b.network, b.asset) == ("birch", "USDX")
    )
    async with connected(founded.database.owner) as owner:
        await owner.execute(
            "update balances set available = 3000000 where account_id = (select id from accounts "
            "where customer_id = 3 and network = 'aster' and asset = 'USDX')"
        )
    twin = _withdrawal(1_000_000)
    asked = {
        "good": _withdrawal(1_000_000),
        "twin": twin,
        "twin again": twin,
        "overdraft": _withdrawal(2_500_000),
        "other rail": _withdrawal(1_000_000, network="birch"),
        "no such asset": _withdrawal(1, network="birch", asset="AST"),
        "no such network": _withdrawal(1, network="cedar"),
        "nobody": _withdrawal(1, destination="0x" + "0" * 40),
        "no address": _withdrawal(1, destination="alice"),
        "too little": _withdrawal(999_999),
        "too much": _withdrawal(100_001_000_000, network="birch"),
    }
    answers = dict(
        zip(
            asked,
            await asyncio.gather(*(api.withdraw(_who(3), request) for request in asked.values())),
            strict=True,
        )
    )
    said = {
        name: answer.code if isinstance(answer, Refusal) else answer.outcome
        for name, answer in answers.items()
    }
    assert said == {
        "good": "accepted",
        "twin": "accepted",
        "twin again": "replayed",
        "overdraft": "insufficient_balance",
        "other rail": "accepted",
        "no such asset": "unknown_asset",
        "no such network": "unknown_asset",
        "nobody": "bad_address",
        "no address": "bad_address",
        "too little": "below_minimum",
        "too much": "over_limit",
    }
    after = await api.balances(_who(3))
    assert isinstance(after, Balances)
    assert (
        next(int(b.available) for b in after.balances if (b.network, b.asset) == ("birch", "USDX"))
        == rich - 1_000_000
    )


async def test_the_venue_pays_nothing_to_itself(api: VenueClient, founded: Founded) -> None:
    """Contracts, reserves, tokens, keys and cold wallets are refused however they are spelled.

    The ledger would lose that money.
    """
    site = founded.config.networks["aster"]
    key = next(iter(founded.config.signers["us-east-1"].keys.values()))
    cold = next(
        wallet.address for wallet in founded.policy.wallets.values() if wallet.address is not None
    )
    own = {
        "contract": site.payout_contracts["customer-aster-hot"],
        "reserve": site.reserve_contracts["customer-aster-reserve"],
        "contract of another network": founded.config.networks["birch"].payout_contracts[
            "customer-birch-hot"
        ],
        "token": site.tokens["USDX"],
        "key": key.address,
        "cold": "0x" + cold[2:].upper(),
    }
    for name, address in own.items():
        answer = await api.withdraw(_who(1), _withdrawal(1_000_000, destination=address))
        assert isinstance(answer, Refusal), name
        assert answer.code == "bad_address", name


async def test_a_row_that_the_database_refuses_fails_alone(
    api: VenueClient, founded: Founded
) -> None:
    """A poison row that validation did not foresee is found by committing its batch one by one."""
    async with connected(founded.database.owner) as owner:
        await owner.execute(
            "alter table withdrawals add constraint poison check (amount <> 666000000)"
        )
    answers = await asyncio.gather(
        *(
            api.withdraw(_who(1), _withdrawal(amount * 10**6))
            for amount in (1, 666, 2, 3, 4, 5, 6, 7)
        )
    )
    assert [answer.code if isinstance(answer, Refusal) else "accepted" for answer in answers] == [
        "accepted",
        "unavailable",
    ] + ["accepted"] * 6


async def test_a_transfer_between_networks_clears_on_both(
    api: VenueClient, founded: Founded
) -> None:
    """The source network owes less to the customer and the same to clearing.

    The paying network reserves against clearing.
    """
    answer = await api.withdraw(
        _who(1), _withdrawal(7_000_000, network="birch", source_network="aster")
    )
    assert isinstance(answer, WithdrawalReceipt)
    books = await _books(founded)
    assert books["aster", "USDX", "clearing"] == -7_000_000
    assert books["birch", "USDX", "clearing"] == 7_000_000
    assert books["birch", "USDX", "reserved"] == -7_000_000


async def test_a_cancelled_withdrawal_gives_everything_back_once(
    api: VenueClient, founded: Founded
) -> None:
    """Balance, reservation and clearing are as before.

    A repeated cancellation gets the same answer, and the request sent again the voided state.
    Another customer finds nothing.
    """
    before = await _books(founded), await api.balances(_who(1))
    for source in (None, "birch"):
        request = _withdrawal(7_000_000, source_network=source)
        receipt = await api.withdraw(_who(1), request)
        assert isinstance(receipt, WithdrawalReceipt)
        assert (await _books(founded))["aster", "USDX", "reserved"] == -7_000_000
        stranger = await api.cancel(_who(2), request.id)
        assert isinstance(stranger, Refusal)
        assert stranger.code == "not_found"
        answers = await asyncio.gather(*(api.cancel(_who(1), request.id) for _ in range(4)))
        told = Withdrawal(
            id=request.id,
            seq=receipt.seq,
            state="voided",
            reason="cancelled by its customer",
            tx_hash=None,
        )
        assert answers == [told] * 4
        assert await api.withdrawal(_who(1), request.id) == told
        books = {where: amount for where, amount in (await _books(founded)).items() if amount}
        assert (books, await api.balances(_who(1))) == before
        replay = await api.withdraw(_who(1), request)
        assert isinstance(replay, WithdrawalReceipt)
        assert (replay.outcome, replay.state) == ("replayed", "voided")
    async with connected(founded.database.auditor) as auditor:
        assert await auditor.fetchval("select sum(count) from flow where kind = 'voided'") == 2


async def test_protected_mode_pays_small_defers_large_and_suspends_swaps_and_large_transfers(
    api: VenueClient, founded: Founded
) -> None:
    """Intake does what the tier promises, and the status quotes the committed row."""
    await _set_tier(founded, "protected")
    status = await api.status()
    assert (status.tier, status.epoch, status.suspends) == (
        "protected",
        2,
        ("swaps", "transfers_large", "market_bids", "market_settlements"),
    )
    small = await api.withdraw(_who(1), _withdrawal(1_000_000_000))
    large = await api.withdraw(_who(1), _withdrawal(1_001_000_000))
    assert isinstance(small, WithdrawalReceipt)
    assert isinstance(large, WithdrawalReceipt)
    assert (small.size, small.deferred, large.size, large.deferred) == (
        "small",
        False,
        "large",
        True,
    )
    transfer = await api.withdraw(
        _who(1), _withdrawal(1_200_000_000, network="birch", source_network="aster")
    )
    swap = await api.swap(
        _who(1),
        SwapRequest(id=uuid.uuid4(), network="aster", sell="AST", buy="USDX", amount=str(ONE)),
    )
    for refused in (transfer, swap):
        assert isinstance(refused, Refusal)
        assert refused.code in {"suspended", "unavailable"}
    assert isinstance(transfer, Refusal)
    assert transfer.reason == (
        "Large transfers between networks are suspended while the venue is in protected "
        "mode; nothing was taken."
    )


async def test_a_revoked_key_is_refused_within_seconds(api: VenueClient, founded: Founded) -> None:
    """Also for withdrawals, which never ask the framework."""
    assert isinstance(await api.balances(_who(1)), Balances)
    async with connected(founded.database.owner) as owner:
        await owner.execute(
            "update customers set api_key_sha256 = sha256('another'::bytea) where id = 1"
        )
    async with asyncio.timeout(2 * KEYS_VALID_S):
        while isinstance(  # noqa: ASYNC110  (another process)
            refused := await api.balances(_who(1)), Balances
        ):
            await asyncio.sleep(0.1)
    assert refused.code == "unauthorized"
    asked = await api.withdraw(_who(1), _withdrawal(1_000_000))
    assert isinstance(asked, Refusal)
    assert asked.code == "unauthorized"
    renewed = Credentials(customer_id="1", credential="another")
    assert isinstance(await api.balances(renewed), Balances)


async def test_metrics_are_served_on_a_port_of_their_own_and_hold_nothing_of_customers(
    api: VenueClient, founded: Founded
) -> None:
    """A customer who writes another kind of ticket each time makes no new series."""
    for number in range(3):
        request = TicketRequest(kind=f"made_up_{'x' * number}", text="why?")
        assert isinstance(await api.ticket(_who(1), request), Ticket)
    async with httpx.AsyncClient(timeout=HANGS_AFTER_S) as http:
        assert (await http.get(f"{founded.config.api_url}/metrics")).status_code == 404
        port = founded.config.metrics_ports[API_PROCESS]
        shown = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    assert f"{metrics.TICKETS} 3.0" in shown.splitlines()
    assert "made_up" not in shown


async def test_a_silent_mode_controller_means_stressed_and_intake_goes_on(
    api: VenueClient, founded: Founded, beating: Heartbeat
) -> None:
    """Without a heartbeat for more than 1.5 s the status is stressed.

    Reservations are still made.
    """
    assert (await api.status()).tier == "normal"
    await beating.silence(for_s=1.6)
    status = await api.status()
    assert (status.tier, status.epoch) == ("stressed", 1)
    assert "mode controller is silent" in (status.reason or "")
    assert isinstance(await api.withdraw(_who(1), _withdrawal(10**6)), WithdrawalReceipt)


async def test_a_swap_moves_claims_between_customer_and_house_with_an_approval(
    founded: Founded, beating: Heartbeat
) -> None:
    """Both legs sum to zero, and a replay keeps the first price.

    When the primary exchange is dark, the price is the standby's.
    """
    del beating
    prices = iter(map(Decimal, ("1999.5", "2000.5", "1.0", "1.0")))

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f'{{"price": "{next(prices)}", "ts": {time.time()}}}'.encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: "
            b"close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(exchange, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    dark_then_up = founded.config.exchange.model_copy(update={"standby": url})
    config = founded.config.model_copy(update={"exchange": dark_then_up})
    founded.config_path.write_text(config.model_dump_json(), encoding="utf-8")
    async with (
        venue_process("api", founded.config_path, founded.database),
        httpx.AsyncClient(base_url=config.api_url, timeout=HANGS_AFTER_S) as http,
    ):
        client = VenueClient(http)
        request = SwapRequest(
            id=uuid.uuid4(), network="aster", sell="AST", buy="USDX", amount=str(ONE)
        )
        first = await client.swap(_who(1), request)
        assert first == SwapReceipt(id=request.id, buy_amount="1999500000")
        assert await client.swap(_who(1), request) == first
        greedy = await client.swap(
            _who(1), request.model_copy(update={"id": uuid.uuid4(), "amount": str(10**6 * ONE)})
        )
        assert isinstance(greedy, Refusal)
        assert greedy.code == "insufficient_balance"
        another = request.model_copy(update={"id": uuid.uuid4()})
        quoted = await client.quote(
            _who(1), network="aster", sell="AST", buy="USDX", amount=str(ONE)
        )
        for refused in (await client.swap(_who(1), another), quoted):
            assert isinstance(refused, Refusal)
            assert refused.code == "price_out_of_bounds"
            assert "is more than 10% away from what is expected" in refused.reason
        assert await client.swap(_who(1), request) == first
        port = config.metrics_ports[API_PROCESS]
        shown = (await http.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
        assert f'{metrics.PRICES_REFUSED}{{side="standby",why="far"}} 2.0' in shown
    server.close()
    books = await _books(founded)
    assert books["aster", "AST", "inventory"] == -51 * ONE
    assert books["aster", "USDX", "inventory"] == -100_000 * 10**6 + 1_999_500_000
    async with connected(founded.database.auditor) as auditor:
        assert (
            await auditor.fetchval(
                "select count(*) from approvals a join postings p on p.approval_id = a.id"
            )
            == 1
        )


_OTHER_WAYS = {
    "another amount": (("customer", "house", -1), ("house", "customer", 0)),
    "the other way": (("house", "customer", 0), ("customer", "house", 0)),
    "one leg alone": (("customer", "house", 0),),
    "nothing": (),
}


@pytest.mark.parametrize("moves", _OTHER_WAYS.values(), ids=_OTHER_WAYS)
async def test_an_approval_legalises_what_it_names_and_once(
    founded: Founded, moves: tuple[tuple[str, str, int], ...]
) -> None:
    """Every other move between buckets is refused, and so is the same one again."""
    sell, buy = 10**18, 2_000 * 10**6
    async with connected(founded.database.owner) as owner:
        route = payout_routes(founded.policy)["aster"]
        names = {"customer": route.bucket, "house": str(route.house)}
        find = """select id from accounts
            where (bucket, network, asset) = ($1, 'aster', $2) and kind = $3
                  and customer_id is not distinct from $4"""
        accounts = [
            await owner.fetchval(find, names[who], asset, kind, customer)
            for asset in ("AST", "USDX")
            for who, kind, customer in (("customer", "customer", 1), ("house", "inventory", None))
        ]

        async def book(approval: uuid.UUID) -> None:
            async with owner.transaction():
                swap = uuid.uuid4()
                await owner.execute(
                    "insert into swaps values ($1, 1, 'aster', 'AST', $2, 'USDX', $3, 1)",
                    *(swap, sell, buy),
                )
                await owner.execute(
                    "with posted as ("
                    " insert into postings (kind, swap_id, approval_id) values ('swap', $1, $2)"
                    " returning id)"
                    " insert into entries (posting_id, account_id, amount)"
                    " select p.id, e.* from posted p, unnest($3::bigint[], $4::numeric[]) e",
                    *(swap, approval, accounts, [sell, -sell, -buy, buy]),
                )

        async def approve(*allowed: tuple[str, str, int]) -> uuid.UUID:
            approval = uuid.uuid4()
            await owner.execute("insert into approvals values ($1, 'kim', 'a test')", approval)
            for (giver, taker, change), (asset, amount) in zip(
                allowed, (("AST", sell), ("USDX", buy)), strict=False
            ):
                await owner.execute(
                    "insert into approved_moves values ($1, 'aster', $2, $3, $4, $5)",
                    *(approval, asset, names[giver], names[taker], amount + change),
                )
            return approval

        with pytest.raises(asyncpg.RaiseError, match="something else between buckets"):
            await book(await approve(*moves))
        right = await approve(("customer", "house", 0), ("house", "customer", 0))
        await book(right)
        with pytest.raises(asyncpg.UniqueViolationError):
            await book(right)


class _Wire:
    """A keep-alive connection with just enough HTTP, so that no client library sets the pace."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def withdraw(self, customer: int) -> int:
        body = _withdrawal(1_000_000).model_dump_json(exclude_none=True)
        head = (
            "POST /v1/withdrawals HTTP/1.1\r\nhost: venue\r\nauthorization: Bearer "
            f"key-{customer}\r\ncontent-type: application/json"
        )
        self._writer.write(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:])
            for line in answer.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await self._reader.readexactly(length)
        return int(answer[9:12])

    def close(self) -> None:
        self._writer.close()


async def test_four_hundred_withdrawals_a_second_are_all_accepted(
    api: VenueClient, founded: Founded
) -> None:
    """An open schedule of 400 requests/s for 2 s; a flood measures how long they wait."""
    wires: asyncio.Queue[_Wire] = asyncio.Queue()
    for _ in range(64):
        wires.put_nowait(
            _Wire(*await asyncio.open_connection("127.0.0.1", founded.config.api_listen_port))
        )
    began = time.monotonic()

    async def one(index: int) -> None:
        planned = began + index / 400
        await asyncio.sleep(max(0.0, planned - time.monotonic()))
        wire = await wires.get()
        assert await wire.withdraw(index % 200 + 1) == 202
        wires.put_nowait(wire)

    await asyncio.gather(*(one(index) for index in range(800)))
    while not wires.empty():
        wires.get_nowait().close()
    assert (await _books(founded))["aster", "USDX", "reserved"] == -800_000_000


async def test_the_reference_venue_keeps_the_contract_that_others_are_verified_by(
    api: VenueClient, founded: Founded
) -> None:
    """One small sum is paid once; without an exchange, which is not started here, no quote."""
    balances = await api.balances(_who(3))
    assert isinstance(balances, Balances)
    held = {(each.network, each.asset): int(each.available) for each in balances.balances}
    findings = await Verification(
        client=api,
        policy=founded.policy,
        account=Account(customer=_who(3), balances=held),
        destination=DESTINATION,
    ).run()
    assert {finding.operation: finding.result for finding in findings} == {
        "login": "works",
        "balances": "works",
        "request_withdrawal": "works",
        "follow_withdrawal": "works",
        "cancel_withdrawal": "works",
        "quote": "broken",
        "swap": "not tried",
        "status": "works",
        "ticket": "not tried",
    }, [finding for finding in findings if finding.result == "broken"]
