"""Ports are promised once per name, never twice, and only if free."""

from __future__ import annotations

import socket

from sandbox.ports import Ports, pick_port


def test_a_name_keeps_its_port_and_two_names_never_share_one() -> None:
    """Even if the picker repeats itself."""
    picked = iter([5001, 5001, 5001, 5002])
    ports = Ports(lambda: next(picked))
    assert ports.of("moto") == ports.of("moto") == 5001
    assert ports.of("pager") == 5002
    assert ports.url("pager") == "http://127.0.0.1:5002"


def test_a_picked_port_can_be_bound() -> None:
    """It lies below those that outgoing connections are given."""
    port = pick_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
    assert port >= 10_240
