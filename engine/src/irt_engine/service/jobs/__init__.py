"""Jobs: the queue, the running ones, and their records."""
