"""The roles of both databases: one per venue part, each with a password of this run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from seawall.conventions.components import POSTGRES_PROXY, SIGN_LOG_PROXY
from seawall.conventions.database import COPIES, ROLES, SIGN_LOG_ROLES, role_of
from seawall.formats.atomic import write_private

FILES = {POSTGRES_PROXY: "database.json", SIGN_LOG_PROXY: "sign-log.json"}
"""In the data directory, mode 0600: the passwords of each server, by the proxy before it."""
SUPERUSER = "postgres"
DATABASE = "postgres"
PARTS = {POSTGRES_PROXY: (*ROLES, COPIES), SIGN_LOG_PROXY: SIGN_LOG_ROLES}
"""Who connects to a server with a role of its own, by the proxy before it."""


class Credentials(BaseModel):
    """A password per part of one server.

    ``owner`` is the superuser, the others have roles of their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passwords: dict[str, SecretStr]

    def url(self, role: str, *, address: str) -> str:
        """Connection URL of ``role`` for a server at ``address`` (host:port). Raises KeyError."""
        user = SUPERUSER if role == "owner" else role_of(role)
        return f"postgresql://{user}:{self.passwords[role].get_secret_value()}@{address}/{DATABASE}"


def new_credentials() -> dict[str, Credentials]:
    """Fresh passwords for every part, by the proxy before the server."""
    return {
        proxy: Credentials(
            passwords={role: SecretStr(secrets.token_urlsafe(24)) for role in ("owner", *parts)}
        )
        for proxy, parts in PARTS.items()
    }


def write_credentials(credentials: Mapping[str, Credentials], data_dir: Path) -> None:
    """Keep them in the data directory, readable by the user alone."""
    for proxy, each in credentials.items():
        plain = {role: password.get_secret_value() for role, password in each.passwords.items()}
        write_private(data_dir / FILES[proxy], json.dumps({"passwords": plain}) + "\n")


def load_credentials(data_dir: Path) -> dict[str, Credentials]:
    """Read the passwords of a running sandbox."""
    return {
        proxy: Credentials.model_validate_json((data_dir / name).read_text(encoding="utf-8"))
        for proxy, name in FILES.items()
    }
