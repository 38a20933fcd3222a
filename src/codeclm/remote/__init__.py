"""A run's slots on the workers of a cluster: both sides, and what they ask each other."""
