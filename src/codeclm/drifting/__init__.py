"""Whether the traffic has moved away from what a run covers."""
