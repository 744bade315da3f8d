"""Makes the hosted zones that an account must have before the stack: those of the served names.

On a real account the owner of the domain makes them. The Pulumi program only looks them up, and a
stack that is destroyed leaves them alone.
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.aws_root import root_client
from seawall.errors import ServiceError
from seawall.policy import Policy


def prepare_hosted_zones(*, endpoint: str, policy: Policy) -> list[str]:
    """Make the zones that ``policy`` serves names in and that are not there yet; their names.

    Raises :class:`ServiceError`.
    """
    wanted = sorted({served.zone for served in policy.served.values()})
    try:
        route53 = root_client("route53", endpoint=endpoint, region=policy.regions.primary)
        pages = route53.get_paginator("list_hosted_zones").paginate()
        known = {zone["Name"].rstrip(".") for page in pages for zone in page["HostedZones"]}
        missing = [zone for zone in wanted if zone not in known]
        for zone in missing:
            route53.create_hosted_zone(Name=zone, CallerReference=f"landing-{zone}")
    except (ClientError, BotoCoreError) as error:
        message = f"the sandbox's AWS refused to make its hosted zones: {error}"
        raise ServiceError(message) from error
    return missing
