"""What faults on the wire have in common: a proxy of the deployment that passes nothing on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from chaos import toxiproxy
from chaos.endpoint import SILENT_S_MIN, probe
from chaos.faults.base import Fault, Observation
from seawall.conventions import aws
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall

UNTIL_REMOVED = 0
"""Toxiproxy's `timeout` toxic with 0 passes nothing until it is removed.

It then closes the connections that hung.
"""


class DarkProxy(Fault):
    """A hang. It is worse than a refusal, because only the caller's own timeout ends it.

    The toxic is on the upstream stream: on the downstream one, the close of the service behind it
    would pass through, and after some milliseconds the caller would see a closed connection instead
    of silence. It also acts on connections that are kept alive.
    """

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        proxies = self.proxies(deployment)
        if target not in proxies:
            raise UsageError(
                f"the fault {self.name} cannot be aimed at {target}: the deployment file says"
                " nothing of such an endpoint",
                remedy=f"there is {', '.join(proxies) or 'none'}",
            )
        self.part = proxies[target]
        if self.part not in deployment.proxies:
            raise UsageError(
                f"the deployment file names no proxy {self.part}",
                remedy="route that traffic through Toxiproxy and name the proxy under proxies",
            )
        if deployment.toxiproxy is None:
            raise UsageError(
                f"the deployment file names no toxiproxy, so {self.part} cannot be cut off",
                remedy="name the base URL of its interface under toxiproxy",
            )
        self._toxiproxy = deployment.toxiproxy
        self._listen = deployment.proxies[self.part].listen

    @classmethod
    @abstractmethod
    def proxies(cls, deployment: Deployment) -> Mapping[str, str]:
        """The proxy of each target, by its word of the blast radius."""

    @property
    def _toxic(self) -> str:
        return f"{aws.PREFIX}-{self.name}"

    def undo(self) -> tuple[UndoCall, ...]:
        """Remove the toxic."""
        return (toxiproxy.removal(self._toxiproxy, proxy=self.part, name=self._toxic),)

    def apply(self) -> None:
        """Drop everything that is sent through the proxy from now on."""
        toxiproxy.add_toxic(
            self._toxiproxy,
            proxy=self.part,
            name=self._toxic,
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
            case "refused" | "broken":
                return Observation(
                    state="unclear", what=f"{self._listen} refused or reset the connection"
                )
