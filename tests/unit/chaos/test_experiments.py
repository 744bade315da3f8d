"""What experiments contain, which faults there are, and what an experiment needs around it."""

from __future__ import annotations

import importlib
import inspect
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chaos.check import problems_of
from chaos.context import read_context
from chaos.faults import Fault, known_faults, make_fault
from chaos.noop import Noop
from chaos.probes import account_of
from chaos.render import RENDERER
from seawall.cache import repository_root
from seawall.errors import UsageError
from seawall.experiments import experiment_of, faults_of
from seawall.formats.deployment import Deployment
from seawall.formats.drill_contract import Balance, smallest_sum
from seawall.policy_file import load_policy
from tests.testing.deployments import (
    NOTHING,
    make_deployment,
    write_broken_deployment,
    write_deployment,
)
from tests.testing.policies import policy as literal

POLICY_PATH = repository_root() / "policies" / "sandbox.yaml"
POLICY = load_policy(POLICY_PATH)
DRILLS = list(POLICY.drills)
SIGNERS = {"us-east-1": {"url": NOTHING, "operations_per_s": 60}}
OWN_FAULT = """
from chaos.faults import Fault, Observation, Parameters
from seawall.lease import UndoCall
from seawall.policy.quantities import DurationMs

class Slow(Parameters):
    latency: DurationMs

class OwnFault(Fault):
    \"\"\"A fault of the user's own.\"\"\"

    name = "own-fault"
    parameters_type = Slow
    part = "a part"

    @classmethod
    def targets(cls, policy):
        return ("own.target",)

    def undo(self):
        return ()

    def apply(self):
        pass

    def observe(self):
        return Observation(state="clear", what="nothing")
"""


def _activities(experiment: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        *experiment["steady-state-hypothesis"]["probes"],
        *experiment["method"],
        *experiment["rollbacks"],
    ]


def _faults(experiment: dict[str, Any], part: str, function: str) -> set[str]:
    return {
        activity["provider"]["arguments"]["fault"]
        for activity in experiment[part]
        if activity["provider"]["func"] == function
    }


def _stack(folder: Path, **changes: Any) -> Deployment:
    """One on which every fault of the key service can be seen."""
    return make_deployment(folder, **({"signers": SIGNERS} | changes))


def _make(
    stack: Deployment,
    name: str = "kms-dark",
    *,
    target: str = "kms.primary",
    blast_radius: tuple[str, ...] = ("kms.primary",),
    **parameters: str,
) -> Fault:
    return make_fault(
        name, target=target, parameters=parameters, deployment=stack, blast_radius=blast_radius
    )


@pytest.mark.parametrize("drill", DRILLS)
def test_every_activity_names_a_function_that_takes_its_arguments(drill: str) -> None:
    """A spelling mistake is found here and not in the middle of a drill."""
    for activity in _activities(experiment_of(POLICY, drill)):
        provider = activity["provider"]
        function = getattr(importlib.import_module(provider["module"]), provider["func"])
        given = dict(provider.get("arguments", {}))
        # Chaos Toolkit hands the configuration to a function that asks for it.
        if "configuration" in inspect.signature(function).parameters:
            given["configuration"] = {}
        inspect.signature(function).bind(**given)


@pytest.mark.parametrize("drill", DRILLS)
def test_every_number_stands_under_configuration_and_once(drill: str) -> None:
    """Activities only refer to it. A tolerance is true, and its probe answers with a boolean."""
    experiment = experiment_of(POLICY, drill)
    numbers: list[str] = []
    elsewhere = {key: value for key, value in experiment.items() if key != "configuration"}
    json.loads(json.dumps(elsewhere), parse_int=numbers.append, parse_float=numbers.append)
    assert numbers == []
    for probe in experiment["steady-state-hypothesis"]["probes"]:
        assert probe["tolerance"] is True
        function = getattr(
            importlib.import_module(probe["provider"]["module"]), probe["provider"]["func"]
        )
        assert inspect.signature(function).return_annotation == "bool"


@pytest.mark.parametrize("drill", DRILLS)
def test_every_fault_that_is_applied_is_rolled_back_always(drill: str) -> None:
    """Plain `chaos run` does so too, although its default skips rollbacks after an interruption."""
    experiment = experiment_of(POLICY, drill)
    applied = _faults(experiment, "method", "apply_fault")

    assert applied == {f"${{{key}}}" for key in faults_of(POLICY.drills[drill])}
    assert applied == _faults(experiment, "method", "revert_fault")
    assert experiment["rollbacks"]
    assert experiment["runtime"]["rollbacks"]["strategy"] == "always"
    if applied:
        assert applied == _faults(experiment, "rollbacks", "revert_fault")


def test_faults_are_applied_and_undone_in_the_order_of_their_times() -> None:
    """One that begins when another ends comes after its undo."""
    policy = literal(
        {
            "drills.signing-region-dark.faults": [
                {"fault": "b", "target": "kms.primary", "after": "20s", "length": "30s"},
                {"fault": "a", "target": "kms.primary", "after": "5s", "length": "15s"},
            ]
        }
    )
    method = experiment_of(policy, "signing-region-dark")["method"]

    assert [activity["name"] for activity in method] == [
        "wait-for-a-of-kms.primary",
        "apply-a-of-kms.primary",
        "hold-a-of-kms.primary",
        "undo-a-of-kms.primary",
        "wait-for-b-of-kms.primary",
        "apply-b-of-kms.primary",
        "hold-b-of-kms.primary",
        "undo-b-of-kms.primary",
    ]


def test_the_rendered_experiments_are_those_of_the_policies() -> None:
    """They are committed for plain `chaos run`, and a stale one would be another drill."""
    for name in ("production", "sandbox"):
        policy = load_policy(repository_root() / "policies" / f"{name}.yaml")

        assert RENDERER.stale(policy) == []


def test_a_fault_stays_within_the_blast_radius(tmp_path: Path) -> None:
    """A fault must not touch what its drill does not name, and an unknown one is refused."""
    stack = _stack(tmp_path)

    assert _make(stack).part == "kms.us-east-1"
    with pytest.raises(
        UsageError,
        match=r"^the fault kms-dark reaches kms\.primary, which is outside the drill's blast",
    ):
        _make(stack, blast_radius=("exchange.primary",))
    with pytest.raises(UsageError, match=r"^there is no fault flood \(name one of asset-paused"):
        _make(stack, "flood")
    with pytest.raises(UsageError, match=r"^the fault kms-dark cannot be aimed at api"):
        _make(stack, target="api")
    with pytest.raises(UsageError, match=r"^the fault kms-dark cannot have the parameter latency"):
        _make(stack, latency="3s")


def test_a_fault_needs_the_proxy_that_it_breaks(tmp_path: Path) -> None:
    """This fault cannot be applied to signers that do not reach KMS through a proxy."""
    stack = _stack(tmp_path, proxies={})
    with pytest.raises(UsageError, match=r"^the deployment file names no proxy kms\.us-east-1"):
        _make(stack)


@pytest.mark.parametrize("signers", [{}, {"us-west-2": SIGNERS["us-east-1"]}])
def test_a_dark_region_needs_a_signer_that_shows_it(tmp_path: Path, signers: Any) -> None:
    """The judge wants the prober's own signatures to fail, so without it none would be believed."""
    with pytest.raises(
        UsageError, match=r"^the deployment file names no signer of us-east-1 .*name it under sig"
    ):
        _make(_stack(tmp_path, signers=signers))


def test_the_control_of_a_fault_touches_nothing_and_is_not_taken_for_it(tmp_path: Path) -> None:
    """It has the target and the undo of the fault, and another name."""
    fault = _make(_stack(tmp_path))
    control = Noop(fault)

    assert (control.name, control.target, control.part) == ("noop", fault.target, fault.part)
    assert control.undo() == fault.undo()
    assert control.observe().state == "clear"
    control.apply()
    assert control.observe().state == "effective"


def test_a_fault_of_ones_own_is_one_file_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known, checked and made like the kit's own."""
    (tmp_path / "own_fault.py").write_text(OWN_FAULT)
    monkeypatch.setenv("SEAWALL_FAULTS", str(tmp_path))

    assert list(known_faults())[-1] == "own-fault"
    fault = _make(
        make_deployment(tmp_path),
        "own-fault",
        target="own.target",
        blast_radius=("own.target",),
        latency="250ms",
    )
    assert fault.parameters.model_dump() == {"latency": 250}
    assert fault.declared == {"latency": "250ms"}
    planned = {"fault": "own-fault", "target": "elsewhere", "after": "1s", "length": "75s"}
    found = problems_of(literal({"drills.signing-region-dark.faults": [planned]}))
    assert [problem.path.removeprefix("drills.signing-region-dark.") for problem in found] == [
        "faults.0.target",
        "faults.0.parameters.latency",
        "expects.targets",
    ]


def test_what_a_drill_says_of_faults_is_held_against_those_that_there_are() -> None:
    """Failover is measured from the one fault that it can follow; every word is known."""
    assert problems_of(POLICY) == []
    for place, value, named in (
        ("faults.0.fault", "kms-gone", ["faults.0.fault", "expects.targets"]),
        ("faults.0.target", "kms.standby", ["expects.targets"]),
        ("blast_radius", ["kms.primary", "whatever"], ["blast_radius.1"]),
    ):
        found = problems_of(literal({f"drills.signing-region-dark.{place}": value}))
        assert [p.path.removeprefix("drills.signing-region-dark.") for p in found] == named


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("mine.py", OWN_FAULT, "is not called like its file \\(write name = 'mine'\\)"),
        ("empty.py", "", "holds 0 faults"),
        ("broken.py", "import nothing_like_it", "breaks: ModuleNotFoundError"),
        ("own_fault.py", OWN_FAULT.replace("own-fault", "kms-dark"), "not called like its file"),
        ("kms_dark.py", OWN_FAULT.replace("own-fault", "kms-dark"), "two faults called kms-dark"),
    ],
)
def test_a_file_that_holds_no_fault_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    """Nothing of a drill is started with half of its faults."""
    (tmp_path / name).write_text(text)
    monkeypatch.setenv("SEAWALL_FAULTS", str(tmp_path))

    with pytest.raises(UsageError, match=said):
        known_faults()


def test_a_folder_of_faults_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_FAULTS", str(tmp_path / "nowhere"))

    with pytest.raises(UsageError, match=r"^SEAWALL_FAULTS names .*nowhere, which is no folder"):
        known_faults()


def test_the_context_is_read_whole_or_refused(tmp_path: Path) -> None:
    """Each missing or broken variable is named."""
    path = write_deployment(tmp_path)
    environment = {
        "SEAWALL_POLICY": str(POLICY_PATH),
        "SEAWALL_DEPLOYMENT": str(path),
        "SEAWALL_RUNNER_PID": "7",
        "SEAWALL_T_ZERO": "17.5",
    }
    context = read_context(environment)
    assert (context.runner_pid, context.t_zero) == (7, 17.5)
    with pytest.raises(UsageError, match=r"^SEAWALL_DEPLOYMENT is not set"):
        read_context({"SEAWALL_POLICY": str(POLICY_PATH)})
    with pytest.raises(UsageError, match=r"^SEAWALL_T_ZERO is 'soon', not a number$"):
        read_context(environment | {"SEAWALL_T_ZERO": "soon"})
    write_broken_deployment(tmp_path, urls={"alertmanager": 7}, networks=None)
    with pytest.raises(UsageError, match=r"(?s)urls\.api: .*urls\.alertmanager: .*networks: "):
        read_context(environment)


def test_experiments_act_as_the_third_customer(tmp_path: Path) -> None:
    """The first two belong to the prober; customers are counted, not their balances."""
    path = tmp_path / "customers.csv"
    path.write_text(
        "customer_id,api_key,network,asset,amount\n1,a,n,X,1\n1,a,n,Y,1\n2,b,n,X,1\n3,c,n,X,1\n4,d,n,X,1\n"
    )
    deployment = make_deployment(tmp_path, customers=str(path))
    assert account_of(deployment).customer.credential == "c"
    path.write_text("customer_id,api_key,network,asset,amount\n1,a,n,X,1\n")
    with pytest.raises(UsageError, match=r"lists 1 customers, and 3 are needed"):
        account_of(deployment)
    with pytest.raises(UsageError, match=r"names no customers"):
        account_of(make_deployment(tmp_path))


def test_a_probe_withdraws_little_and_only_what_is_there() -> None:
    """At least one unit of account, at most ten, of the first asset that covers it."""
    policy = POLICY
    poor = Balance(network="aster", asset="AST", available="1")
    rich = Balance(network="aster", asset="USDX", available="1000000")
    assert smallest_sum(policy, (poor, rich)) == Balance(
        network="aster", asset="USDX", available="1000000"
    )
    assert smallest_sum(policy, (poor,)) is None
    for name, asset in policy.assets.items():
        taken = smallest_sum(policy, (Balance(network="aster", asset=name, available=str(10**30)),))
        assert taken is not None
        worth = Decimal(taken.available).scaleb(-asset.decimals) * asset.reference_price
        assert 1 <= worth < 10


def test_a_probe_withdraws_no_less_than_the_venue_pays() -> None:
    """Where the smallest withdrawal is more than a probe would take, a power of ten above it."""
    for least, expected in (("1", "1000000"), ("1.5", "10000000"), ("30", "100000000")):
        policy = literal({"assets.USDX.withdrawal_min": least})
        rich = Balance(network="aster", asset="USDX", available=str(10**12))
        taken = smallest_sum(policy, (rich,))
        assert taken is not None
        assert taken.available == expected
