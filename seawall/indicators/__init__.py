"""Indicators: committed rows in, one exact number out.

Pure: no clock, no I/O. The mode controller decides with this code, and the scorecard runs the same
code over the recorded rows, so that both mean the same by "the first row that crosses the trigger".
Times are integer Unix microseconds; levels are exact fractions (ages in seconds).
"""

from seawall.indicators.flow import Crossing, FlowRow, Window, first_crossing
from seawall.indicators.sample import Sample, age_s

__all__ = ["Crossing", "FlowRow", "Sample", "Window", "age_s", "first_crossing"]
