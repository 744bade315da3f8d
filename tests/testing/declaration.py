"""Run the Pulumi program on the engine's own mocks and print what it declares, as JSON.

A process of its own: the SDK leaves event loops behind in its threads. Arguments: the configuration
as JSON, the stack's name, the account of the credentials (by default the sandbox's).
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, set_all_config, settings
from pulumi.runtime.stack import run_pulumi_func

from infra.dry_run import MadeUpAws
from infra.program import declare


class Recorder(mocks.MockMonitor):
    """Keeps every registration as the engine would get it."""

    def __init__(self, account: str) -> None:
        super().__init__(MadeUpAws(account))
        self.declared: list[dict[str, Any]] = []
        self.transforms: list[Any] = []

    def register_stack_transform(self, transform: Any) -> None:
        """In the place of the engine's callbacks: transforms are asked about every registration."""
        self.transforms.append(transform)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the gRPC call
        """Ask the transforms, register as usual, and write it down."""
        properties = rpc.deserialize_properties(request.object)
        options = pulumi.ResourceOptions(protect=request.protect)
        args = {
            "custom": request.custom,
            "type_": request.type,
            "name": request.name,
            "props": properties,
            "opts": options,
        }
        for transform in self.transforms:
            transform(pulumi.ResourceTransformArgs(**args))
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.custom:
            inputs = self.resources[answer.urn].state
            self.declared.append(
                {
                    "type": request.type,
                    "name": request.name,
                    "inputs": inputs,
                    "protect": bool(request.protect),
                }
            )
        return answer


def main() -> None:
    """Declare, and print."""
    gc.disable()  # all of it is needed until the end, and looking for garbage took half of the time
    config, stack, account = [*sys.argv[1:], "123456789012"][:3]
    recorder = Recorder(account)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(recorder.mocks, project="seawall", stack=stack, preview=False, monitor=recorder)
    set_all_config(json.loads(config))
    settings.SETTINGS.callbacks = recorder
    loop.run_until_complete(run_pulumi_func(lambda: declare(repository=Path.cwd())))
    print(json.dumps(recorder.declared))


if __name__ == "__main__":
    main()
