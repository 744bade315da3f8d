"""What an answer to a withdrawal means to a flood."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from seawall.formats.drill_contract import ContractAdapter

TABLE = [
    (202, '{"outcome": "accepted"}', "accepted", ""),
    (202, '{"outcome": "replayed"}', "replayed", ""),
    (422, '{"code": "insufficient_balance", "reason": "x"}', "refused", "insufficient_balance"),
    (503, '{"code": "suspended", "reason": "x"}', "refused", "suspended"),
    (202, "{}", "failed", "unexpected answer 202"),
    (202, '{"outcome": ["accepted"]}', "failed", "unexpected answer 202"),
    (200, '{"outcome": "accepted"}', "failed", "unexpected answer 200"),
    (202, '{"code": "suspended"}', "failed", "unexpected answer 202"),
    (500, "oops", "failed", "unexpected answer 500"),
    (202, "[]", "failed", "unexpected answer 202"),
    (302, "", "failed", "unexpected answer 302"),
]


@pytest.mark.parametrize(("status", "text", "outcome", "error"), TABLE)
def test_only_the_contract_acknowledges(status: int, text: str, outcome: str, error: str) -> None:
    """A success that does not say what became of the request is a failure."""
    from loadtests.sender import interpret

    answer = interpret(ContractAdapter(), status, {}, text.encode())

    assert (answer.outcome, answer.error) == (outcome, error)


def test_planning_a_flood_does_not_patch_the_standard_library() -> None:
    """Only the sender may bring gevent in; a program that reads a schedule keeps its threads."""
    code = (
        "import sys, loadtests.plan, loadtests.coordinator, loadtests.flood; "
        "sys.exit('gevent' in sys.modules or 'locust' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_request_over_a_rail_names_the_network_whose_balance_pays() -> None:
    """Of all others the venue is told nothing that it was not told before."""
    code = """
from loadtests.arrivals import Arrival
from loadtests.sender import Limits, Sender
from loadtests.venue import Venue
from seawall.formats.drill_contract import ContractAdapter, Credentials

venue = Venue("http://127.0.0.1:1", ContractAdapter(), concurrency=1, timeout_s=1)
sender = Sender(
    venue=venue,
    customers={"7": Credentials(customer_id="7", credential="k")},
    limits=Limits(inflight_max=1, timeout_s=1, late_ms_max=1),
    worker="0",
    on_result=print,
    on_missed=print,
)
for network, source in (("fiat", "aster"), ("aster", "")):
    arrival = Arrival(
        index=0, offset_us=0, phase="run", attempt=1, id="i", customer_id="7", network=network,
        asset="USDX", amount=5, value_micro=5, size="small", destination="D", source_network=source,
    )
    print(sender._request(arrival).body.decode())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    bodies = [json.loads(line) for line in done.stdout.splitlines()]
    plain = {"id": "i", "asset": "USDX", "amount": "5", "destination": "D"}
    assert bodies == [
        {**plain, "network": "fiat", "source_network": "aster"},
        {**plain, "network": "aster"},
    ]
