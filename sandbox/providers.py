"""Providers of rails in a sandbox: their names, and what the venue and readers show them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from seawall.conventions.components import PROVIDER_PROXIES, SIDES
from seawall.formats.atomic import write_private
from seawall.formats.deployment import Proxy
from seawall.formats.rail_providers import RailProvider, RailProviders
from seawall.policy import Policy, RailKind

FILE = "providers.json"
"""In the data directory, mode 0600: the credentials, by component."""


class ProviderCredentials(BaseModel):
    """What the payer, and readers of statements, show one provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payer: SecretStr
    reader: SecretStr


def component(kind: RailKind, side: str) -> str:
    """Component name of a provider, ``exchange-primary``."""
    return f"{kind}-{side}"


def names(policy: Policy, kind: RailKind) -> dict[str, str]:
    """``{"primary": name, "standby": name}`` of the rail of ``kind``; empty if there is none."""
    paying = {kind: name for name, kind in paying_rails(policy).items()}
    of_kind = (rail for rail in policy.rails.values() if rail.kind == kind)
    rail = policy.rails[paying[kind]] if kind in paying else next(of_kind, None)
    return {} if rail is None else {"primary": rail.primary, "standby": rail.standby}


def paying_rails(policy: Policy) -> dict[str, RailKind]:
    """The rails that a sandbox pays over, by name: the first one of each kind."""
    found: dict[RailKind, str] = {}
    for name, rail in policy.paying_rails().items():
        found.setdefault(rail.kind, name)
    return {name: kind for kind, name in found.items()}


def new_credentials(policy: Policy) -> dict[str, ProviderCredentials]:
    """Fresh ones for both providers of every rail that is paid over, by component."""
    return {
        component(kind, side): ProviderCredentials(
            payer=SecretStr(secrets.token_urlsafe(24)), reader=SecretStr(secrets.token_urlsafe(24))
        )
        for kind in paying_rails(policy).values()
        for side in SIDES
    }


def write_credentials(credentials: Mapping[str, ProviderCredentials], data_dir: Path) -> None:
    """Keep them in the data directory, readable by the user alone."""
    plain = {
        name: {"payer": each.payer.get_secret_value(), "reader": each.reader.get_secret_value()}
        for name, each in credentials.items()
    }
    write_private(data_dir / FILE, json.dumps(plain) + "\n")


def read_at(
    policy: Policy, data_dir: Path, proxies: Mapping[str, Proxy]
) -> dict[str, RailProviders]:
    """Where an auditor reads the statements of providers: past their ``proxies``.

    What readers show them is kept in files of its own.
    """
    plain = json.loads((data_dir / FILE).read_text(encoding="utf-8"))
    found: dict[str, RailProviders] = {}
    for rail, kind in paying_rails(policy).items():
        sides: dict[str, RailProvider] = {}
        for side in SIDES:
            reader = data_dir / f"{component(kind, side)}-reader.credential"
            write_private(reader, plain[component(kind, side)]["reader"] + "\n")
            behind = proxies[PROVIDER_PROXIES[kind](side)].upstream
            sides[side] = RailProvider(url=f"http://{behind}", reader=reader)
        found[rail] = RailProviders(**sides)
    return found


def payers(policy: Policy, data_dir: Path) -> dict[str, dict[str, str]]:
    """What the venue shows the providers of a running sandbox, by rail and side."""
    plain = json.loads((data_dir / FILE).read_text(encoding="utf-8"))
    return {
        rail: {side: plain[component(kind, side)]["payer"] for side in SIDES}
        for rail, kind in paying_rails(policy).items()
    }
