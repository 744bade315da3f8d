"""How a gevent program asks a venue that closes every connection."""

from __future__ import annotations

from typing import Any

import pytest

from seawall.formats.drill_contract import ContractAdapter


@pytest.mark.parametrize("operation", ["balances", "login"])
def test_a_venue_that_is_down_is_asked_twice_and_not_once_for_each_connection(
    operation: str,
) -> None:
    """The client alone would repeat a GET thousands of times, and keep down what comes up."""
    from gevent.server import StreamServer
    from geventhttpclient.response import HTTPConnectionClosed

    from loadtests.venue import Venue
    from tests.testing.mappings import CUSTOMER

    connections: list[Any] = []

    def closes(connection: Any, address: Any) -> None:
        connections.append(address)
        connection.close()

    server = StreamServer(("127.0.0.1", 0), closes)
    server.start()
    url = f"http://127.0.0.1:{server.server_port}"
    with Venue(url, ContractAdapter(), concurrency=200, timeout_s=5.0) as venue:
        request = venue.adapter.request(operation, {}, customer=CUSTOMER)
        with pytest.raises((HTTPConnectionClosed, ConnectionResetError)):
            venue.send(venue.prepared(request, session=None))
    server.stop()

    assert len(connections) == 2
