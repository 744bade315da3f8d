"""Render the list of the resources that a stack of a policy must declare.

Usage: ``python -m infra.render --policy FILE [--out DIR | --check]`` (`seawall.rendering`).

The list is what the program declares now, so rendering is how a resource is added or given up on
purpose; the committed list is what every later run of the program is held against
(``infra.refusals``).
"""

from __future__ import annotations

import gc
import sys

from infra.dry_run import expected_of
from infra.expected_resources import written
from seawall.cache import repository_root
from seawall.conventions import generated
from seawall.policy import Policy
from seawall.rendering import Renderer


def render(policy: Policy) -> dict[str, str]:
    """The text of the list by the name of its file.

    Raises :class:`UsageError` or :class:`PolicyError` if the program refuses the policy.
    """
    return {
        generated.EXPECTED_RESOURCES_FILE: written(
            expected_of(policy, repository=repository_root())
        )
    }


RENDERER = Renderer(
    module="infra.render",
    description="Render the list of the resources that a stack of a policy must declare.",
    render=render,
)


if __name__ == "__main__":
    # The SDK's objects live until the end; looking for garbage among them took a third of the time.
    gc.disable()
    sys.exit(RENDERER.main())
