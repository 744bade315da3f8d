"""The carrier of a sandbox: its terms follow from policy and contracts, its secrets are new."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sandbox import carriage
from sandbox.counterparties.carrier import Config, Desk
from sandbox.counterparties.vault import RefusedError
from sandbox.keepers import Keepers
from seawall.conventions import components, environment
from seawall.conventions.signing import fingerprint
from seawall.formats.carrier import CarriageRequest
from seawall.formats.deployment import Network, RpcEndpoints
from seawall.policy_file import load_policy
from tests.testing.policies import policy as small_policy
from tests.testing.venue_harness import write_config

POLICY = Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml"


@pytest.fixture
def written(tmp_path: Path) -> tuple[carriage.Carriage, Config]:
    """A carrier, and the configuration that its process reads."""
    policy = load_policy(POLICY)
    kept = carriage.Carriage.of(policy)
    assert kept is not None
    venue = write_config(tmp_path / "venue.json", "", policy)
    venue = venue.model_copy(
        update={
            "networks": {
                name: site.model_copy(update={"carrier": f"0x{0xCA:040X}"})
                for name, site in venue.networks.items()
            }
        }
    )
    rpc = RpcEndpoints(primary="http://a.test", standby="http://b.test")
    networks = {
        name: Network(chain_id=each.chain_id, rpc=rpc, node=f"http://{name}.test")
        for name, each in policy.networks.items()
    }
    kept.write(tmp_path, policy, venue, networks)
    text = (tmp_path / carriage.CONFIG).read_text(encoding="utf-8")
    assert not [each for each in (kept.key.hex(), kept.client, kept.control) if each in text]
    return kept, Config.model_validate(json.loads(text))


def _asked(config: Config, **changes: str) -> CarriageRequest:
    [there], [here] = config.customers["aster"], config.customers["birch"]
    fields = {
        "client_id": "00000000-0000-4000-8000-000000000007",
        "asset": "USDX",
        "amount": "5",
        "from_network": "aster",
        "deposit_by": there,
        "network": "birch",
        "destination": here,
    }
    return CarriageRequest.model_validate(fields | changes)


def test_its_terms_are_those_of_the_policy(
    written: tuple[carriage.Carriage, Config], tmp_path: Path
) -> None:
    """It carries tokens, between the reserves that the policy names."""
    kept, config = written
    terms = config.terms()
    assert terms.wallets.keys() == {"aster", "birch"}
    assert terms.wallets["aster"].contract == f"0x{0xCA:040x}"
    assert config.networks["birch"].rpc == "http://birch.test"
    assert config.client_sha256 == fingerprint(kept.client)
    assert config.control_sha256 == fingerprint(kept.control)
    for name in (carriage.CONFIG, carriage.CONTROL):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "aster"}, "bad_request"),
        ({"network": "cedar"}, "unknown_wallet"),
        ({"asset": "AST"}, "unknown_asset"),
        ({"destination": "0x" + "dd" * 20}, "destination_not_allowed"),
        ({"deposit_by": "0x" + "dd" * 20}, "destination_not_allowed"),
    ],
)
def test_it_carries_nothing_else(
    written: tuple[carriage.Carriage, Config], changes: dict[str, str], code: str
) -> None:
    _, config = written
    with pytest.raises(RefusedError) as refused:
        config.terms().check(_asked(config, **changes))
    assert refused.value.code == code


def test_a_request_waits_for_its_deposit_and_is_taken_once(
    written: tuple[carriage.Carriage, Config], tmp_path: Path
) -> None:
    """Also by a process that is started anew on the same file."""
    _, config = written
    desk = Desk(tmp_path / "desk.sqlite", config.terms())
    asked = _asked(config)
    told, new = desk.take(asked, now_s=0.0)
    assert (new, told.state, told.waits_for) == (True, "accepted", "its deposit on aster")
    assert desk.due("birch", 100.0) is None
    assert desk.take(asked, now_s=1.0)[1] is False
    with pytest.raises(RefusedError, match="is for something else"):
        desk.take(_asked(config, amount="6"), now_s=1.0)
    [waiting] = desk.unpaid()
    desk.note_deposit(waiting, "0x" + "01" * 32)
    desk.close()
    desk = Desk(tmp_path / "desk.sqlite", config.terms())
    assert desk.unpaid() == []
    due = desk.due("birch", 100.0)
    assert due is not None
    assert due.request == asked
    desk.close()


def test_a_policy_that_names_none_has_none(tmp_path: Path) -> None:
    """The treasury gets both credentials where it names both, and their processes start."""
    keepers = Keepers.of(load_policy(POLICY))
    assert keepers.credentials.keys() == {
        environment.CUSTODY_CREDENTIAL_VARIABLE,
        environment.CARRIER_CREDENTIAL_VARIABLE,
    }
    started = keepers.processes(tmp_path, lambda _: 7)
    assert started.keys() == {components.CUSTODIAN_PROCESS, components.CARRIER_PROCESS}
    module, env = started[components.CARRIER_PROCESS]
    assert module[0] == "sandbox.counterparties.carrier"
    assert [*env] == ["SEAWALL_CARRIER_KEY"]
    none = Keepers.of(small_policy())
    assert (none.credentials, none.processes(tmp_path, lambda _: 7)) == ({}, {})
    assert none.plan == {"custodian": None, "carrier": None}
