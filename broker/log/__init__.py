"""Partitions on disk, in Kafka's own form. Knows nothing of the network."""
