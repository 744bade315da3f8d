"""What an answer to a withdrawal means to a flood."""

from __future__ import annotations

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
