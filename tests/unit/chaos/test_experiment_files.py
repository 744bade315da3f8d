"""What the experiment files may contain, and what an experiment needs in its environment."""

from __future__ import annotations

import importlib
import inspect
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chaos.context import read_context
from chaos.faults import FAULTS, make_fault
from chaos.probes import api_key, smallest_sum
from chaos.run import EXPERIMENTS
from seawall.errors import UsageError
from seawall.formats.drill_contract import Balance
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment, write_broken_deployment, write_deployment

POLICY = Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml"
FILES = sorted(EXPERIMENTS.glob("*.json"))


def _activities(experiment: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        *experiment["steady-state-hypothesis"]["probes"],
        *experiment["method"],
        *experiment["rollbacks"],
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_activity_names_a_function_that_takes_its_arguments(file: Path) -> None:
    """A spelling mistake is found here and not in the middle of a drill."""
    for activity in _activities(json.loads(file.read_text())):
        provider = activity["provider"]
        function = getattr(importlib.import_module(provider["module"]), provider["func"])
        inspect.signature(function).bind(**provider.get("arguments", {}))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_number_stands_in_an_experiment(file: Path) -> None:
    """Durations, bounds and tolerances are the policy's.

    A tolerance is true, and its probe answers with a boolean.
    """
    numbers: list[str] = []
    experiment = json.loads(file.read_text(), parse_int=numbers.append, parse_float=numbers.append)
    assert numbers == []
    for probe in experiment["steady-state-hypothesis"]["probes"]:
        assert probe["tolerance"] is True
        function = getattr(
            importlib.import_module(probe["provider"]["module"]), probe["provider"]["func"]
        )
        assert inspect.signature(function).return_annotation == "bool"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_fault_that_is_applied_is_rolled_back_always(file: Path) -> None:
    """Plain `chaos run` does so too, although its default skips rollbacks after an interruption."""
    experiment = json.loads(file.read_text())
    applied = {
        a["provider"]["arguments"]["fault"]
        for a in experiment["method"]
        if a["provider"]["func"] == "apply_fault"
    }
    undone = {
        a["provider"]["arguments"]["fault"]
        for a in experiment["rollbacks"]
        if a["provider"]["func"] == "revert_fault"
    }
    assert applied
    assert applied == undone
    assert applied <= set(FAULTS)
    assert experiment["runtime"]["rollbacks"]["strategy"] == "always"


def test_a_fault_stays_within_the_blast_radius() -> None:
    """A fault must not touch what its game day does not name, and an unknown one is refused."""
    day = load_policy(POLICY).gameday()
    stack = make_deployment(Path())
    assert make_fault("kms-dark", deployment=stack, gameday=day).target == "kms.us-east-1"
    narrow = day.model_copy(update={"blast_radius": ("exchange.primary",)})
    with pytest.raises(
        UsageError,
        match=r"^the fault kms-dark reaches kms\.primary, which is outside the blast radius",
    ):
        make_fault("kms-dark", deployment=stack, gameday=narrow)
    assert make_fault("noop", deployment=stack, gameday=narrow).target == "nothing"
    with pytest.raises(
        UsageError, match=r"^there is no fault flood \(name one of kms-dark, noop\)$"
    ):
        make_fault("flood", deployment=stack, gameday=day)


def test_a_fault_needs_the_proxy_that_it_breaks() -> None:
    """This fault cannot be applied to signers that do not reach KMS through a proxy."""
    stack = make_deployment(Path(), proxies={})
    with pytest.raises(UsageError, match=r"^the deployment file names no proxy kms\.us-east-1"):
        make_fault("kms-dark", deployment=stack, gameday=load_policy(POLICY).gameday())


def test_the_context_is_read_whole_or_refused(tmp_path: Path) -> None:
    """Each missing or broken variable is named."""
    path = write_deployment(tmp_path)
    environment = {
        "SEAWALL_POLICY": str(POLICY),
        "SEAWALL_DEPLOYMENT": str(path),
        "SEAWALL_RUNNER_PID": "7",
        "SEAWALL_T_ZERO": "17.5",
    }
    context = read_context(environment)
    assert (context.runner_pid, context.t_zero) == (7, 17.5)
    assert context.gameday("signing-region-dark").blast_radius == ("kms.primary",)
    with pytest.raises(UsageError, match=r"has no game day with the experiment noop"):
        context.gameday("noop")
    with pytest.raises(UsageError, match=r"^SEAWALL_DEPLOYMENT is not set"):
        read_context({"SEAWALL_POLICY": str(POLICY)})
    with pytest.raises(UsageError, match=r"^SEAWALL_T_ZERO is 'soon', not a number$"):
        read_context(environment | {"SEAWALL_T_ZERO": "soon"})
    write_broken_deployment(tmp_path, urls={"api": "http://a"}, regions=None)
    with pytest.raises(UsageError, match=r"(?s)urls\.prometheus: .*urls\.lease: .*regions: "):
        read_context(environment)


def test_experiments_act_as_the_third_customer(tmp_path: Path) -> None:
    """The first two belong to the prober; customers are counted, not their balances."""
    path = tmp_path / "customers.csv"
    path.write_text(
        "customer_id,api_key,network,asset,amount\n1,a,n,X,1\n1,a,n,Y,1\n2,b,n,X,1\n3,c,n,X,1\n4,d,n,X,1\n"
    )
    assert api_key(tmp_path) == "c"
    path.write_text("customer_id,api_key,network,asset,amount\n1,a,n,X,1\n")
    with pytest.raises(UsageError, match=r"names 1 customers; experiments act as number 3"):
        api_key(tmp_path)


def test_a_probe_withdraws_little_and_only_what_is_there() -> None:
    """At least one unit of account, at most ten, of the first asset that covers it."""
    policy = load_policy(POLICY)
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
