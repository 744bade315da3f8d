"""The providers of rails in a sandbox: who they are, and that only digests reach a command line."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sandbox import providers
from sandbox.parts import services, toxiproxy
from sandbox.parts.part import Context
from sandbox.ports import Ports
from seawall.conventions.signing import fingerprint
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.policies import tree, write

POLICY = Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(POLICY)


def context_of(policy: Policy, folder: Path) -> Context:
    return Context(
        policy=policy,
        policy_path=POLICY,
        data_dir=folder,
        programs={},
        env={},
        providers=providers.new_credentials(policy),
        ports=Ports(iter(range(20_000, 21_000)).__next__),
    )


def test_every_provider_has_credentials_of_its_own(policy: Policy, tmp_path: Path) -> None:
    """The venue's are kept for itself alone, by rail and side; no secret is in a command line."""
    context = context_of(policy, tmp_path)
    providers.write_credentials(context.providers, tmp_path)
    shown = providers.payers(policy, tmp_path)
    secrets = [secret for sides in shown.values() for secret in sides.values()]
    assert sorted(shown) == ["exchange", "fiat"]
    assert len(set(secrets)) == 4
    assert stat.S_IMODE((tmp_path / providers.FILE).stat().st_mode) == 0o600
    for kind, side in services.all_providers(context):
        argv = [str(word) for word in services.provider(context, kind, side).argv]
        assert not {*argv} & {*secrets}
        rail = "fiat" if kind == "processor" else kind
        assert fingerprint(shown[rail][side]) in argv
        assert getattr(policy.rails[rail], side) in argv


def test_each_is_behind_a_proxy(policy: Policy, tmp_path: Path) -> None:
    """Drills cut it off there."""
    behind = toxiproxy.upstreams(context_of(policy, tmp_path))
    assert behind["processor.standby"] == "processor-standby"
    assert behind["exchange.primary"] == "exchange-primary"


def test_without_funds_an_exchange_only_quotes(tmp_path: Path) -> None:
    """And there is no processor."""
    context = context_of(load_policy(write(tmp_path, tree())), tmp_path)
    assert services.all_providers(context) == [("exchange", "primary"), ("exchange", "standby")]
    assert "--data-dir" not in services.provider(context, "exchange", "primary").argv
