"""The key service of the primary region hangs: it takes requests and never answers."""

from __future__ import annotations

from chaos import toxiproxy
from chaos.deployment import Targets
from chaos.faults.base import Fault, Observation
from chaos.outside import SILENT_S_MIN, look
from seawall.conventions import aws, components
from seawall.errors import UsageError
from seawall.lease import UndoCall

TOXIC = f"{aws.PREFIX}-kms-dark"
UNTIL_REMOVED = 0
"""Toxiproxy's `timeout` toxic with 0 lets nothing through until it is removed, then closes what
hung.
"""


class KmsDark(Fault):
    """A hang, which is worse than a refusal: only the caller's own timeout ends it.

    The toxic sits on the upstream stream, because downstream the emulator's close would pass
    through and the caller would see a closed connection after some milliseconds instead of silence.
    It acts on kept-alive connections too.
    """

    name = "kms-dark"
    reaches = ("kms.primary",)

    def __init__(self, targets: Targets) -> None:
        self.target = components.kms_proxy(targets.regions.primary)
        if self.target not in targets.proxies:
            message = f"the targets name no proxy {self.target}"
            raise UsageError(
                message,
                remedy="route the signers' KMS traffic through Toxiproxy and name it under proxies",
            )
        self._toxiproxy = targets.toxiproxy
        self._listen = targets.proxies[self.target].listen

    def undo(self) -> tuple[UndoCall, ...]:
        """Take the toxic away."""
        return (toxiproxy.removal(self._toxiproxy, proxy=self.target, name=TOXIC),)

    def apply(self) -> None:
        """Swallow whatever is sent to the region's key service from now on."""
        toxiproxy.add_toxic(
            self._toxiproxy,
            proxy=self.target,
            name=TOXIC,
            kind="timeout",
            stream="upstream",
            attributes={"timeout": UNTIL_REMOVED},
        )

    def observe(self) -> Observation:
        """Silence is the fault; an answer is its absence; a refusal is some other trouble."""
        match look(self._listen):
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
