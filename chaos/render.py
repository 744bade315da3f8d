"""Render the experiment of every drill from a policy.

Usage: ``python -m chaos.render --policy FILE [--out DIR | --check]`` (`seawall.rendering`).
"""

from __future__ import annotations

import sys

from seawall.conventions import generated
from seawall.experiments import experiments_of, text_of
from seawall.policy import Policy
from seawall.rendering import Renderer


def render(policy: Policy) -> dict[str, str]:
    """The text of each experiment by the name of its file."""
    return {
        f"{name}.json": text_of(experiment) for name, experiment in experiments_of(policy).items()
    }


RENDERER = Renderer(
    module="chaos.render",
    description="Render the experiment of every drill from a policy.",
    render=render,
    folder=generated.EXPERIMENTS_FOLDER,
)

if __name__ == "__main__":
    sys.exit(RENDERER.main())
