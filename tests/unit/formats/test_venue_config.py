"""The venue's configuration file: written and read by one model, and what it says of addresses."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from seawall.conventions.environment import SABOTAGE_VARIABLE, SIGNER_CREDENTIAL_VARIABLE
from seawall.conventions.signing import fingerprint
from seawall.errors import UsageError
from seawall.formats.venue_config import (
    BucketSigner,
    Endpoint,
    Key,
    NetworkConfig,
    SignerCaller,
    SignerConfig,
    VenueConfig,
    config_from_arguments,
    load_config,
    signer_credential,
)
from seawall.policy import Policy
from seawall.policy_file import load_policy

POLICY_PATH = Path(__file__).parents[3] / "policies" / "sandbox.yaml"
NOWHERE = Endpoint(primary="http://127.0.0.1:9", standby="http://127.0.0.1:9")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(POLICY_PATH)


@pytest.fixture
def config(policy: Policy) -> VenueConfig:
    """Addresses are numbers; those of contracts have upper-case digits."""
    keys = {
        wallet: Key(key_id=wallet, address=f"0x{number:040x}", role_arn="arn")
        for number, wallet in enumerate(policy.signing_wallets(), start=1)
    }
    (hot, declared), *_ = policy.payout_wallets().items()
    return VenueConfig(
        run_id="test",
        policy=POLICY_PATH,
        networks={
            declared.network: NetworkConfig(
                chain_id=1,
                rpc=NOWHERE,
                payout_contracts={hot: "0x" + "AB" * 20},
                reserve_contracts={policy.reserve_of(hot): "0x" + "CD" * 20},
                tokens={"USDX": "0x" + "EF" * 20},
            )
        },
        signers={
            policy.regions.primary: SignerConfig(
                listen_port=9,
                buckets={"customer": BucketSigner(listen_port=9, url="http://127.0.0.1:9")},
                operations_per_s=10,
                url="http://127.0.0.1:9",
                kms_endpoint="http://127.0.0.1:9",
                sts_endpoint="http://127.0.0.1:9",
                keys=keys,
            )
        },
        signer_callers={"prober": SignerCaller(sha256=fingerprint("a credential"), may=("probe",))},
        exchange=NOWHERE,
        api_listen_port=9,
        api_url="http://127.0.0.1:9",
        metrics_ports={},
    )


def test_what_is_written_is_read_back_unchanged(config: VenueConfig, tmp_path: Path) -> None:
    path = tmp_path / "venue.json"
    config.write(path)

    assert load_config(path) == config
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_money_lies_in_the_contract_or_at_the_key(config: VenueConfig, policy: Policy) -> None:
    """Hot and reserve wallets of the bucket that pays have a contract."""
    hot = next(iter(policy.payout_wallets()))
    network = policy.wallets[hot].network
    without = next(
        name
        for name, wallet in policy.wallets.items()
        if wallet.network == network
        and wallet.wallet_class == "hot"
        and name not in policy.payout_wallets()
    )

    assert config.holder_of(policy, hot) == "0x" + "ab" * 20
    assert config.holder_of(policy, policy.reserve_of(hot)) == "0x" + "cd" * 20
    assert (
        config.holder_of(policy, without)
        == config.signers[policy.regions.primary].keys[without].address
    )


def test_a_reserve_pays_the_contract_of_the_hot_wallet_that_it_refills(
    config: VenueConfig, policy: Policy
) -> None:
    """One that refills none pays itself, if it has a contract at all; others pay anybody."""
    hot = next(iter(policy.payout_wallets()))
    reserve = policy.reserve_of(hot)
    alone = "contingency-aster-reserve"
    assert policy.refilled_by(alone) is None
    assert config.recipients(policy, [hot, reserve, alone]) == {reserve: "0x" + "ab" * 20}
    network = policy.wallets[alone].network
    site = config.networks[network].model_copy(update={"reserve_contracts": {alone: "0xEE"}})
    with_contract = config.model_copy(update={"networks": {network: site}})
    assert with_contract.recipients(policy, [alone]) == {alone: "0xee"}


def test_the_venues_own_addresses_are_contracts_keys_tokens_and_cold_wallets(
    config: VenueConfig, policy: Policy
) -> None:
    own = config.own_addresses(policy)
    keys = config.signers[policy.regions.primary].keys.values()
    cold = {wallet.address.lower() for wallet in policy.wallets.values() if wallet.address}

    assert own >= {"0x" + "ab" * 20, "0x" + "cd" * 20, "0x" + "ef" * 20}
    assert own >= {key.address for key in keys}
    assert own >= cold
    assert all(address == address.lower() for address in own)


@pytest.mark.parametrize("sandbox", [False, True])
@pytest.mark.parametrize("sabotage", [None, "", "failover"])
def test_a_control_is_switched_off_in_a_sandbox_only(
    config: VenueConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sabotage: str | None,
    sandbox: bool,
) -> None:
    """A real venue does not start without it: the variable may be left from a drill."""
    path = tmp_path / "venue.json"
    config.model_copy(update={"sandbox": sandbox}).write(path)
    monkeypatch.setattr("sys.argv", ["venue", "--config", str(path)])
    monkeypatch.delenv(SABOTAGE_VARIABLE, raising=False)
    if sabotage is not None:
        monkeypatch.setenv(SABOTAGE_VARIABLE, sabotage)

    if sabotage and not sandbox:
        with pytest.raises(UsageError, match="switches failover off, and this venue is no sandbox"):
            config_from_arguments("Test.")
    else:
        assert config_from_arguments("Test.")[0].sandbox == sandbox


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, r"cannot read .*venue\.json"),
        ("{", "text that is not JSON"),
        ("{}", "9 problems"),
        ('{"run_id": "a", "run_id": "b"}', "the key 'run_id' twice"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    text: str | None, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "venue.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match=why):
        load_config(path)


def test_the_file_holds_no_credential_of_a_caller(config: VenueConfig) -> None:
    """Who reads it can ask no signer for anything."""
    assert "a credential" not in config.model_dump_json()


def test_a_process_without_its_credential_says_which_variable_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SIGNER_CREDENTIAL_VARIABLE, "a credential")
    assert signer_credential() == "a credential"
    monkeypatch.setenv(SIGNER_CREDENTIAL_VARIABLE, "")
    with pytest.raises(UsageError, match=f"{SIGNER_CREDENTIAL_VARIABLE} is not set"):
        signer_credential()
