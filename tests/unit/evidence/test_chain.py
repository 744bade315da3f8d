"""The auditor's reading of the chains, against a node that answers by table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.errors import EvidenceError
from seawall.evidence.chain import NATIVE, PAID_TOPIC, ChainSource, export_chain, head_of
from seawall.evidence.ports import before_of
from seawall.reconciliation.chain import PinnedNetwork
from tests.testing.deployments import make_deployment

LANE = "0x" + "Ab" * 20
CONTRACT = "0x" + "cd" * 20
FINALIZED = 3


def answer(method: str, params: list[Any]) -> Any:
    """A chain with four final blocks.

    The lane had sent seven transactions at the last of them and has sent nine by now.
    """
    if method == "eth_chainId":
        return hex(7)
    if method == "eth_getBlockByNumber":
        number = FINALIZED if params[0] == "finalized" else int(params[0], 16)
        return {"number": hex(number), "timestamp": hex(1_700_000_000 + number)}
    if method == "eth_getTransactionCount":
        sent = {hex(FINALIZED): 7, "pending": 9}[params[1]]
        return hex(sent if params[0].lower() == LANE.lower() else 1)
    return {"eth_getLogs": [], "eth_getBalance": hex(5)}[method]


def handle(request: httpx.Request) -> httpx.Response:
    """A JSON-RPC batch."""
    calls = json.loads(request.content)
    return httpx.Response(
        200,
        json=[
            {"id": call["id"], "result": answer(call["method"], call["params"])} for call in calls
        ],
    )


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client of the exporter talks to :func:`handle`."""
    client = httpx.Client
    monkeypatch.setattr(
        "seawall.evidence.chain.httpx.Client",
        lambda **_: client(transport=httpx.MockTransport(handle)),
    )


@pytest.mark.usefixtures("node")
def test_the_count_of_each_lane_is_read_at_the_finalized_block(tmp_path: Path) -> None:
    """What is not final yet may never be; addresses are lower case, as everywhere."""
    site = ChainSource(
        network="aster",
        node_url="http://node",
        payout_contracts={"hot": CONTRACT},
        wallets={"hot": CONTRACT},
        assets={"AST": NATIVE},
        lanes={"hot": LANE, "market": CONTRACT},
        sent_before={"hot": 5},
        sent_earlier={"hot": 4},
    )

    sent = export_chain([site], observed={}, into=tmp_path)

    assert sent == {"aster": {"hot": 7, "market": 1}}

    with (tmp_path / "lanes.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {
                "network": "aster",
                "wallet": "hot",
                "address": LANE.lower(),
                "nonce": "7",
                "nonce_before": "5",
                "nonce_earlier": "4",
            },
            {
                "network": "aster",
                "wallet": "market",
                "address": CONTRACT.lower(),
                "nonce": "1",
                "nonce_before": "",
                "nonce_earlier": "",
            },
        ]


@pytest.mark.usefixtures("node")
def test_a_network_seen_by_transfers_beside_another_leaves_the_counts_of_keys_alone(
    tmp_path: Path,
) -> None:
    """What not every network has is not offered, and must not lie in the run."""
    contracts = ChainSource(
        network="aster",
        node_url="http://node",
        payout_contracts={"hot": CONTRACT},
        wallets={"hot": CONTRACT},
        assets={"AST": NATIVE},
        lanes={"hot": LANE},
    )
    transfers = ChainSource(
        network="birch",
        node_url="http://node",
        senders=(LANE.lower(),),
        assets={"BRC": NATIVE},
        first_block=FINALIZED + 1,
    )

    export_chain([contracts, transfers], observed={}, into=tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        *("payouts.csv", "unseen.csv", "blocks.csv", "lanes.csv")
    }


@pytest.mark.usefixtures("node")
def test_before_a_drill_what_each_lane_has_sent_is_counted(tmp_path: Path) -> None:
    """Of every network with contracts; what waits for a block was sent before the drill, too."""
    payouts = {"contracts": {}, "wallets": {}, "tokens": {}, "signers": {"hot": LANE}}
    deployment = make_deployment(
        tmp_path,
        networks={"aster": {"chain_id": 7, "node": "http://127.0.0.1:1", "payouts": payouts}},
    )

    assert before_of(deployment).sent == {"aster": {"hot": 9}}


def paid_log(*, identity: str = "00112233445566778899aabbccddeeff", more: str = "00" * 16) -> Any:
    """A ``Paid`` event of 250 base units of the native coin, number 2^40 + 7."""
    return {
        "topics": [
            PAID_TOPIC,
            f"0x{(1 << 40) + 7:064x}",
            f"0x{identity}{more}",
            "0x" + PAID[2:].rjust(64, "0"),
        ],
        "data": f"0x{0:064x}{250:064x}",
        "transactionHash": "0xpaid",
        "blockNumber": hex(2),
    }


def paying(
    log: Any, monkeypatch: pytest.MonkeyPatch, into: Path, **wallets: str
) -> list[dict[str, str]]:
    """The payouts that the export finds on a chain with one ``Paid`` event."""

    def handle(request: httpx.Request) -> httpx.Response:
        calls = json.loads(request.content)
        found = {"eth_getTransactionByHash": {"hash": "0xpaid", "from": LANE}}

        def answer_to(call: Any) -> Any:
            if call["method"] == "eth_getLogs":
                return [log] if call["params"][0]["topics"] == [PAID_TOPIC] else []
            return found.get(call["method"]) or answer(call["method"], call["params"])

        return httpx.Response(
            200, json=[{"id": call["id"], "result": answer_to(call)} for call in calls]
        )

    client = httpx.MockTransport(handle)
    monkeypatch.setattr("seawall.evidence.chain.httpx.Client", lambda **_: CLIENT(transport=client))
    site = ChainSource(
        network="aster",
        node_url="http://node",
        payout_contracts={"hot": CONTRACT},
        wallets={"hot": CONTRACT} | wallets,
        assets={"AST": NATIVE},
    )
    export_chain([site], observed={}, into=into)
    with (into / "payouts.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_goes_to_another_wallet_of_the_venue_is_no_payout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep stays with the venue; intake takes no withdrawal to an address of its own."""
    assert paying(paid_log(), monkeypatch, tmp_path, reserve=PAID.upper().replace("X", "x")) == []
    assert len(paying(paid_log(), monkeypatch, tmp_path, reserve=LANE)) == 1


def test_a_payout_names_its_number_its_withdrawal_and_its_recipient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that is none is nonsense of the node, and no withdrawal without a name."""
    (row,) = paying(paid_log(), monkeypatch, tmp_path)
    assert (row["seq"], row["withdrawal_id"], row["to"], row["amount"]) == (
        str((1 << 40) + 7),
        "00112233-4455-6677-8899-aabbccddeeff",
        PAID,
        "250",
    )
    for wrong in (paid_log(more="01" * 16), paid_log(more=""), paid_log(identity="0011")):
        with pytest.raises(EvidenceError, match="what no node can say"):
            paying(wrong, monkeypatch, tmp_path)


CLIENT = httpx.Client
OURS = "0x" + "0d" * 20
SENDER, PAID, TOKEN = "0x" + "5e" * 20, "0x" + "99" * 20, "0x" + "70" * 20


class Transferring:
    """A chain with plain transfers, whose newest block becomes final after some questions."""

    def __init__(self, *, newest: int = 5, final_after: int = 0) -> None:
        self.newest, self.final_after = newest, final_after
        self.asked_from: set[int] = set()
        self.holds = {"eth_getBalance": 0, "eth_call": 0}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """A JSON-RPC batch."""
        calls = json.loads(request.content)
        return httpx.Response(
            200,
            json=[
                {"id": call["id"], "result": self.answer(call["method"], call["params"])}
                for call in calls
            ],
        )

    def answer(self, method: str, params: list[Any]) -> Any:
        """The result of one call."""
        if method == "eth_chainId":
            return hex(7)
        if method == "eth_blockNumber":
            return hex(self.newest)
        if method == "eth_getBlockByNumber":
            if params[0] == "finalized":
                self.final_after -= 1
                return {"number": hex(self.newest if self.final_after < 0 else self.newest - 1)}
            number = int(params[0], 16)
            self.asked_from.add(number)
            return {
                "number": hex(number),
                "timestamp": hex(1_700_000_000 + number),
                "transactions": self.transactions(number) if params[1] else [],
            }
        if method in {"eth_getBalance", "eth_call"}:
            assert params[1] == hex(self.newest)
            return hex(self.holds[method])
        if method == "eth_getTransactionReceipt":
            return {"status": "0x0" if params[0] == "0xfailed" else "0x1"}
        assert method == "eth_getLogs"
        return [
            {
                "address": TOKEN.upper().replace("0X", "0x"),
                "topics": ["", *("0x" + each[2:].rjust(64, "0") for each in (sender, to))],
                "data": hex(0 if name == "0xnothing" else 250),
                "transactionHash": name,
                "blockNumber": hex(5),
            }
            for name, sender, to in (
                ("0xtoken", SENDER, PAID),
                ("0xstrangers", LANE, LANE),
                ("0xsecond", LANE, OURS),
                ("0xnothing", LANE, OURS),
            )
        ]

    def transactions(self, number: int) -> list[dict[str, Any]]:
        """Of a block: one that pays, one that fails, a call, and another sender's."""

        def sent(
            name: str, *, sender: str = SENDER, value: int = 9, to: str = PAID
        ) -> dict[str, Any]:
            return {
                "hash": name,
                "from": sender.upper().replace("0X", "0x"),
                "to": to,
                "value": hex(value),
                "blockNumber": hex(number),
            }

        return {
            4: [sent("0xpaid"), sent("0xfailed"), sent("0xcall", value=0)],
            5: [sent("0xforeign", sender=LANE), sent("0xother", sender=LANE, to=OURS)],
        }.get(number, [])


def transferred(
    chain: Transferring, into: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> list[dict[str, str]]:
    """The payouts that the export finds on ``chain``; waiting takes no time."""
    now = [0.0]
    monkeypatch.setattr(
        "seawall.evidence.chain.httpx.Client",
        lambda **_: CLIENT(transport=httpx.MockTransport(chain)),
    )
    monkeypatch.setattr("seawall.evidence.chain.time.monotonic", lambda: now[0])
    monkeypatch.setattr(
        "seawall.evidence.chain.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    fields: dict[str, Any] = {
        "network": "aster",
        "node_url": "http://node",
        "assets": {"AST": NATIVE, "USDX": TOKEN},
        "senders": (SENDER,),
        "first_block": 3,
        "final_within_s": 4.0,
    }
    export_chain([ChainSource(**(fields | changes))], observed={}, into=into)
    with (into / "payouts.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_transfers_of_an_address_are_payouts_without_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed one, a call without value and another sender's are none; earlier blocks are past."""
    chain = Transferring()
    rows = transferred(chain, tmp_path, monkeypatch)

    shown = [(row["asset"], row["amount"], row["to"], row["tx_hash"], row["seq"]) for row in rows]
    assert shown == [("AST", "9", PAID, "0xpaid", ""), ("USDX", "250", PAID, "0xtoken", "")]
    assert chain.asked_from == {3, 4, 5}


def test_what_arrives_at_a_destination_of_the_drill_is_read_whoever_sent_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second payment may come from another wallet of the venue."""
    rows = transferred(Transferring(), tmp_path, monkeypatch, destinations={OURS})
    assert {row["tx_hash"] for row in rows} == {"0xpaid", "0xtoken", "0xother", "0xsecond"}
    strangers = {row["tx_hash"] for row in rows if row["stranger"] == LANE.lower()}
    assert strangers == {"0xother", "0xsecond"}
    assert {row["stranger"] for row in rows if row["tx_hash"] not in strangers} == {""}

    rows = transferred(
        Transferring(), tmp_path, monkeypatch, destinations={OURS}, own=(LANE.lower(),)
    )
    assert {row["stranger"] for row in rows} == {""}


def test_what_a_destination_holds_beyond_what_was_seen_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment by a call within a transaction is in no transfer that is read."""
    chain = Transferring()
    chain.holds = {"eth_getBalance": 9 + 4, "eth_call": 250}

    transferred(chain, tmp_path, monkeypatch, destinations={OURS})

    assert (tmp_path / "unseen.csv").read_text().split() == [
        "network,to,asset,amount",
        f"aster,{OURS},AST,4",
    ]


def test_what_could_not_be_read_in_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seawall.evidence.chain._HELD_S_MAX", -1.0)

    transferred(Transferring(), tmp_path, monkeypatch, destinations={OURS})

    assert (tmp_path / "unseen.csv").read_text().split() == [
        "network,to,asset,amount",
        "aster,,AST,",
    ]


def test_a_reconciliation_reads_the_same_transfers_a_few_blocks_at_a_time() -> None:
    """Each block once, from the first one that counts."""
    chain = Transferring()
    source = ChainSource(
        network="aster",
        node_url="http://node",
        assets={"AST": NATIVE, "USDX": TOKEN},
        senders=(SENDER,),
        first_block=3,
    )
    with CLIENT(transport=httpx.MockTransport(chain)) as client:
        network = PinnedNetwork(client, source, chain_id=7)
        [activity] = network.activity(0, 5)
        assert list(network.activity(6, 5)) == []

    paid = [
        (each.asset, each.amount, each.to, each.tx_hash, each.block_number, each.sender)
        for each in activity.payments
    ]
    assert paid == [
        ("AST", 9, PAID, "0xpaid", 4, SENDER),
        ("USDX", 250, PAID, "0xtoken", 5, SENDER),
    ]
    assert {each.seq for each in activity.payments} == {None}
    assert chain.asked_from == {3, 4, 5}


@pytest.mark.parametrize("own", [{"senders": (SENDER, PAID)}, {"own": (PAID,)}])
def test_what_stays_between_addresses_of_the_venue_is_no_payout(
    own: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coins and tokens alike; a destination of the drill is nobody's own."""
    assert transferred(Transferring(), tmp_path, monkeypatch, **own) == []
    rows = transferred(Transferring(), tmp_path, monkeypatch, **own, destinations={PAID})
    assert {row["tx_hash"] for row in rows} == {"0xpaid", "0xtoken", "0xforeign"}


def test_a_node_of_another_chain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    client = httpx.MockTransport(Transferring())
    monkeypatch.setattr("seawall.evidence.chain.httpx.Client", lambda **_: CLIENT(transport=client))
    assert head_of("aster", "http://node", chain_id=7) == 5
    with pytest.raises(EvidenceError, match="one of the chain 7, and 8 is declared"):
        head_of("aster", "http://node", chain_id=8)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (httpx.Response(401, text="no"), "answered with HTTP 401$"),
        (httpx.Response(200, json={"error": "no batches"}), "did not answer a batch"),
        (httpx.Response(200, text="<html>"), "did not answer a batch"),
        (httpx.Response(200, json=[{"id": 0, "result": None}]), "refused eth_chainId"),
    ],
)
def test_a_node_that_does_not_answer_is_named_without_its_address(
    answer: httpx.Response, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address may have a key in it."""
    client = httpx.MockTransport(lambda _: answer)
    monkeypatch.setattr("seawall.evidence.chain.httpx.Client", lambda **_: CLIENT(transport=client))
    with pytest.raises(EvidenceError, match=complaint) as raised:
        head_of("aster", "http://node/SECRET", chain_id=7)
    assert "SECRET" not in str(raised.value)


def test_transfers_are_read_once_the_newest_block_is_final_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the venue has just called paid must not look unpaid only because it is not final yet."""
    assert len(transferred(Transferring(final_after=3), tmp_path, monkeypatch)) == 2
    with pytest.raises(EvidenceError, match="block 5 of aster was not final within 4 s"):
        transferred(Transferring(final_after=99), tmp_path, monkeypatch)


@pytest.mark.parametrize("nonsense", [None, "0x", 7, {}, [], "latest"])
@pytest.mark.parametrize(
    "method", ["eth_getBlockByNumber", "eth_getTransactionCount", "eth_getBalance"]
)
def test_nonsense_of_a_node_is_missing_evidence_and_no_crash(
    method: str, nonsense: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A drill whose chain could not be read is UNKNOWN."""

    def spoilt(request: httpx.Request) -> httpx.Response:
        answers = json.loads(handle(request).content)
        for call, each in zip(json.loads(request.content), answers, strict=True):
            if call["method"] == method:
                each["result"] = nonsense
        return httpx.Response(200, json=answers)

    client = httpx.MockTransport(spoilt)
    monkeypatch.setattr("seawall.evidence.chain.httpx.Client", lambda **_: CLIENT(transport=client))
    site = ChainSource(
        network="aster",
        node_url="http://node",
        assets={"AST": NATIVE},
        wallets={"hot": LANE},
        lanes={"hot": LANE},
    )
    with pytest.raises(EvidenceError, match="aster"):
        export_chain([site], observed={}, into=tmp_path)
