"""Hours under an even load: whether memory, file handles and latency stay where they are."""
