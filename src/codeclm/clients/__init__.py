"""From a Request to a Completion: HTTP, limits, retries and the journal, each wrapping the next."""
