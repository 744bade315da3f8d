"""Where the statements of a rail's providers are read, as a deployment file says it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict

from seawall.conventions import signing
from seawall.formats.credentials import read_credential


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _reachable(url: str) -> str:
    parts = urlsplit(url)  # raises ValueError for brackets that do not match
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        message = "write an address that begins with http:// or https:// and names a host"
        raise ValueError(message)
    return url


Url = Annotated[str, AfterValidator(_reachable)]
"""An address of a service."""


class RailProvider(_Part):
    """A provider of a rail as an auditor reaches it: past the venue, and past every fault.

    ``url`` is that of its statement's interface (`seawall/formats/payout_rail.py`); ``reader`` is a
    file of mode 0600 with the credential of a reader, who may instruct nothing.
    """

    url: Url
    reader: Path

    def headers(self) -> dict[str, str]:
        """HTTP headers of a reader's request.

        Raises :class:`UsageError` if the file cannot be read, if others can, or for odd bytes.
        """
        return signing.authorization(read_credential(self.reader))


class RailProviders(_Part):
    """The two providers of a rail."""

    primary: RailProvider
    standby: RailProvider

    def addresses(self, path: str) -> Iterator[tuple[str, str]]:
        """Both, by their path in the file below ``path``."""
        for side, provider in self:
            yield f"{path}.{side}.url", provider.url

    def below(self, folder: Path) -> RailProviders:
        """The same, with files that are relative to ``folder``."""
        return RailProviders(
            **{
                side: provider.model_copy(update={"reader": folder / provider.reader})
                for side, provider in self
            }
        )
