"""Compile the Vyper contracts; only deployment needs it."""

from __future__ import annotations

import functools
from pathlib import Path

from eth_abi.abi import encode

from seawall.ethereum.keys import to_bytes
from venue.contracts.calls import NATIVE

_SOURCES = Path(__file__).parent


@functools.cache
def bytecode(contract: str) -> bytes:
    """Creation code without constructor arguments; ``contract`` is a source without its suffix."""
    import vyper  # noqa: PLC0415  takes half a second, which only deployment needs

    source = (_SOURCES / f"{contract}.vy").read_text(encoding="utf-8")
    return to_bytes(vyper.compile_code(source, output_formats=("bytecode",))["bytecode"])


def payout_creation(
    *, signer: str, window_seconds: int, caps: dict[str, int], only_to: str = NATIVE
) -> bytes:
    """Creation code of a payout contract.

    ``caps`` is base units per window by token address (zero: native). It pays ``only_to``, or
    anybody if that is zero.
    """
    types = ("address", "address", "uint256", "address[]", "uint256[]")
    return bytecode("payout") + encode(
        types, (signer, only_to, window_seconds, list(caps), list(caps.values()))
    )


def token_creation(*, symbol: str, decimals: int) -> bytes:
    """Creation code of a token whose deployer is its minter."""
    return bytecode("token") + encode(("string", "uint8"), (symbol, decimals))
