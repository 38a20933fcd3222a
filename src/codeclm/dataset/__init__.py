"""Data in and out: reading seeds and metadata, writing outcomes, training formats and the dataset card."""
