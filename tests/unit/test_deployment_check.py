"""Which drills a deployment allows is said beforehand; one that it does not allow is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seawall.cache import repository_root
from seawall.deployment_check import possible_drills, require_possible, require_reachable
from seawall.drill_report import DrillReport
from seawall.errors import ExitCode, Problem, ServiceError, UsageError
from seawall.formats.deployment import Deployment
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment, urls
from tests.testing.endpoints import serving

POLICY = load_policy(repository_root() / "policies" / "sandbox.yaml")
PAYOUTS = {
    "contracts": {"hot": "0x1"},
    "wallets": {},
    "tokens": {"USDX": "0x7"},
    "signers": {"hot": "0x2"},
}
MAPPING = """
credential: {header: X-Key, value: "{credential}"}
amounts: base_units
operations:
  request_withdrawal:
    method: POST
    path: /out
    body: {ref: "{id}", what: "{amount} {asset} {network} {destination}"}
    success: [200]
    answer: {}
"""


@pytest.fixture(autouse=True)
def _no_fault_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that knows faults is asked in tests of its own."""
    monkeypatch.setattr(
        "seawall.deployment_check.ask",
        lambda module, policy, *, deployment: DrillReport(
            known={},
            problems=[
                Problem(path="drills.rpc-dark.faults.0", found="no proxy rpc", remedy="name it")
            ],
        ),
    )


def claiming(*words: str) -> Policy:
    """The policy with a calm drill that demands these claims, and expects nothing else."""
    calm = POLICY.drills["calm"]
    nothing = calm.expects.model_copy(update={"avoids": (), "targets": ()})
    calm = calm.model_copy(update={"claims": words, "expects": nothing})
    return POLICY.model_copy(update={"drills": POLICY.drills | {"calm": calm}})


def networks(**changes: Any) -> dict[str, Any]:
    """Those of the policy, with payouts of every token that it has."""
    return {
        name: {
            "chain_id": network.chain_id,
            "node": "http://127.0.0.1:1",
            "payouts": PAYOUTS | {"tokens": dict.fromkeys(network.tokens, "0x7")},
        }
        | changes.get(name, {})
        for name, network in POLICY.networks.items()
    }


def deployed(folder: Path, **changes: Any) -> Deployment:
    return make_deployment(folder, **{"networks": networks(), **changes})


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"aster": {"chain_id": 1}}, "aster is the chain 1 here and 73311 in the policy"),
        ({"birch": {"payouts": None}}, "payouts of BIR, USDX on birch are seen nowhere"),
        ({"birch": {"payouts": PAYOUTS | {"tokens": {}}}}, "payouts of USDX on birch are seen"),
    ],
)
def test_what_is_flooded_must_be_seen_somewhere(
    wrong: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    """Else an honest venue would be accused of not paying."""
    deployment = deployed(tmp_path, networks=networks(**wrong))
    [calm] = [each for each in possible_drills(deployment, POLICY) if each.drill == "calm"]
    assert problem in "; ".join(calm.problems)


def test_a_network_that_the_policy_lacks_is_named(tmp_path: Path) -> None:
    more = networks() | {"cedar": {"chain_id": 3, "node": "http://127.0.0.1:1"}}
    [calm, *_] = possible_drills(deployed(tmp_path, networks=more), claiming("drill"))
    assert "the policy has no network cedar" in calm.problems


def test_a_drill_can_pass_if_all_that_it_demands_is_offered(tmp_path: Path) -> None:
    drills = {
        each.drill: each for each in possible_drills(deployed(tmp_path), claiming("drill.flood"))
    }
    assert drills["calm"].can_pass
    assert drills["calm"].claimed < drills["calm"].asked
    everything = possible_drills(deployed(tmp_path), claiming("all"))
    [calm] = [each for each in everything if each.drill == "calm"]
    assert not calm.can_pass
    assert {"withdrawals", "ledger", "pages"} <= set(calm.undone)
    assert calm.problems == ()


def test_a_drill_without_a_handle_for_its_fault_is_refused_and_others_are_not(
    tmp_path: Path,
) -> None:
    require_possible(deployed(tmp_path), POLICY, ["calm", "api-killed"])
    with pytest.raises(UsageError, match=r"rpc-dark cannot be carried out .*no proxy rpc"):
        require_possible(deployed(tmp_path), POLICY, ["calm", "rpc-dark"])


def test_what_a_venue_cannot_be_asked_is_named(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text(MAPPING)
    deployment = deployed(
        tmp_path,
        venue={"speaks": str(mapping)},
        urls={key: url for key, url in urls().items() if key != "prometheus"},
    )
    [calm] = [each for each in possible_drills(deployment, POLICY) if each.drill == "calm"]
    assert set(calm.problems) == {
        "the venue offers no follow_withdrawal",
        "the venue offers no status, which the steady state's status_reachable asks for",
        "mode_controller_beats, payouts_progress of the steady state need urls.prometheus",
    }


def test_only_the_supervisor_of_a_sandbox_obeys_a_drill_that_forbids_restarts(
    tmp_path: Path,
) -> None:
    calm = POLICY.drills["calm"].model_copy(update={"restarts": False})
    policy = POLICY.model_copy(update={"drills": {"calm": calm}})
    [ours] = possible_drills(deployed(tmp_path), policy)
    [theirs] = possible_drills(
        deployed(tmp_path, kind="staging", kill_switch={"file": "switch"}), policy
    )

    assert [each for each in ours.problems if "restarts" in each] == []
    assert [each for each in theirs.problems if "restarts" in each] == [
        "it forbids restarts, which only the supervisor of a sandbox can obey"
    ]


def test_a_stack_in_another_account_than_the_policy_says_is_refused(tmp_path: Path) -> None:
    staging = {"kind": "staging", "kill_switch": {"file": "/x"}, "stack": "staging"}
    right = POLICY.accounts["staging"]

    require_possible(deployed(tmp_path, **staging, account=right), POLICY, ["calm"])
    with pytest.raises(UsageError, match=f"in the account 111111111111 here and in {right} in the"):
        require_possible(deployed(tmp_path, **staging, account="1" * 12), POLICY, ["calm"])


def test_every_address_that_cannot_be_reached_is_named_and_its_key_is_not(tmp_path: Path) -> None:
    """By its place in the file: a node's address may be as good as a password."""
    with serving(lambda path, body: (200, {})) as url:
        there = deployed(
            tmp_path,
            urls={"api": url},
            networks={"aster": {"chain_id": 1, "node": f"{url}/SECRET"}},
        )
        require_reachable(there)
        away = deployed(
            tmp_path,
            urls={"api": url, "prometheus": "http://127.0.0.1:1"},
            networks={"aster": {"chain_id": 1, "node": "http://127.0.0.1:1/SECRET"}},
        )
        with pytest.raises(ServiceError) as raised:
            require_reachable(away)
    assert raised.value.exit_code == ExitCode.UNFIT
    assert "urls.prometheus (Connection refused), networks.aster.node (Connection refused)" in str(
        raised.value
    )
    assert "SECRET" not in str(raised.value)
    assert "urls.api" not in str(raised.value)
