"""What faults that a neighbour keeps up need of a deployment, and how their steps are repeated."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from chaos.faults import Fault, Observation, known_faults, make_fault
from chaos.noop import Noop
from chaos.repeated import RepeatedFault
from seawall.errors import ServiceError, UsageError
from seawall.lease import UndoCall
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.deployments import NOTHING, make_deployment
from tests.testing.venue_harness import POLICY

ENDS_WITHIN_S = 10.0
CONTRACT, ISSUER = "0x" + "cc" * 20, "0x" + "11" * 20
PAYOUTS = {
    "contracts": {"customer-aster-hot": CONTRACT},
    "wallets": {"customer-aster-hot": CONTRACT},
    "tokens": {"USDX": "0x" + "22" * 20},
    "signers": {"customer-aster-hot": "0x" + "33" * 20},
}
WHOLE = {"chain_id": 73311, "node": NOTHING, "payouts": PAYOUTS, "issuer": ISSUER}


def made(folder: Path, fault: str, target: str, *, network: Any = None, **parameters: str) -> Fault:
    return make_fault(
        fault,
        target=target,
        parameters=parameters,
        deployment=make_deployment(folder, networks={"aster": WHOLE | (network or {})}),
        blast_radius=(target,),
    )


def test_each_can_be_aimed_at_what_the_policy_has() -> None:
    """And a word of a blast radius is not one of another fault."""
    policy = load_policy(POLICY)
    targets = {
        name: known_faults()[name].targets(policy)
        for name in ("one-wei", "fee-spike", "client-frozen")
    }
    assert targets == {
        "one-wei": ("contract.customer-aster-hot", "contract.customer-birch-hot"),
        "fee-spike": ("fees.aster", "fees.birch"),
        "client-frozen": ("database.mode-lock",),
    }


@pytest.mark.parametrize(
    ("fault", "target", "changes", "said"),
    [
        ("one-wei", "contract.other", {}, "the deployment file names no such contract"),
        ("one-wei", "customer-aster-hot", {}, "the deployment file names no such contract"),
        (
            "one-wei",
            "contract.customer-aster-hot",
            {"network": {"issuer": None}},
            "names no issuer on",
        ),
        (
            "one-wei",
            "contract.customer-aster-hot",
            {"network": {"payouts": None}},
            "no such contract",
        ),
        ("fee-spike", "fees.birch", {"base_fee_gwei": "5"}, "names no such network"),
        ("fee-spike", "aster", {"base_fee_gwei": "5"}, "names no such network"),
        ("fee-spike", "fees.aster", {}, "cannot have the parameter base_fee_gwei"),
        ("fee-spike", "fees.aster", {"base_fee_gwei": "0"}, "cannot have the parameter"),
        ("client-frozen", "database.ledger", {}, "cannot be aimed at database.ledger"),
        ("client-frozen", "database.mode-lock", {}, "names no client of the ledger's"),
    ],
)
def test_what_a_deployment_cannot_show_is_refused(
    tmp_path: Path, fault: str, target: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        made(tmp_path, fault, target, **changes)


def test_nobody_sets_the_fees_of_a_network_that_others_use(tmp_path: Path) -> None:
    stack = make_deployment(
        tmp_path,
        kind="staging",
        account="210987654321",
        networks={"aster": WHOLE | {"node": "http://node.blue.example"}},
    )
    with pytest.raises(UsageError, match="is not on this machine"):
        make_fault(
            "fee-spike",
            target="fees.aster",
            parameters={"base_fee_gwei": "5"},
            deployment=stack,
            blast_radius=("fees.aster",),
        )


@pytest.mark.parametrize(
    ("fault", "target", "parameters"),
    [
        ("one-wei", "contract.customer-aster-hot", {}),
        ("fee-spike", "fees.aster", {"base_fee_gwei": "5"}),
    ],
)
def test_a_node_that_is_silent_shows_nothing(
    tmp_path: Path, fault: str, target: str, parameters: dict[str, str]
) -> None:
    silent = made(tmp_path, fault, target, **parameters)
    assert silent.observe().state == "unclear"
    with pytest.raises(ServiceError):
        silent.apply()
    noop = Noop(silent)
    noop.apply()
    assert noop.observe().state == "effective"


class _Steps(RepeatedFault):
    """Counts its steps; the first one fails if it is to."""

    name = "steps"
    part = "steps"
    every_s = 0.0

    def __init__(self, folder: Path, *, fails: int = 0) -> None:
        super().__init__(make_deployment(folder), target="steps", parameters={})
        self.fails, self.steps, self.rests = fails, 0, 0
        self.third = threading.Event()

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        del policy
        return ("steps",)

    def undo(self) -> tuple[UndoCall, ...]:
        return ()

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.fails:
            message = "it broke"
            raise ServiceError(message)
        if self.steps >= 3:
            self.third.set()

    def rest(self) -> None:
        self.rests += 1

    def observe(self) -> Observation:
        return Observation(state="effective" if self.steps else "clear", what="")


def _of_steps() -> list[threading.Thread]:
    """Threads that still repeat steps."""
    return [thread for thread in threading.enumerate() if thread.name == "steps.steps"]


def test_the_first_step_is_done_before_the_fault_counts_as_applied(tmp_path: Path) -> None:
    """Then it goes on by itself, also after one that failed, until it is undone."""
    fault = _Steps(tmp_path, fails=2)
    fault.revert(within_ms=1_000)  # nothing was applied
    fault.apply()
    assert fault.steps >= 1
    fault.apply()  # it is applied already
    assert fault.third.wait(ENDS_WITHIN_S)
    fault.revert(within_ms=1_000)
    fault.revert(within_ms=1_000)
    done = fault.steps
    assert (fault.rests, _of_steps()) == (1, [])
    fault.apply()
    fault.revert(within_ms=1_000)
    assert fault.steps > done
    assert fault.rests == 2


def test_a_first_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    fault = _Steps(tmp_path, fails=1)
    with pytest.raises(ServiceError, match="it broke"):
        fault.apply()
    assert (fault.steps, fault.rests, _of_steps()) == (1, 1, [])
