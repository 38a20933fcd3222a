"""What codeclm says to models, and how it reads what they reply."""
