"""Compile the Vyper contracts, once for each account of a machine; only deployment needs it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from eth_abi.abi import encode

from seawall.cache import cache_root, make_folder
from seawall.errors import WorldError
from seawall.ethereum.keys import keccak256, to_bytes
from seawall.formats.atomic import write_whole

_SOURCES = Path(__file__).parent
_LANE = "(address[],uint256,uint256,uint256,uint256[])"


@dataclass(frozen=True, kw_only=True)
class ReserveLane:
    """How approvals of one lane are given: ``needed`` of ``approvers``, which are addresses.

    ``delay_s`` passes between proposal and execution. ``caps`` is base units per ``window_s`` by
    token address, for the tokens of the contract's own caps.
    """

    approvers: Sequence[str]
    needed: int
    delay_s: int
    window_s: int
    caps: Mapping[str, int]


@functools.cache
def bytecode(contract: str) -> bytes:
    """Creation code without constructor arguments; ``contract`` is a source without its suffix.

    It is kept in the user's cache under a digest of all sources and the compiler's version: each
    contract takes a second to compile. Where the cache cannot be used, it is compiled each time.
    """
    try:
        kept = make_folder(cache_root() / "contracts") / f"{contract}-{_digest()}.code"
    except WorldError:
        return _compiled(contract)
    try:
        digest, code = kept.read_text(encoding="ascii").split()
        if hashlib.sha256(bytes.fromhex(code)).hexdigest() == digest:
            return bytes.fromhex(code)
    except (OSError, ValueError):
        pass  # not kept yet, or cut short
    made = _compiled(contract)
    with suppress(WorldError):
        write_whole(kept, f"{hashlib.sha256(made).hexdigest()} {made.hex()}\n")
    return made


def _digest() -> str:
    sources = [path.read_bytes() for path in sorted(_SOURCES.glob("*.vy"))]
    parts = [version("vyper").encode(), *(hashlib.sha256(each).digest() for each in sources)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _compiled(contract: str) -> bytes:
    # They take half a second, which only deployment needs.
    from vyper.compiler import compile_code  # noqa: PLC0415
    from vyper.compiler.input_bundle import FilesystemInputBundle  # noqa: PLC0415

    path = _SOURCES / f"{contract}.vy"
    compiled = compile_code(
        path.read_text(encoding="utf-8"),
        contract_path=path,
        input_bundle=FilesystemInputBundle([_SOURCES]),
        output_formats=("bytecode",),
    )
    return to_bytes(compiled["bytecode"])


def payout_creation(*, signer: str, window_seconds: int, caps: Mapping[str, int]) -> bytes:
    """Creation code of the contract of a hot wallet.

    ``caps`` is base units per window by token address (zero: native).
    """
    return bytecode("payout") + encode(
        ("address", "uint256", "address[]", "uint256[]"),
        (signer, window_seconds, list(caps), list(caps.values())),
    )


def reserve_creation(
    *,
    signer: str,
    recipient: str,
    window_seconds: int,
    caps: Mapping[str, int],
    bucket: str,
    routine: ReserveLane,
    fast: ReserveLane,
    review_within_s: int,
) -> bytes:
    """Creation code of the contract of a reserve wallet of ``bucket``.

    It refills ``recipient`` alone, or nobody if that is zero, and does all else as approvers of a
    lane have signed. ``caps`` are those of what it refills, as :func:`payout_creation` has them.
    """
    types = (
        *("address", "address", "uint256", "address[]", "uint256[]"),
        *("bytes32", _LANE, _LANE, "uint256"),
    )
    lanes = (
        (
            list(lane.approvers),
            lane.needed,
            lane.delay_s,
            lane.window_s,
            [lane.caps[token] for token in caps],
        )
        for lane in (routine, fast)
    )
    return bytecode("reserve") + encode(
        types,
        (
            *(signer, recipient, window_seconds, list(caps), list(caps.values())),
            *(keccak256(bucket.encode()), *lanes, review_within_s),
        ),
    )


def gas_creation(
    *, keys: Sequence[str], minimum: int, target: int, cap: int, window_seconds: int
) -> bytes:
    """Creation code of what pays the gas of ``keys``: addresses; amounts are in wei."""
    return bytecode("gas") + encode(
        ("address[]", "uint256", "uint256", "uint256", "uint256"),
        (list(keys), minimum, target, cap, window_seconds),
    )


def token_creation(*, symbol: str, decimals: int) -> bytes:
    """Creation code of a token whose deployer is its minter."""
    return bytecode("token") + encode(("string", "uint8"), (symbol, decimals))
