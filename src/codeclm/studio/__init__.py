"""A live application on this machine to watch runs, look into what they made, and work on it."""
