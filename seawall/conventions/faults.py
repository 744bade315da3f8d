"""Names of faults, which the injector writes into the timeline and the judge looks for."""

from __future__ import annotations

ASSET_PAUSED = "asset-paused"
"""The issuer of a token stops all transfers of it on a network."""
KMS_DARK = "kms-dark"
"""The key service of a region answers no more."""
KMS_THROTTLED = "kms-throttled"
"""The key service of a region answers most requests with ThrottlingException."""
PROCESS_FROZEN = "process-frozen"
"""A process stands still."""
PROCESS_KILLED = "process-killed"
"""A process is killed, and brought back at the end."""
RPC_DARK = "rpc-dark"
"""An RPC endpoint of a network answers no more."""
SIGNING_DENIED = "signing-denied"
"""The signers' roles of a region may not sign any more."""
STOP_SIGNING = (KMS_DARK, KMS_THROTTLED, SIGNING_DENIED)
"""Faults that keep a region's signers from signing, so that the other region must."""
