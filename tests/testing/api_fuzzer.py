"""The fuzzer of the api: it makes requests from an OpenAPI document and judges the answers by it.

The fuzzer is a program (schemathesis), so that neither its settings of hypothesis nor its warnings
are those of the tests. Same seed, same requests: it works alone, and keeps nothing for next time.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import sys
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from seawall.policy import Policy

_ROOT = Path(__file__).parents[2]
_CONFIG = """
continue-on-failure = true

[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", "503"]
# What is well formed may be refused for what it says: 409, 422, 429; but not as malformed.
positive_data_acceptance.expected-statuses = ["2xx", "401", "404", "409", "422", "429", "503"]
negative_data_rejection.expected-statuses = ["400", "401", "404", "405", "422"]
"""
_KNOWN_IDS = [str(UUID(int=number, version=4)) for number in range(8)]
_AMOUNTS = ["1", "1000000", "250000000", str(10**15), str(10**18), "9" * 77]
_DESTINATIONS = ["0x" + "ab" * 20, "0x" + "AB" * 20, "0x" + "00" * 20, "alice"]


def with_known_values(document: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """``document``, in which requests name what the venue has, so that they get past its checks.

    Ids are new ones or of a few, so that requests meet what came of others. The answers are
    described as before.
    """
    known = copy.deepcopy(document)
    networks, assets = {"enum": sorted(policy.networks)}, {"enum": sorted(policy.assets)}
    ids = {"anyOf": [{"enum": _KNOWN_IDS}, {"type": "string", "format": "uuid"}]}
    values: dict[str, Any] = {
        "id": ids,
        "network": networks,
        "source_network": {"anyOf": [networks, {"type": "null"}]},
        "asset": assets,
        "sell": assets,
        "buy": assets,
        "amount": {"enum": _AMOUNTS},
        "destination": {"enum": _DESTINATIONS},
        "price": {"enum": _AMOUNTS[:3]},
        "title": {"type": "string", "minLength": 1, "maxLength": 120, "pattern": r"^[^\x00]*$"},
        "listing_id": {"enum": _KNOWN_IDS[:4]},
        "before": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
    }
    for request in ("WithdrawalRequest", "SwapRequest", "ListingRequest", "BidRequest"):
        properties = known["components"]["schemas"][request]["properties"]
        properties.update({name: values[name] for name in properties})
    schemas = known["components"]["schemas"]
    asked = schemas["WithdrawalRequest"]
    schemas["WithdrawalRequest"] = {"anyOf": [asked, _transfer(asked, policy)]}
    for methods in known["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                parameter["schema"] = values[parameter["name"]]
    return known


def _transfer(withdrawal: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """``withdrawal``, from a network to another one that has the same asset, as it is accepted.

    Hardly any request whose fields are drawn one by one is such a transfer, and some seeds have
    none: of 17 that were drawn with one seed, each had too small an amount or no destination.
    """
    source, network = sorted(policy.networks)[:2]
    shared = set(policy.networks[source].assets) & set(policy.networks[network].assets)
    transfer = copy.deepcopy(withdrawal)
    values = {
        "source_network": [source],
        "network": [network],
        "asset": sorted(shared),
        "amount": _AMOUNTS[1:3],
        "destination": _DESTINATIONS[:2],
    }
    transfer["properties"].update({name: {"enum": those} for name, those in values.items()})
    transfer["required"] = sorted({*transfer["required"], *values})
    return transfer


async def fuzz(
    document: dict[str, Any],
    *,
    url: str,
    hooks: str,
    seed: int,
    cases: int,
    mode: Literal["all", "positive"],
    folder: Path,
) -> str:
    """Fuzz the api at ``url``; what the fuzzer says of it.

    Args:
        document: What requests are made from and answers are judged by.
        url: Of the api.
        hooks: The module that says in whose name requests are made.
        seed: Of all that is drawn; printed.
        cases: The most requests of each operation that are drawn, beside those at its edges.
        mode: Requests as the document wants them, or also others.
        folder: Where the fuzzer works.

    Raises :class:`AssertionError` with its report if an answer is not as it must be.
    """
    print(f"fuzzing with seed {seed}")
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "schemathesis.toml").write_text(_CONFIG, encoding="utf-8")
    options = {
        "url": url,
        "seed": str(seed),
        "max-examples": str(cases),
        "mode": mode,
        "phases": "coverage,fuzzing",
        "workers": "1",
        "generation-database": "none",
        "output-sanitize": "false",
        "warnings": "off",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        "openapi.json",
        "--no-color",
        *(f"--{name}={value}" for name, value in options.items()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"SCHEMATHESIS_HOOKS": hooks, "PYTHONPATH": str(_ROOT)},
        cwd=folder,
    )
    try:
        said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"the api is not as its document says:\n{said}"
    return said
