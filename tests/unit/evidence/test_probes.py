"""What each probe asks, and what it makes of the answer."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.conventions.evidence import ADDRESS_PROBE
from seawall.errors import ServiceError, UsageError
from seawall.evidence.prober import ProbeLog, endpoints_of, watch
from seawall.evidence.probes import (
    CustomerProbes,
    EndpointProbe,
    NodeProbe,
    Sample,
    SignerProbe,
    StatusProbe,
)
from seawall.formats.customers import Account, read_accounts
from seawall.formats.deployment import Signer
from seawall.formats.drill_contract import (
    ContractAdapter,
    Credentials,
    VenueAdapter,
    VenueClient,
    load_adapter,
)
from seawall.policy_file import load_policy
from tests.testing import policies
from tests.testing.deployments import make_deployment, urls
from tests.testing.mappings import write_mapping

POLICY = load_policy(Path("policies/sandbox.yaml"))
POOLS = (("aster", "AST"), ("aster", "USDX"), ("birch", "BIR"), ("birch", "USDX"))
SMALL, LARGE = (
    Account(
        customer=Credentials(customer_id=name, credential=name),
        balances=dict.fromkeys(POOLS, 10**30),
    )
    for name in ("small", "large")
)


class _Venue:
    """Gives the answer it was made with, and records what it was asked."""

    def __init__(self, status: int, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._status, self._answer = status, answer
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else {}
        self.asked.append((request.url.path, request.headers.get("authorization", ""), body))
        return httpx.Response(self._status, json=self._answer(body))

    def client(self, adapter: VenueAdapter | None = None) -> VenueClient:
        return VenueClient(
            httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://venue"), adapter
        )

    def probes(self) -> CustomerProbes:
        return CustomerProbes(venue=self.client(), policy=POLICY, small=SMALL, large=LARGE)


def _receipt(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": body["id"],
        "seq": 1,
        "state": "reserved",
        "size": "small",
        "outcome": "accepted",
        "deferred": False,
    }


def _refused(_: dict[str, Any]) -> dict[str, Any]:
    return {"code": "suspended", "reason": "protected"}


def test_small_withdrawals_visit_every_pool_with_one_unit_of_account() -> None:
    """1 USD is 0.0005 AST, 1 USDX, 0.002 BIR."""
    venue = _Venue(202, _receipt)
    probes = venue.probes()

    async def four() -> list[Sample]:
        return [sample for _ in range(4) for sample in await probes.small_withdrawal()]

    samples = asyncio.run(four())

    assert [(body["network"], body["asset"], body["amount"]) for _, _, body in venue.asked] == [
        ("aster", "AST", str(5 * 10**14)),
        ("aster", "USDX", str(10**6)),
        ("birch", "BIR", str(2 * 10**15)),
        ("birch", "USDX", str(10**6)),
    ]
    assert [sample.detail["id"] for sample in samples] == [body["id"] for _, _, body in venue.asked]
    assert all(sample.ok for sample in samples)
    assert {key for _, key, _ in venue.asked} == {"Bearer small"}


def test_probes_withdraw_no_less_than_the_venue_pays() -> None:
    """Of an asset whose smallest withdrawal is worth more than one unit of account."""
    venue = _Venue(202, _receipt)
    policy = policies.policy({"assets.AST.withdrawal_min": "0.01"})
    probes = CustomerProbes(venue=venue.client(), policy=policy, small=SMALL, large=LARGE)

    asyncio.run(probes.small_withdrawal())

    assert [body["amount"] for _, _, body in venue.asked] == [str(10**16)]


def test_large_transfers_cross_both_ways_from_the_second_account() -> None:
    """Each is 1.05 times what the policy calls large."""
    venue = _Venue(202, _receipt)
    probes = venue.probes()

    async def two() -> None:
        await probes.large_transfer()
        await probes.large_transfer()

    asyncio.run(two())

    assert [
        (body["source_network"], body["network"], body["amount"]) for _, _, body in venue.asked
    ] == [("aster", "birch", "1050000000"), ("birch", "aster", "1050000000")]
    assert {key for _, key, _ in venue.asked} == {"Bearer large"}


@pytest.mark.parametrize(
    "probe", ["swap", "large_transfer", "small_withdrawal", "login", "balances"]
)
def test_a_refusal_is_recorded_with_its_code(probe: str) -> None:
    """Suspended is an answer, and not ok."""
    (sample,) = asyncio.run(getattr(_Venue(503, _refused).probes(), probe)())

    assert (sample.probe, sample.ok, sample.detail["code"]) == (probe, False, "suspended")


def test_the_status_shows_tier_and_epoch() -> None:
    """The second observer's view of the mode."""
    shown = {
        "tier": "protected",
        "epoch": 4,
        "since": 1.5,
        "reason": "x",
        "guarantees": [],
        "defers": [],
        "suspends": [],
    }

    (sample,) = asyncio.run(StatusProbe(venue=_Venue(200, lambda _: shown).client()).status())

    assert sample == Sample(probe="status", ok=True, detail={"tier": "protected", "epoch": 4})


def _node(heights: list[int]) -> tuple[NodeProbe, list[str]]:
    """A node whose height follows ``heights``, one per read; and the methods it was asked for."""
    methods: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        results = []
        for call in json.loads(request.content):
            methods.append(call["method"])
            result: Any = {
                "eth_getTransactionCount": "0x2a",
                "eth_blockNumber": hex(heights[0]),
            }.get(call["method"])
            if call["method"] == "eth_blockNumber":
                heights.pop(0)
            if result is None:
                result = {
                    "number": call["params"][0],
                    "timestamp": hex(1_700_000_000 + int(call["params"][0], 16)),
                }
            results.append({"jsonrpc": "2.0", "id": call["id"], "result": result})
        return httpx.Response(200, json=results[::-1])  # a batch may be answered in any order

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return NodeProbe(http=http, network="aster", url="http://node", lanes={"hot": "0x1"}), methods


def test_every_block_is_seen_once_also_when_several_came_between_two_reads() -> None:
    """First read: the newest alone; then all that are new."""
    probe, _ = _node([7, 7, 10, 10])

    async def four() -> list[list[Sample]]:
        return [list(await probe.read()) for _ in range(4)]

    reads = asyncio.run(four())
    blocks = [
        [sample.detail["number"] for sample in read if sample.probe == "block"] for read in reads
    ]

    assert blocks == [[7], [], [8, 9, 10], []]
    assert reads[0][0] == Sample(
        probe="pending_nonce", ok=True, detail={"network": "aster", "wallet": "hot", "nonce": 42}
    )


def test_a_node_that_errs_is_an_error_and_no_sample() -> None:
    """A JSON-RPC error must not become a nonce of zero."""
    broken = httpx.MockTransport(
        lambda _: httpx.Response(200, json=[{"id": 0, "error": {"code": -32000}}])
    )
    probe = NodeProbe(
        http=httpx.AsyncClient(transport=broken), network="aster", url="http://node", lanes={}
    )

    with pytest.raises(ServiceError, match=r"^aster refused eth_blockNumber"):
        asyncio.run(probe.read())


async def test_a_key_service_that_takes_requests_and_is_silent_does_not_answer() -> None:
    """That is the fault itself: only the probe's own timeout ends the wait."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    for serve, answers in ((hang, False), (answer, True)):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            probe = EndpointProbe(name="kms", about={"region": "here"}, listen=f"127.0.0.1:{port}")
            if answers:
                assert (await probe.answers())[0].ok
            else:
                with pytest.raises(TimeoutError):
                    await probe.answers()


def test_the_first_two_customers_are_the_probers(tmp_path: Path) -> None:
    """With all their pools; the third customer is left to the flood."""
    path = tmp_path / "customers.csv"
    path.write_text(
        "customer_id,api_key,network,asset,amount\n1,a,n,X,5\n1,a,m,X,5\n2,b,n,X,5\n3,c,n,X,5\n"
    )

    accounts = read_accounts(path, first=2)

    assert [(each.customer.credential, each.pools) for each in accounts] == [
        ("a", (("n", "X"), ("m", "X"))),
        ("b", (("n", "X"),)),
    ]
    assert "'a'" not in repr(accounts[0])


@pytest.mark.parametrize(
    "text", ["", "customer_id,api_key,network,asset,amount\n1,a,n,X,5\n", "a,b\n1,2\n"]
)
def test_a_list_without_two_customers_is_refused(tmp_path: Path, text: str) -> None:
    """The prober needs two customers to act for."""
    path = tmp_path / "customers.csv"
    path.write_text(text)

    with pytest.raises(UsageError):
        read_accounts(path, first=2)


OWN_ASSETS: dict[str, Any] = {
    "assets": {
        network: {asset: f"{asset}-{network}" for _, asset in POOLS if (network, asset) in POOLS}
        for network in ("aster", "birch")
    },
    "credential": {"header": "X-Key", "value": "{credential}"},
}


def _own(folder: Path, **changes: Any) -> VenueAdapter:
    path = write_mapping(folder, OWN_ASSETS | changes)
    return load_adapter(str(path), policy=POLICY)


def _names(adapter: VenueAdapter, **accounts: Account) -> list[str]:
    venue = _Venue(200, _refused).client(adapter)
    given = {"small": SMALL, "large": LARGE} | accounts
    probes = [
        *StatusProbe(venue=venue).probes(),
        *CustomerProbes(venue=venue, policy=POLICY, **given).probes(),
    ]
    return [probe.name for probe in probes]


def test_only_what_the_venue_offers_is_probed(tmp_path: Path) -> None:
    """Without the operation there is no probe: a gap is no failure of the venue."""
    assert _names(ContractAdapter()) == [
        "status",
        "login",
        "balances",
        "small_withdrawal",
        "swap",
        "large_transfer",
    ]
    assert _names(_own(tmp_path)) == ["status", "login", "balances", "small_withdrawal"]
    path = {"operations.request_withdrawal.body.from": "{source_network}"}
    assert "large_transfer" in _names(_own(tmp_path, **path))
    left_out = {"operations.status": None, "operations.login": None}
    assert _names(_own(tmp_path, **left_out)) == ["balances", "small_withdrawal"]


def test_a_customer_whose_money_cannot_be_spoken_of_is_refused_at_once(tmp_path: Path) -> None:
    doge = Account(customer=SMALL.customer, balances={("aster", "DOGE"): 1})
    with pytest.raises(UsageError, match="hold DOGE, which the policy lacks"):
        _names(ContractAdapter(), small=doge)
    birch = {"assets.birch": {"BIR": "bir"}}
    with pytest.raises(UsageError, match="what the venue calls USDX on birch"):
        _names(_own(tmp_path, **birch))


async def test_a_withdrawal_of_a_probe_can_be_followed_from_its_sample(tmp_path: Path) -> None:
    said = {"payout": {"no": 17, "status": "queued"}}
    venue = _Venue(201, lambda _: said).client(_own(tmp_path))
    probes = CustomerProbes(venue=venue, policy=POLICY, small=SMALL, large=LARGE)
    (sample,) = await probes.small_withdrawal()
    assert sample.detail | {"id": "", "destination": ""} == {
        "id": "",
        "venue_id": "17",
        "customer_id": "small",
        "network": "aster",
        "asset": "AST",
        "amount": str(5 * 10**14),
        "destination": "",
        "code": "accepted",
    }


async def test_the_venue_is_asked_where_its_customers_ask_and_the_log_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never past the front, although a sandbox knows a shorter way."""
    asked: list[str] = []

    class Noting(httpx.AsyncClient):
        def __init__(self, *, base_url: str, **options: Any) -> None:
            asked.append(base_url)
            super().__init__(base_url=base_url, **options)

    monkeypatch.setattr("seawall.evidence.prober.httpx.AsyncClient", Noting)
    api = "http://127.0.0.1:5"
    deployment = make_deployment(
        tmp_path, urls=urls(api=f"{api}/", api_direct="http://127.0.0.1:6"), networks={}
    )
    out = io.StringIO()

    # This sandbox lacks proxies, which ends the prober once it knows where the venue is.
    with pytest.raises(UsageError, match="lacks"):
        await watch(
            deployment=deployment,
            policy=POLICY,
            adapter=ContractAdapter(),
            accounts=(SMALL, LARGE),
            lanes={},
            log=ProbeLog(out),
        )

    assert {url.rstrip("/") for url in asked} == {api}
    (line,) = map(json.loads, out.getvalue().splitlines())
    assert (line["probe"], line["detail"]) == (ADDRESS_PROBE, {"api": api})


def test_endpoints_are_probed_where_there_is_a_proxy_and_a_sandbox_must_have_them(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match=r"lacks kms\.us-west-2, rpc\.aster\.primary"):
        endpoints_of(make_deployment(tmp_path))
    with pytest.raises(UsageError, match="lacks"):
        endpoints_of(make_deployment(tmp_path, regions=None))
    staging = make_deployment(tmp_path, kind="staging")
    assert [probe.probes()[0].about for probe in endpoints_of(staging)] == [{"region": "us-east-1"}]
    bare = make_deployment(tmp_path, kind="staging", regions=None, proxies={}, networks={})
    assert endpoints_of(bare) == []


def test_prometheus_is_asked_where_a_drill_may_stop_it(tmp_path: Path) -> None:
    address = {"prometheus": {"address": "127.0.0.1:9"}}
    stoppable = make_deployment(
        tmp_path, kind="staging", regions=None, proxies={}, processes=address
    )
    assert [probe.probes()[0].name for probe in endpoints_of(stoppable)] == ["prometheus"]


@pytest.mark.parametrize(
    ("status", "reason", "result"),
    [
        (200, "", "answered"),
        (
            503,
            "An error occurred (AccessDeniedException) when calling the Sign operation: no",
            None,
        ),
        (404, "", "HTTP 404"),
    ],
)
def test_a_signers_probe_shows_what_its_key_service_answers(
    status: int, reason: str, result: str | None
) -> None:
    """The error code of the key service, or that there was none."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url}")
        return httpx.Response(status, json={"code": "provider_unavailable", "reason": reason})

    async def probed() -> Sample:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            signer = Signer(url="http://signer/", operations_per_s=1)
            probe = SignerProbe(http=http, region="us-east-1", signer=signer)
            [sample] = await probe.signs()
            return sample

    expected = result or "AccessDeniedException"
    assert asyncio.run(probed()) == Sample(
        probe="signer", ok=status == 200, detail={"region": "us-east-1", "result": expected}
    )
    assert asked == ["POST http://signer/probe"]


def test_a_customers_functions_are_tried_as_often_as_the_policy_says() -> None:
    """The judge expects so many samples, so the period stands in one place only."""
    every = {probe.period_s for probe in _Venue(202, _receipt).probes().probes()}

    assert every == {POLICY.probing.every / 1_000}
