"""A look at a region's key service through its signer, which no fault of the key service injects.

The signer's own probe takes the path of a payout, with the same role and key, and is none.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from seawall.conventions import signing
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment, Signer

ANSWER_S_MAX = 0.9
"""Longer than a signer waits for its key service: its own time-outs are two quarters of a second.

Shorter than the second that two observations of a fault may be apart.
"""


def signer_of(deployment: Deployment, target: str, *, fault: str) -> tuple[str, Signer]:
    """The region of ``target`` (``kms.primary`` or ``kms.standby``) and its signer.

    Raises:
        UsageError: The deployment has no such region, or does not say where its signer is.
    """
    side = target.partition(".")[2]
    region = getattr(deployment.regions, side, None)
    if region is None:
        raise UsageError(
            f"the fault {fault} cannot be aimed at {target}",
            remedy="name kms.primary or kms.standby, and the regions in the deployment file",
        )
    if region not in deployment.signers:
        raise UsageError(
            f"the deployment file names no signer of {region}",
            remedy="a fault that cannot be observed proves nothing; name it under signers",
        )
    return str(region), deployment.signers[region]


def look(signer: Signer) -> str:
    """Have ``signer`` probe its key service once.

    Returns:
        As :func:`seawall.conventions.signing.probe_result`, or ``silent`` without an answer.

    Raises:
        UsageError: The prober's credential cannot be read.
    """
    parts = urlsplit(signer.url)
    headers = {"Connection": "close", **signer.headers("prober")}
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=ANSWER_S_MAX)
    try:
        connection.request("POST", parts.path.rstrip("/") + signing.PROBE_PATH, headers=headers)
        answer = connection.getresponse()
        return signing.probe_result(answer.status, answer.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException):
        return signing.SILENT
    finally:
        connection.close()
