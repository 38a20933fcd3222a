"""The test tube: CodecLM's claim in a world small enough to be exact, with real training of a small transformer."""
