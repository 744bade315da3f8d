"""What a review asks endpoints: the venue's tier, the incident marker, balances on the chains.

An endpoint that does not answer makes the fact unknown; it is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError

from seawall.change_review.exposure import AssetExposure, Exposure, LiveBalance
from seawall.change_review.freeze import (
    Source,
    incident_open,
    no_incident,
    tier_known,
    tier_unknown,
)
from seawall.errors import DocumentError
from seawall.ethereum.rpc import RpcClient, RpcError, WrongChainError
from seawall.formats.documents import parse_json
from seawall.formats.drill_contract.messages import Status
from seawall.processes.environment import is_loopback

_ANSWER_S_MAX = 3.0
"""A reviewer waits for the result; a slower endpoint counts as silent."""


def tier(status_url: str | None) -> Source:
    """Ask the status operation of the drill contract for the tier.

    ``status_url`` is the venue's base URL or that of the operation itself.
    """
    if status_url is None:
        return tier_unknown(
            "no venue was named (--status-url, or --no-venue if none runs on this stack)"
        )
    url = status_url.rstrip("/")
    url = url if url.endswith("/v1/status") else f"{url}/v1/status"
    try:
        with httpx.Client(timeout=_ANSWER_S_MAX, trust_env=not is_loopback(url)) as client:
            answer = client.get(url).raise_for_status()
        status = Status.model_validate_json(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL, ImportError) as error:  # no SOCKS support
        return tier_unknown(f"{url} did not answer: {str(error) or type(error).__name__}")
    except ValidationError:
        return tier_unknown(f"{url} answered outside the drill contract")
    return tier_known(status.tier, reason=status.reason)


def incident(marker: Path | None) -> Source:
    """Read the marker of an open incident; one that cannot be read counts as an open incident."""
    if marker is None:
        return no_incident("no marker was named")
    try:
        text = marker.read_text(encoding="utf-8")
    except FileNotFoundError:
        return no_incident(f"no {marker}")
    except (OSError, UnicodeDecodeError) as error:
        return incident_open(f"{marker} is there and cannot be read ({error})")
    try:
        summary = str(parse_json(text, source=str(marker))["summary"])
    except (DocumentError, KeyError, TypeError):
        summary = f"{marker} is there and does not say which"
    return incident_open(summary)


@dataclass(frozen=True, kw_only=True)
class Chains:
    """Where balances are read.

    ``rpc``: endpoint by network; ``tokens``: address by network and asset; ``contracts``: address
    of the contract that holds a wallet's money, by network and wallet.
    """

    rpc: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokens: Mapping[tuple[str, str], str] = field(default_factory=dict)
    contracts: Mapping[tuple[str, str], str] = field(default_factory=dict)


def chains_of(venue: Mapping[str, Any] | None, rpc: Mapping[str, str]) -> Chains:
    """Read the token and contract addresses of a `venue.json`; the rest of it is not checked."""
    networks = (venue or {}).get("networks", {})
    tokens, contracts = {}, {}
    for network, section in networks.items():
        tokens.update(
            {(network, asset): address for asset, address in (section.get("tokens") or {}).items()}
        )
        for kind in ("payout_contracts", "reserve_contracts"):
            contracts.update(
                {
                    (network, wallet): address
                    for wallet, address in (section.get(kind) or {}).items()
                }
            )
    return Chains(rpc=rpc, tokens=tokens, contracts=contracts)


def balances(
    exposures: Iterable[Exposure], *, chains: Chains
) -> dict[tuple[str, str], LiveBalance]:
    """Read the balances of the wallets of ``exposures``, by wallet and asset.

    A balance is what the key's address and the wallet's contract hold together.
    """
    found: dict[tuple[str, str], LiveBalance] = {}
    silent: dict[str, str] = {}
    for exposure in exposures:
        for each in exposure.holdings:
            if (each.wallet, each.asset) not in found:
                holders = _holders(exposure, each.wallet, each.network, chains)
                found[each.wallet, each.asset] = _live(each, holders, chains=chains, silent=silent)
    return found


def _holders(exposure: Exposure, wallet: str, network: str, chains: Chains) -> list[str]:
    holders = (exposure.addresses.get(wallet), chains.contracts.get((network, wallet)))
    return [holder for holder in holders if holder is not None]


def _live(
    each: AssetExposure, holders: list[str], *, chains: Chains, silent: dict[str, str]
) -> LiveBalance:
    network, asset = each.network, each.asset
    url = chains.rpc.get(network)
    if url is None:
        return LiveBalance(amount=None, reason=f"no endpoint of {network} was named")
    if not holders:
        return LiveBalance(amount=None, reason="the address is not among the stack's outputs")
    if network in silent:
        return LiveBalance(amount=None, reason=silent[network])
    token = None if each.native else chains.tokens.get((network, asset))
    if not each.native and token is None:
        return LiveBalance(
            amount=None, reason=f"the contract of {asset} on {network} is not known (no venue.json)"
        )
    try:
        node = RpcClient(
            network=network, url=url, timeout_s=_ANSWER_S_MAX, through_proxy=not is_loopback(url)
        )
        node.check_chain(each.chain_id)
        return LiveBalance(amount=sum(node.balance(holder, token=token) for holder in holders))
    except (RpcError, WrongChainError, ValueError, KeyError, TypeError) as error:
        silent[network] = (
            f"the endpoint of {network} did not answer: {str(error) or type(error).__name__}"
        )
        return LiveBalance(amount=None, reason=silent[network])
