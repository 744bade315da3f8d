"""Names of the processes of a running stack and of the proxies between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


def kms_proxy(region: str) -> str:
    """Proxy in front of the KMS endpoint of ``region``; `kms.<region>`."""
    return f"kms.{region}"


def signer_proxy(region: str) -> str:
    """Proxy in front of the front of the signers of ``region``."""
    return f"signer.{region}"


def rpc_proxy(network: str, which: str) -> str:
    """Proxy in front of an RPC endpoint; ``which`` is primary or standby."""
    return f"rpc.{network}.{which}"


def asset_target(network: str, asset: str) -> str:
    """An asset of a network as faults call it."""
    return f"asset.{network}.{asset}"


def contract_target(wallet: str) -> str:
    """The contract that holds a wallet's money, in words of a blast radius."""
    return f"contract.{wallet}"


def fees_target(network: str) -> str:
    """The fee market of a network, in words of a blast radius."""
    return f"fees.{network}"


def exchange_proxy(which: str) -> str:
    """Proxy in front of the exchange; ``which`` is primary or standby."""
    return f"exchange.{which}"


def processor_proxy(which: str) -> str:
    """Proxy in front of the payment processor; ``which`` is primary or standby."""
    return f"processor.{which}"


PROVIDER_PROXIES: Mapping[str, Callable[[str], str]] = {
    "exchange": exchange_proxy,
    "processor": processor_proxy,
}
"""By kind of rail: the name of the proxy in front of the provider of a side."""
CUSTODIAN_PROXY = "custodian"
CUSTODIAN_PROCESS = "custodian"
CARRIER_PROXY = "carrier"
CARRIER_PROCESS = "carrier"
API_PROXY = "api"
POSTGRES_PROXY = "postgres"
SIGN_LOG_PROXY = "sign-log"
PAGER_PROXY = "pager"
API_PROCESS = "venue-api"
MODE_CONTROLLER_PROCESS = "mode-controller"
MODE_CONTROLLER_STANDBY_PROCESS = "mode-controller-standby"
TREASURY_PROCESS = "venue-treasury"
RAILS_PROCESS = "venue-rails"
OPERATOR_PROCESS = "venue-operator"
WAL_STREAM_PROCESS = "wal-stream"
DATABASE_TARGET = "database.ledger"
"""The database of the ledger in words of a blast radius."""
DATABASE_LOCK_TARGET = "database.mode-lock"
"""The lock in it that claims and reservations share, and a flip takes alone."""


def settler_process(network: str) -> str:
    """Name of the settler of ``network``."""
    return f"settler-{network}"


def signer_process(region: str, bucket: str) -> str:
    """Name of the signer of ``bucket`` in ``region``."""
    return f"signer-{region}-{bucket}"


def signing_front_process(region: str) -> str:
    """Name of the front of the signers of ``region``."""
    return f"signing-front-{region}"


PROMETHEUS_PROCESS = "prometheus"


def drillable(networks: Iterable[str]) -> tuple[str, ...]:
    """Names of the processes that a drill may freeze or kill.

    Signers are not among them: they are called by region, and a drill takes their key service away.
    """
    return (
        API_PROCESS,
        MODE_CONTROLLER_PROCESS,
        MODE_CONTROLLER_STANDBY_PROCESS,
        TREASURY_PROCESS,
        *map(settler_process, networks),
        PROMETHEUS_PROCESS,
    )


def process_target(process: str) -> str:
    """``process`` in words of a blast radius."""
    return f"process.{process}"


SIDES = ("primary", "standby")
"""The two sides of a rail or of a served name."""
