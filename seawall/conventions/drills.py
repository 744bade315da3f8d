"""Names of the drills of one control, which have commands of their own."""

from __future__ import annotations

NEIGHBOUR = "noisy-neighbour"
SEGREGATION = "segregation"
