"""Where the parts of a sandbox are, as its deployment file says."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.kept import Record
from sandbox.layout import Layout
from seawall.conventions import components
from seawall.conventions.sabotage import SABOTAGE_FAILOVER
from seawall.formats.deployment import load_deployment
from seawall.policy_file import load_policy
from venue.api.app import make_app
from venue.api.front import Front, Services

POLICY = Path("policies/sandbox.yaml")


def test_the_customers_address_is_the_proxy_before_the_front_of_the_venues_api(
    tmp_path: Path,
) -> None:
    """Flood and prober ask there, and what answers is the api's front and nothing beside it."""
    ports = count(20_000)
    layout = Layout.plan(
        policy=load_policy(POLICY),
        record=Record(run_id="test", policy_path=POLICY, programs={}),
        data_dir=tmp_path,
        env={},
        pick=lambda: next(ports),
    )
    deployment = layout.deployment(run_id="test")
    before_it = deployment.proxies[components.API_PROXY]

    assert urlsplit(deployment.urls.api).netloc == before_it.listen
    assert urlsplit(str(deployment.urls.api_direct)).netloc == before_it.upstream
    # What only Prometheus may ask for is not within customers' reach.
    of_the_api = deployment.metrics_ports[components.API_PROCESS]
    assert of_the_api not in {
        deployment.upstream_port(components.API_PROXY),
        urlsplit(deployment.urls.api).port,
    }
    # `make_app` only keeps the services, which are not needed to see what it makes.
    services: Services = Services.__new__(Services)
    assert isinstance(make_app(services), Front)


def test_the_deployment_file_says_which_control_is_switched_off(tmp_path: Path) -> None:
    """A later command knows of a kept sandbox only what stands there."""
    ports = count(20_000)
    layout = Layout.plan(
        policy=load_policy(POLICY),
        record=Record(run_id="test", policy_path=POLICY, programs={}),
        data_dir=tmp_path,
        env={},
        pick=lambda: next(ports),
    )
    off = layout.deployment(run_id="test", sabotage=SABOTAGE_FAILOVER)
    assert load_deployment(off.write()).sabotage == SABOTAGE_FAILOVER
    assert load_deployment(layout.deployment(run_id="test").write()).sabotage is None
