"""The fault in which a region's key service accepts requests and never answers them."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.signer import signer_of
from chaos.wire import DarkProxy
from seawall.conventions import components, faults
from seawall.formats.deployment import Deployment
from seawall.policy import Policy


class KmsDark(DarkProxy):
    """A region's key service hangs: its signers get no answer, and no refusal either."""

    name = faults.KMS_DARK

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        """Aim it at ``target``.

        Raises:
            UsageError: It does not fit ``deployment``, which must also say where the region's
                signer is: the judge believes the dark only if the prober's own signatures failed.
        """
        super().__init__(deployment, target=target, parameters=parameters)
        signer_of(deployment, target, fault=self.name)

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """The key service of either region."""
        del policy
        return tuple(f"kms.{side}" for side in components.SIDES)

    @classmethod
    def proxies(cls, deployment: Deployment) -> Mapping[str, str]:
        """The proxy before each region's key service."""
        regions = deployment.regions
        if regions is None:
            return {}
        return {
            "kms.primary": components.kms_proxy(regions.primary),
            "kms.standby": components.kms_proxy(regions.standby),
        }
