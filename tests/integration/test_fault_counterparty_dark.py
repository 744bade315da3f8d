"""The fault counterparty-dark with a real Toxiproxy before a real provider of a rail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from chaos.faults import Fault, make_fault
from chaos.noop import Noop
from seawall.conventions import faults
from seawall.conventions.signing import authorization
from seawall.errors import UsageError
from seawall.evidence.prober import endpoints_of
from seawall.evidence.probes import EndpointProbe
from seawall.formats.deployment import Deployment, load_deployment
from tests.testing.deployments import write_deployment
from tests.testing.fault_harness import toxiproxy
from tests.testing.providers import PAYER, Provider, running

pytestmark = pytest.mark.integration

TARGET = "processor.primary"
WITHIN_MS = 5_000
PAYOUT = {"client_id": "1", "asset": "USDX", "amount": "1", "destination": "GB00HARBOUR00000001"}


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Both providers of a rail, each behind its proxy."""
    both = {
        f"processor.{side}": Provider(module="processor", name=side, folder=tmp_path / side)
        for side in ("primary", "standby")
    }
    with running(*both.values()), toxiproxy() as url:
        proxies = {}
        for name, provider in both.items():
            upstream = f"127.0.0.1:{provider.port}"
            made = {"name": name, "listen": "127.0.0.1:0", "upstream": upstream}
            listen = httpx.post(f"{url}/proxies", json=made, trust_env=False).json()["listen"]
            proxies[name] = {"listen": listen, "upstream": upstream}
        file = write_deployment(tmp_path, kind="staging", toxiproxy=url, proxies=proxies)
        yield load_deployment(file)


def _fault(deployment: Deployment, target: str = TARGET) -> Fault:
    return make_fault(
        faults.COUNTERPARTY_DARK,
        target=target,
        parameters={},
        deployment=deployment,
        blast_radius=[target],
    )


def _seen(deployment: Deployment) -> dict[str, bool]:
    """What the prober sees of each provider just now."""

    async def ask(probe: EndpointProbe) -> tuple[str, bool]:
        try:
            [sample] = await probe.answers()
        except TimeoutError:
            return probe.probes()[0].about["proxy"], False
        return sample.detail["proxy"], sample.ok

    return dict(asyncio.run(ask(probe)) for probe in endpoints_of(deployment))


def test_a_provider_hangs_for_its_payer_and_the_prober_and_its_standby_does_not(
    deployment: Deployment,
) -> None:
    """Nothing that is asked meanwhile arrives, not even later; undone twice, it answers again."""
    fault = _fault(deployment)
    url = deployment.proxy_url(TARGET)
    assert fault.observe().state == "clear"
    with closing(httpx.Client(headers=authorization(PAYER), timeout=0.4)) as payer:
        assert payer.get(f"{url}/balances").status_code == 200

        fault.apply()
        assert fault.observe().state == "effective"
        assert _seen(deployment) == {TARGET: False, "processor.standby": True}
        with pytest.raises(httpx.ReadTimeout):
            payer.post(f"{url}/payouts", json=PAYOUT)

        fault.revert(within_ms=WITHIN_MS)
        fault.revert(within_ms=WITHIN_MS)
        assert fault.observe().state == "clear"
        assert _seen(deployment) == {TARGET: True, "processor.standby": True}
        assert payer.get(f"{url}/statement?after=0").json()["lines"] == []


def test_its_control_leaves_the_provider_as_it_is(deployment: Deployment) -> None:
    noop = Noop(_fault(deployment))
    noop.apply()

    assert noop.observe().state == "effective"
    assert _seen(deployment)[TARGET]
    noop.revert(within_ms=WITHIN_MS)


def test_a_provider_that_the_deployment_does_not_have_cannot_go_dark(
    deployment: Deployment,
) -> None:
    with pytest.raises(UsageError, match=r"cannot be aimed at exchange\.primary"):
        _fault(deployment, "exchange.primary")
