"""From which confidence of the detector on something is looked at, and from which it is a face."""

from __future__ import annotations

MIN_SCORE = 0.5
"""Lowest confidence that is looked at, 0..1."""

RELIABLE = 0.9
"""Confidence from which a detection counts as a face; 99 % of the validation faces have it."""
