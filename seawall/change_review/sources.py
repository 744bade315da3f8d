"""What the guard asks the world: the venue's tier, the incident marker, the chains' balances.

Silence is an answer: not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from eth_utils.crypto import keccak
from pydantic import ValidationError

from seawall.change_review.exposure import Live, Possession, Stake
from seawall.change_review.freeze import (
    Source,
    incident_open,
    no_incident,
    tier_known,
    tier_unknown,
)
from seawall.errors import DocumentError
from seawall.formats.documents import parse_json
from seawall.formats.drill_contract.messages import Status

_ANSWER_S_MAX = 3.0
"""A reviewer waits for the page; an endpoint that needs longer is as good as silent."""
_BALANCE_OF = "0x" + keccak(text="balanceOf(address)")[:4].hex()
_WORD_DIGITS = 64


def tier(status_url: str | None) -> Source:
    """What the drill contract's status says.

    ``status_url`` is the venue's base URL or that of the operation itself.
    """
    if status_url is None:
        return tier_unknown(
            "no venue was named (--status-url, or --no-venue if none runs on this stack)"
        )
    url = status_url.rstrip("/")
    url = url if url.endswith("/v1/status") else f"{url}/v1/status"
    try:
        with httpx.Client(timeout=_ANSWER_S_MAX) as client:
            answer = client.get(url).raise_for_status()
        status = Status.model_validate_json(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return tier_unknown(f"{url} did not answer: {str(error) or type(error).__name__}")
    except ValidationError:
        return tier_unknown(f"{url} answered outside the drill contract")
    return tier_known(status.tier, reason=status.reason)


def incident(marker: Path | None) -> Source:
    """Whether the marker of an open incident is there.

    One that cannot be read is one that is there.
    """
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

    RPC endpoint by network, token by network and asset, the contract that holds a wallet's money.
    """

    rpc: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[tuple[str, str], str] = field(default_factory=dict)
    contracts: Mapping[tuple[str, str], str] = field(default_factory=dict)


def chains_of(venue: Mapping[str, Any] | None, rpc: Mapping[str, str]) -> Chains:
    """Token and contract addresses of a `venue.json`, read without a claim to all of it."""
    networks = (venue or {}).get("networks", {})
    tokens, contracts = {}, {}
    for network, site in networks.items():
        tokens.update(
            {(network, asset): address for asset, address in (site.get("tokens") or {}).items()}
        )
        for kind in ("payout_contracts", "reserve_contracts"):
            contracts.update(
                {(network, wallet): address for wallet, address in (site.get(kind) or {}).items()}
            )
    return Chains(rpc=rpc, tokens=tokens, contracts=contracts)


def balances(stakes: Iterable[Stake], *, chains: Chains) -> dict[tuple[str, str], Live]:
    """What lies at the wallets of ``stakes`` now, by wallet and asset.

    At the key's address and in the contract that it commands.
    """
    found: dict[tuple[str, str], Live] = {}
    silent: dict[str, str] = {}
    for stake in stakes:
        for each in stake.possessions:
            if (each.wallet, each.asset) not in found:
                holders = _holders(stake, each.wallet, each.network, chains)
                found[each.wallet, each.asset] = _live(each, holders, chains=chains, silent=silent)
    return found


def _holders(stake: Stake, wallet: str, network: str, chains: Chains) -> list[str]:
    places = (stake.held_at.get(wallet), chains.contracts.get((network, wallet)))
    return [place for place in places if place is not None]


def _live(each: Possession, holders: list[str], *, chains: Chains, silent: dict[str, str]) -> Live:
    network, asset = each.network, each.asset
    url = chains.rpc.get(network)
    if url is None:
        return Live(amount=None, reason=f"no endpoint of {network} was named")
    if not holders:
        return Live(amount=None, reason="the address is not among the stack's outputs")
    if network in silent:
        return Live(amount=None, reason=silent[network])
    token = None if each.native else chains.tokens.get((network, asset))
    if not each.native and token is None:
        return Live(
            amount=None, reason=f"the contract of {asset} on {network} is not known (no venue.json)"
        )
    try:
        _same_chain(url, each.chain_id)
        return Live(amount=sum(_balance(url, holder, token) for holder in holders))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        silent[network] = (
            f"the endpoint of {network} did not tell: {str(error) or type(error).__name__}"
        )
        return Live(amount=None, reason=silent[network])


def _same_chain(url: str, chain_id: int) -> None:
    told = int(_ask(url, "eth_chainId"), 16)
    if told != chain_id:
        message = f"it serves chain {told}, not {chain_id}"
        raise ValueError(message)


def _balance(url: str, holder: str, token: str | None) -> int:
    if token is None:
        return int(_ask(url, "eth_getBalance", holder, "latest"), 16)
    call = {"to": token, "data": _BALANCE_OF + holder.removeprefix("0x").rjust(_WORD_DIGITS, "0")}
    return int(_ask(url, "eth_call", call, "latest"), 16)


def _ask(url: str, method: str, *params: Any) -> str:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    answer = httpx.post(url, json=request, timeout=_ANSWER_S_MAX).raise_for_status().json()
    if "result" not in answer:
        message = f"{method}: {answer.get('error')}"
        raise ValueError(message)
    return str(answer["result"])
