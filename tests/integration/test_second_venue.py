"""The second venue, whole: it pays exactly once whatever dies, and its vices are what they say.

What was paid is read from the chain: every payout goes to an address of its own, so what that holds
is what was paid.
"""

from __future__ import annotations

import csv
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import pytest
import yaml

from sandbox.reaper import carriers
from seawall.ethereum.rpc import RpcClient
from seawall.formats.deployment import Source, load_deployment
from seawall.reconciliation.result import Reconciliation
from seawall.reconciliation.run import reconcile
from seawall.scorecard.outcome import Outcome
from tests.testing.nightly import repetitions
from tests.testing.second_venue.config import Vice
from tests.testing.second_venue_harness import PAYER_PROCESS, SecondVenue, second_venue

pytestmark = pytest.mark.integration

ENDS_WITHIN_S = 40.0
"""Ends a test that waits for something that never comes; nothing is promised within it."""
BLOCK_S = 0.4
KILLS = 6
POOLS = (("aster", "AST"), ("aster", "USDX"), ("birch", "BIR"), ("birch", "USDX"))
REVERTS = "0x60006000fd"  # PUSH1 0 PUSH1 0 REVERT


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A payout that a customer wants; ``units`` are base units of its asset."""

    ref: str
    network: str
    asset: str
    units: int
    address: str

    def body(self, venue: SecondVenue) -> dict[str, str]:
        """The request, in the venue's words."""
        decimals = venue.policy.assets[self.asset].decimals
        amount = f"{self.units // 10**decimals}.{self.units % 10**decimals:0{decimals}d}"
        coin = f"{self.asset}-{self.network}".lower()
        return {"ref": self.ref, "coin": coin, "amount": amount, "address": self.address}

    def paid(self, venue: SecondVenue) -> int:
        """What the address holds on the chain."""
        return venue.held(self.network, self.asset, self.address)


def plan(count: int, rng: Random) -> list[Asked]:
    """Payouts over all networks and assets, each to a new address."""
    planned = []
    for number in range(count):
        network, asset = POOLS[number % len(POOLS)]
        planned.append(
            Asked(
                ref=str(uuid.UUID(int=rng.getrandbits(128))),
                network=network,
                asset=asset,
                units=rng.randrange(1, 1_000_000),
                address=f"0x{rng.getrandbits(160):040x}",
            )
        )
    return planned


@contextmanager
def logged_in(venue: SecondVenue, customer: str = "customer-0001") -> Iterator[httpx.Client]:
    """A client of the venue with a session."""
    with httpx.Client(base_url=venue.api_url, trust_env=False, timeout=10) as client:
        answer = client.post(
            "/sessions", json={"user": customer, "secret": venue.secrets[customer]}
        )
        client.headers["X-Session"] = answer.raise_for_status().json()["token"]
        yield client


def ask(client: httpx.Client, venue: SecondVenue, asked: Asked) -> str:
    """Ask until it is acknowledged, with the same reference; the venue's number."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while True:
        try:
            answer = client.post("/payouts", json=asked.body(venue))
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the api did not come back"
            time.sleep(0.05)
            continue
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["payout"]["no"])


def follow(client: httpx.Client, number: str) -> dict[str, str]:
    """What became of a payout."""
    answer = client.get(f"/payouts/{number}")
    found: dict[str, str] = answer.raise_for_status().json()["payout"]
    return found


def until_ended(client: httpx.Client, numbers: Sequence[str]) -> list[dict[str, str]]:
    """Wait until every payout is paid or refused."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while True:
        found = [follow(client, number) for number in numbers]
        if all(each["status"] in ("paid", "refused") for each in found):
            return found
        assert time.monotonic() < deadline, [each["status"] for each in found]
        time.sleep(0.1)


def act(venue: SecondVenue, process: str, what: str) -> None:
    """Use the handle of a process."""
    url = f"{venue.process_control}/processes/{process}/{what}"
    assert httpx.post(url, trust_env=False).status_code == 204


def until_awake(venue: SecondVenue) -> None:
    """Wait until payer and api answer: one that dies while it starts shows nothing."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    for url in (f"http://{venue.deployment.answers_at(PAYER_PROCESS)}", venue.api_url):
        while True:
            try:
                httpx.get(url, trust_env=False)
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"{url} did not come back"
                time.sleep(0.02)
            else:
                break


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondVenue]:
    """A venue without vices; few nonces in flight, so that work is left whenever it dies."""
    folder = tmp_path_factory.mktemp("second") / "venue"
    with second_venue(folder, customers=20, in_flight_max=8, block_s=BLOCK_S) as venue:
        yield venue


@pytest.mark.nightly  # its drills stay
def test_each_payout_is_paid_exactly_once_while_both_processes_are_killed(
    honest: SecondVenue,
) -> None:
    """Kill -9 at random, of the payer all the time and of the api twice."""
    rng = Random(7)
    wanted = plan(60, rng)
    lives = honest.processes.log(PAYER_PROCESS).count("ready")

    def kill_at_random() -> None:
        for number in range(KILLS):
            until_awake(honest)
            time.sleep(rng.uniform(0, 0.8))
            victims = (PAYER_PROCESS, "venue-api") if number in (1, 4) else (PAYER_PROCESS,)
            for what in ("kill", "start"):
                for each in victims:
                    act(honest, each, what)

    killer = threading.Thread(target=kill_at_random)
    killer.start()
    try:
        with logged_in(honest) as client:
            numbers = []
            for each in wanted:
                numbers.append(ask(client, honest, each))
                time.sleep(0.08)
    finally:
        killer.join()
    until_awake(honest)
    with logged_in(honest) as client:
        ended = until_ended(client, numbers)

    assert honest.processes.log(PAYER_PROCESS).count("ready") == lives + KILLS
    assert len(set(numbers)) == len(wanted)
    assert {each["status"] for each in ended} == {"paid"}
    assert [each.paid(honest) for each in wanted] == [each.units for each in wanted]
    for each, found in zip(wanted, ended, strict=True):
        node = RpcClient(network=each.network, url=honest.nodes[each.network], timeout_s=10)
        receipt = node.call("eth_getTransactionReceipt", found["chain_tx"])
        assert receipt["from"] == honest.senders[each.network]
        assert receipt["status"] == "0x1"


def test_a_reference_is_replayed_or_refused_but_never_paid_again(honest: SecondVenue) -> None:
    """Also once it is paid."""
    (wanted,) = plan(1, Random(8))
    with logged_in(honest, "customer-0002") as client:
        body = wanted.body(honest)
        first = client.post("/payouts", json=body)
        until_ended(client, [first.json()["payout"]["no"]])
        again = client.post("/payouts", json=body)
        other = client.post("/payouts", json=body | {"amount": "1"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json()["payout"]["no"] == first.json()["payout"]["no"]
    assert other.json()["error"]["kind"] == "duplicate_ref"
    assert wanted.paid(honest) == wanted.units


def test_what_the_network_refuses_is_given_back(honest: SecondVenue) -> None:
    """A contract that takes no money makes a transfer with status 0."""
    address = f"0x{0xDEAD01:040x}"
    node = RpcClient(network="aster", url=honest.nodes["aster"], timeout_s=10)
    node.call("anvil_setCode", address, REVERTS)
    with logged_in(honest, "customer-0003") as client:
        before = client.get("/wallet").json()
        asked = Asked(ref=str(uuid.uuid4()), network="aster", asset="AST", units=5, address=address)
        number = ask(client, honest, asked)
        assert client.get("/wallet").json() != before
        (ended,) = until_ended(client, [number])
        assert (ended["status"], bool(ended["note"])) == ("refused", True)
        assert client.get("/wallet").json() == before
    assert asked.paid(honest) == 0


@pytest.mark.nightly  # drills of the second venue stay
def test_a_node_that_stands_still_only_delays(honest: SecondVenue) -> None:
    """The payer stays alive, and goes on with the node."""
    (wanted,) = plan(1, Random(9))
    honest.node_processes.freeze("anvil-aster")
    try:
        with logged_in(honest, "customer-0004") as client:
            number = ask(client, honest, wanted)
            deadline = time.monotonic() + ENDS_WITHIN_S
            while "aster: " not in honest.processes.log(PAYER_PROCESS):
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        honest.node_processes.bring_back("anvil-aster")
    with logged_in(honest, "customer-0004") as client:
        (ended,) = until_ended(client, [number])
    assert ended["status"] == "paid"
    assert wanted.paid(honest) == wanted.units


def test_processes_have_the_handles_of_a_sandbox(honest: SecondVenue) -> None:
    """Frozen it is silent, killed it stays down, and started it goes on."""
    listed = f"{honest.process_control}/processes"
    address = honest.deployment.answers_at(PAYER_PROCESS)
    both = {"venue-api": "running", PAYER_PROCESS: "running"}
    assert httpx.get(listed, trust_env=False).json() == {"processes": both}
    act(honest, PAYER_PROCESS, "freeze")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"http://{address}", trust_env=False, timeout=0.3)
    act(honest, PAYER_PROCESS, "kill")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address}", trust_env=False, timeout=1)
    states = httpx.get(listed, trust_env=False).json()["processes"]
    assert states == both | {PAYER_PROCESS: "down"}
    act(honest, PAYER_PROCESS, "start")
    act(honest, PAYER_PROCESS, "start")
    assert httpx.get(listed, trust_env=False).json() == {"processes": both}
    assert httpx.post(f"{listed}/nobody/kill", trust_env=False).status_code == 404


def test_the_files_say_what_runs(honest: SecondVenue) -> None:
    """A deployment that drills may run on, a mapping of every asset, and customers by text."""
    deployment = load_deployment(honest.deployment_file)
    deployment.permit()
    assert deployment.kind == "staging"
    assert deployment.venue.speaks == str(honest.mapping_file)
    assert honest.kill_switch_file.read_text(encoding="utf-8") == "armed\n"
    mapping = yaml.safe_load(honest.mapping_file.read_text(encoding="utf-8"))
    coins = {coin for assets in mapping["assets"].values() for coin in assets.values()}
    assert coins == set(honest.config.coins)
    with honest.customers_file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 * len(POOLS)
    assert rows[0]["customer_id"] == "customer-0001"
    for name, network in deployment.networks.items():
        assert network.transfers is not None
        assert network.transfers.senders == (honest.senders[name],)
        assert set(network.transfers.tokens) == {"USDX"}


def test_everything_ends_with_the_block(tmp_path: Path) -> None:
    """Also if the block fails while a process stands still."""
    message = "of the test"
    run_id = ""

    def fail() -> None:
        nonlocal run_id
        with second_venue(tmp_path / "venue", customers=1, block_s=BLOCK_S) as venue:
            run_id = venue.processes.run_id
            venue.processes.freeze("venue-api")
            assert len(carriers(run_id)) >= 4
            raise ValueError(message)

    with pytest.raises(ValueError, match=message):
        fail()
    assert not carriers(run_id)


@pytest.mark.parametrize("vice", repetitions(["pays-twice", "loses", "lies"], keep=1))
def test_a_vice_does_what_it_says(tmp_path: Path, vice: Vice) -> None:
    """To every twentieth payout, and to no other."""
    wanted = plan(20, Random(10))
    with second_venue(tmp_path / "venue", vice=vice, customers=1, block_s=BLOCK_S) as venue:
        with logged_in(venue) as client:
            numbers = [ask(client, venue, each) for each in wanted]
            assert numbers[-1] == "P-000020"
            if vice == "loses":
                deadline = time.monotonic() + ENDS_WITHIN_S
                while client.get(f"/payouts/{numbers[-1]}").status_code != 404:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                until_ended(client, numbers[:-1])
            else:
                ended = until_ended(client, numbers)
                assert {each["status"] for each in ended} == {"paid"}
        times = {"pays-twice": 2, "loses": 0, "lies": 0}[vice]
        if vice == "pays-twice":
            until_all_final(venue)
        assert [each.paid(venue) for each in wanted[:-1]] == [each.units for each in wanted[:-1]]
        assert wanted[-1].paid(venue) == times * wanted[-1].units
        found = by_its_books(venue)
        contradictions = {"pays-twice": {"paid-twice"}, "lies": {"posted-without-payment"}}
        assert {each.name for each in found.contradictions.each} == contradictions.get(vice, set())
        expected = Outcome.PASS if vice == "loses" else Outcome.FAIL
        assert found.outcome is expected, [each.text for each in found.doubts.each]


def by_its_books(venue: SecondVenue) -> Reconciliation:
    """What explains its money; of a payout that it has lost its books know nothing."""
    books_file = venue.folder / "withdrawals.csv"
    columns = "id,seq,network,asset,amount,destination,state,reason,slot_id,resolved_at"
    states = {"queued": "reserved", "sent": "slotted", "paid": "posted", "refused": "voided"}
    with closing(sqlite3.connect(venue.config.database)) as books:
        rows = books.execute("select number, network, coin, amount, address, status from payouts")
        lines = [
            f"{number},{number},{network},{coin.partition('-')[0].upper()},{amount},{address},"
            f"{states[status]},,,"
            for number, network, coin, amount, address, status in rows
        ]
    books_file.write_text("\n".join([columns, *lines, ""]), encoding="utf-8")
    deployment = venue.deployment.model_copy(
        update={"evidence": {"withdrawals": Source(file=books_file)}}
    )
    return reconcile(deployment, venue.policy, report=print)


def until_all_final(venue: SecondVenue) -> None:
    """Wait until the venue's books have no transfer that is not final."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    with closing(sqlite3.connect(venue.config.database)) as books:
        while books.execute("select 1 from sends where state = 'open'").fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.05)
