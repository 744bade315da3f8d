"""The database's roles: one per venue part, each with a password of this run."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from seawall.formats.atomic import write_private

CREDENTIALS_FILE = "database.json"
SUPERUSER = "postgres"
DATABASE = "postgres"
ROLES = ("api", "settler", "signer", "mode_controller", "treasury", "auditor", "operator", "wal")


class Credentials(BaseModel):
    """A password per role; ``owner`` is the superuser, the others are ``seawall_<role>``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passwords: dict[str, SecretStr]

    def url(self, role: str, *, address: str) -> str:
        """Connection URL of ``role`` for a server at ``address`` (host:port). Raises KeyError."""
        user = SUPERUSER if role == "owner" else f"seawall_{role}"
        return f"postgresql://{user}:{self.passwords[role].get_secret_value()}@{address}/{DATABASE}"

    def write(self, data_dir: Path) -> None:
        """Keep them in the data directory, readable by the user alone."""
        plain = {role: password.get_secret_value() for role, password in self.passwords.items()}
        write_private(data_dir / CREDENTIALS_FILE, json.dumps({"passwords": plain}) + "\n")


def new_credentials() -> Credentials:
    """Fresh passwords for every role."""
    return Credentials(
        passwords={role: SecretStr(secrets.token_urlsafe(24)) for role in ("owner", *ROLES)}
    )


def load_credentials(data_dir: Path) -> Credentials:
    """Read the passwords of a running sandbox."""
    return Credentials.model_validate_json(
        (data_dir / CREDENTIALS_FILE).read_text(encoding="utf-8")
    )
