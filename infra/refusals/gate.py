"""The gate between the program and the engine: nothing is registered before everything is judged.

Every resource waits for the gate, so a refused program makes nothing, in a preview or an update,
also with --skip-preview.

A value that is still unknown then (a policy with the ARN of a key in it) is judged by a resource
transform once it is known, just before the resource is made; transforms also see what packaged
components declare. Only the older transformations can hold a registration back (Pulumi, "Resource
transforms" and "Transformations").

A program that ends before it was judged is refused, too. The SDK waits for every registration
before it reports why a program ended, so a registration that was still held would block it for
ever, and the reason would never be shown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from traceback import format_exception
from types import TracebackType
from typing import Any, Self

import pulumi
from pulumi._types import input_type_to_dict, is_input_type
from pulumi.runtime import register_resource_transform, register_stack_transformation

from infra.refusals.declared import UNKNOWN, Declared, Demands
from infra.refusals.judge import judge, judge_all
from seawall.errors import SeawallError, UsageError

_REMEDY = (
    "correct the program or the policy; if the stack is meant to lack a listed resource, run"
    " bin/seawall render and have the change reviewed; nothing was changed"
)


class Collector:
    """Keeps everything that is declared and is no component.

    Attributes:
        declared: as the rules read it, in the order of the program.
        resources: the same, as Pulumi's objects.
    """

    def __init__(self) -> None:
        self.declared: list[Declared] = []
        self.resources: list[pulumi.Resource] = []

    def keep(self, args: pulumi.ResourceTransformationArgs) -> None:
        """A stack transformation that changes nothing."""
        if isinstance(args.resource, pulumi.CustomResource):
            inputs = {_wire_name(name): _known(value) for name, value in args.props.items()}
            self.resources.append(args.resource)
            self.declared.append(
                Declared(
                    kind=args.type_, name=args.name, inputs=inputs, protect=bool(args.opts.protect)
                )
            )


class Gate:
    """Opened by :meth:`open`, once, after everything has been declared, within ``with``.

    Must be made before anything that it is to judge.

    Attributes:
        resources: everything that was declared so far and is no component.
    """

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self._collector = Collector()
        self.resources = self._collector.resources
        self._judged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened: Any = pulumi.Output.from_input(self._wait())
        register_resource_transform(self._judge_known)
        register_stack_transformation(self._hold)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        """End everything that still waits, with the reason for which the program ended.

        If the gate was not opened, nothing is registered.
        """
        if self._judged.done():
            return
        if isinstance(error, SeawallError):
            self._judged.set_exception(pulumi.RunError(str(error)))
            return
        # As text: the SDK reports this error in place of the first one, and overwrites its cause.
        why = "" if error is None else f":\n{''.join(format_exception(error))}"
        self._judged.set_exception(
            pulumi.RunError(f"the program ended before it was judged; nothing was changed{why}")
        )

    def open(self) -> None:
        """Judge everything that was declared, and let it be registered.

        Raises :class:`UsageError` with every refusal.
        """
        refusals = judge_all(self._collector.declared, self._demands)
        if refusals:
            lines = "\n".join(f"  {refusal}" for refusal in refusals)
            raise UsageError(
                f"this stack may not be made, for {len(refusals)} reason(s):\n{lines}",
                remedy=_REMEDY,
            )
        self._judged.set_result(None)

    def _hold(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        self._collector.keep(args)
        opts = pulumi.ResourceOptions.merge(
            args.opts, pulumi.ResourceOptions(depends_on=[self._opened])
        )
        return pulumi.ResourceTransformationResult(props=args.props, opts=opts)

    async def _wait(self) -> None:
        await self._judged

    def _judge_known(self, args: pulumi.ResourceTransformArgs) -> None:
        if not args.custom:
            return
        inputs = {name: _known(value) for name, value in args.props.items()}
        resource = Declared(
            kind=args.type_, name=args.name, inputs=inputs, protect=bool(args.opts.protect)
        )
        refusals = judge(resource, self._demands)
        if refusals:
            raise UsageError("; ".join(refusals), remedy="correct the program or the policy")


def _known(value: Any) -> Any:
    """``value`` as plain data, with :data:`UNKNOWN` for each part that only AWS can tell."""
    if isinstance(value, pulumi.Output) or asyncio.isfuture(value) or asyncio.iscoroutine(value):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {name: _known(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(item) for item in value]
    if is_input_type(type(value)):
        return {name: _known(item) for name, item in input_type_to_dict(value).items()}
    return value


def _wire_name(name: str) -> str:
    """``enable_key_rotation`` -> ``enableKeyRotation``, as the engine calls it."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
