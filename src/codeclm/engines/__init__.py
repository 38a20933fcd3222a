"""Engines map a worker over numbered items, in order, and know nothing of what the items are."""
