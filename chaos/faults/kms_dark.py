"""The fault in which the primary region's key service accepts requests and never answers."""

from __future__ import annotations

from chaos import toxiproxy
from chaos.endpoint import SILENT_S_MIN, probe
from chaos.faults.base import Fault, Observation
from seawall.conventions import aws, components, faults
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall

TOXIC = f"{aws.PREFIX}-kms-dark"
UNTIL_REMOVED = 0
"""Toxiproxy's `timeout` toxic with 0 passes nothing until it is removed.

It then closes the connections that hung.
"""


class KmsDark(Fault):
    """A hang. It is worse than a refusal, because only the caller's own timeout ends it.

    The toxic is on the upstream stream: on the downstream one, the emulator's close would pass
    through, and after some milliseconds the caller would see a closed connection instead of
    silence. It also acts on connections that are kept alive.
    """

    name = faults.KMS_DARK
    reaches = ("kms.primary",)

    def __init__(self, deployment: Deployment) -> None:
        self.target = components.kms_proxy(deployment.regions.primary)
        if self.target not in deployment.proxies:
            raise UsageError(
                f"the deployment file names no proxy {self.target}",
                remedy="route the signers' KMS traffic through Toxiproxy and name it under proxies",
            )
        self._toxiproxy = deployment.toxiproxy
        self._listen = deployment.proxies[self.target].listen

    def undo(self) -> tuple[UndoCall, ...]:
        """Remove the toxic."""
        return (toxiproxy.removal(self._toxiproxy, proxy=self.target, name=TOXIC),)

    def apply(self) -> None:
        """Drop everything that is sent to the region's key service from now on."""
        toxiproxy.add_toxic(
            self._toxiproxy,
            proxy=self.target,
            name=TOXIC,
            kind="timeout",
            stream="upstream",
            attributes={"timeout": UNTIL_REMOVED},
        )

    def observe(self) -> Observation:
        """Silence is the fault, an answer its absence; a refusal has another cause."""
        match probe(self._listen):
            case "answered":
                return Observation(state="clear", what=f"{self._listen} answered")
            case "silent":
                return Observation(
                    state="effective",
                    what=f"{self._listen} took a request and was silent for {SILENT_S_MIN} s",
                )
            case "broken":
                return Observation(
                    state="unclear", what=f"{self._listen} refused or reset the connection"
                )
