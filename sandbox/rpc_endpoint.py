"""RPC endpoints before a node: its public methods and none of its control methods.

Usage: ``python -m sandbox.rpc_endpoint PORT=HOST:PORT ...``: each port forwards to the node behind
it. One process serves all; each client connection has its own connection to the node, so that a
slow answer delays no other client.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

import uvloop

from sandbox.http1 import Handle, Message, read_message, response, serve
from seawall.errors import SeawallError, ServiceError, UsageError

NAMESPACES = ("eth", "net", "web3", "txpool")
"""What public endpoints serve.

The node's own anvil_, evm_, hardhat_ and debug_ methods would let a caller make money.
"""
NOT_IN_NAMESPACES = (
    "eth_accounts",
    "eth_sendTransaction",
    "eth_sign",
    "eth_signTransaction",
    "eth_sendUnsignedTransaction",
)
"""Methods that would use the node's own development keys."""
METHOD_NOT_FOUND = -32601
PARSE_ERROR = -32700
CONNECT_TIMEOUT_S = 2.0


def refusal(body: bytes) -> dict[str, Any] | None:
    """The JSON-RPC error for a request that a public endpoint does not serve, or None if it does.

    A batch is refused whole if one of its calls is.
    """
    try:
        asked = json.loads(body)
    except ValueError:
        return _error(None, PARSE_ERROR, "the body is not JSON")
    for call in asked if isinstance(asked, list) else [asked]:
        method = call.get("method") if isinstance(call, dict) else None
        if not isinstance(method, str):
            return _error(None, PARSE_ERROR, "a call without a method")
        if method.partition("_")[0] not in NAMESPACES or method in NOT_IN_NAMESPACES:
            return _error(
                call.get("id"), METHOD_NOT_FOUND, f"the method {method} is not served here"
            )
    return None


def _error(identity: Any, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": text}}


def endpoint(host: str, port: int) -> Handle:
    """The handler of one endpoint's connections."""

    async def handle(client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        node_reader: asyncio.StreamReader | None = None
        node: asyncio.StreamWriter | None = None
        try:
            while (request := await read_message(client_reader)) is not None:
                refused = refusal(request.body)
                if refused is not None:
                    client.write(response(200, json.dumps(refused).encode()))
                    continue
                if node is None or node_reader is None:
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        node_reader, node = await asyncio.open_connection(host, port)
                node.write(request.raw)
                answer = await _answer(node_reader)
                client.write(answer.raw)
                if not (request.keeps_alive and answer.keeps_alive):
                    break
        except (OSError, TimeoutError, ServiceError) as error:
            # What a provider's gateway says when its node is gone; a half-sent answer cannot be
            # taken back.
            with suppress(OSError):
                client.write(
                    response(
                        502, json.dumps({"error": str(error) or "the node did not answer"}).encode()
                    )
                )
        finally:
            for writer in (client, node):
                if writer is not None:
                    writer.close()

    return handle


async def _answer(node_reader: asyncio.StreamReader) -> Message:
    answer = await read_message(node_reader)
    if answer is None:
        message = "the node closed the connection"
        raise ServiceError(message)
    return answer


def main(arguments: list[str]) -> int:
    """Serve every route of the command line until a signal; returns the exit code."""
    try:
        handlers: dict[int, Handle] = {}
        for route in arguments:
            port, _, node = route.partition("=")
            host, _, node_port = node.partition(":")
            if not (port.isdigit() and host and node_port.isdigit()):
                message = f"{route!r} is not PORT=HOST:PORT"
                raise UsageError(message)
            handlers[int(port)] = endpoint(host, int(node_port))
        uvloop.run(serve(handlers))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
