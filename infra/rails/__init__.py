"""Standby rails: both sides of every way to pay, settings and credentials and queues, in both
regions before they are needed.

A failover makes nothing: what it reads lies in the region that is left (static stability). ``rail``
puts one rail together out of ``credentials``, ``settings`` and ``queues``; ``served`` moves the
names that we serve ourselves, and those alone.
"""

from infra.rails.rail import StandbyRail, StandbyRailArgs
from infra.rails.served import Served, ServedArgs

__all__ = ["Served", "ServedArgs", "StandbyRail", "StandbyRailArgs"]
