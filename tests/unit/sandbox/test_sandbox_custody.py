"""The custodian of a sandbox: its terms follow from policy and contracts, its secrets are new."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sandbox import custody, providers
from sandbox.counterparties.custodian import Config
from sandbox.parts import toxiproxy
from sandbox.parts.part import Context
from sandbox.ports import Ports
from seawall.conventions.signing import fingerprint
from seawall.formats.deployment import Network, RpcEndpoints
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.approvers import approver_addresses
from tests.testing.policies import tree, write
from tests.testing.venue_harness import write_config

POLICY = Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml"
COLD, RESERVE = "customer-aster-cold", "customer-aster-reserve"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(POLICY)


@pytest.fixture
def kept(policy: Policy) -> custody.Custody:
    found = custody.Custody.of(policy)
    assert found is not None
    return found


def written(policy: Policy, kept: custody.Custody, folder: Path) -> Config:
    """The configuration that its process reads, of a venue with a contract of one cold wallet."""
    venue = write_config(folder / "venue.json", "", policy)
    site = venue.networks["aster"].model_copy(update={"cold_contracts": {COLD: "0x" + "0C" * 20}})
    venue = venue.model_copy(
        update={
            "networks": {**venue.networks, "aster": site},
            "approvers": approver_addresses(policy),
        }
    )
    rpc = RpcEndpoints(primary="http://a.test", standby="http://b.test")
    networks = {
        name: Network(chain_id=each.chain_id, rpc=rpc, node=f"http://{name}.test")
        for name, each in policy.networks.items()
    }
    kept.write(folder, policy, venue, networks)
    text = (folder / custody.CONFIG).read_text(encoding="utf-8")
    assert kept.key.hex() not in text
    assert kept.client not in text
    return Config.model_validate(json.loads(text))


def test_its_terms_are_those_of_the_policy(
    policy: Policy, kept: custody.Custody, tmp_path: Path
) -> None:
    """A cold wallet pays the reserve of its network alone, on the word of the routine quorum."""
    config = written(policy, kept, tmp_path)
    terms = config.terms()
    declared = policy.custody
    assert declared is not None
    assert terms.wallets[COLD].contract == "0x" + "0c" * 20
    assert terms.wallets[COLD].destination == f"0x{0xD0:040x}"
    assert terms.wallets[COLD].tokens["AST"] == "0x" + "00" * 20
    assert config.networks["birch"].rpc == "http://birch.test"
    assert terms.approvers == approver_addresses(policy)
    assert (terms.needed, terms.delay_s) == (2, declared.delay / 1_000)
    assert (terms.opens_s, terms.closes_s) == (6 * 3_600, 22 * 3_600)
    assert config.client_sha256 == fingerprint(kept.client)
    assert config.control_sha256 == fingerprint(kept.control)
    for name in (custody.CONFIG, custody.CONTROL):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_its_key_reaches_its_process_alone_and_no_command_line(
    kept: custody.Custody, tmp_path: Path
) -> None:
    module, env = kept.process(tmp_path, port=7)
    assert module[0] == "sandbox.counterparties.custodian"
    assert env == {custody.KEY_VARIABLE: "0x" + kept.key.hex()}
    assert not {kept.key.hex(), kept.client, kept.control} & {*module}
    assert module[-2:] == ["--port", "7"]


def test_the_venue_reaches_it_through_a_proxy(policy: Policy, tmp_path: Path) -> None:
    """Drills cut it off there; where the policy names none, there is none."""
    assert toxiproxy.upstreams(_context(policy, tmp_path))["custodian"] == "custodian"
    without = load_policy(write(tmp_path, tree()))
    assert custody.Custody.of(without) is None
    assert "custodian" not in toxiproxy.upstreams(_context(without, tmp_path))


def _context(policy: Policy, folder: Path) -> Context:
    return Context(
        policy=policy,
        policy_path=POLICY,
        data_dir=folder,
        programs={},
        env={},
        providers=providers.new_credentials(policy),
        ports=Ports(iter(range(20_000, 21_000)).__next__),
    )
