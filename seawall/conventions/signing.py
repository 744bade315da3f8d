"""How a signer knows who asks; the probe that it offers, and what its refusal says of KMS."""

from __future__ import annotations

import hashlib
import re

PROBE_PATH = "/probe"
"""POST: the signer has its key service sign a fixed text that is no transaction."""
ANSWERED = "answered"
"""What a probe is called whose text was signed."""
SILENT = "silent"
"""What a probe is called whose key service did not answer the signer in time."""
THROTTLED = "ThrottlingException"
DENIED = "AccessDeniedException"
"""Error codes of KMS (KMS API reference, "Common error types")."""

_CODE = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation")
"""How botocore words every error of AWS (`botocore.exceptions.ClientError.MSG_TEMPLATE`)."""

_NO_ANSWER = re.compile(r"(Read|Connect) timeout on endpoint URL")
"""How botocore words a time-out (`botocore.exceptions`, ReadTimeoutError, ConnectTimeoutError)."""


def probe_result(status: int, body: str) -> str:
    """What a signer's answer to a probe shows.

    :data:`ANSWERED`, the error code of the key service if the refusal has one, :data:`SILENT` if it
    says that there was no answer, else the status.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - success, as HTTP has it
        return ANSWERED
    found = _CODE.search(body)
    if found is not None:
        return found[1]
    return f"HTTP {status}" if _NO_ANSWER.search(body) is None else SILENT


_SCHEME = "Bearer "


def authorization(credential: str) -> dict[str, str]:
    """HTTP headers with which a caller shows its ``credential`` (RFC 6750, section 2.1)."""
    return {"Authorization": f"{_SCHEME}{credential}"}


def shown(header: str) -> str:
    """The credential in a value of that header; empty if there is none."""
    return header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else ""


def fingerprint(credential: str) -> str:
    """What a signer knows of a credential: its SHA-256 in hex.

    It needs no salt and no slow hash, because credentials are random and long.
    """
    return hashlib.sha256(credential.encode()).hexdigest()
