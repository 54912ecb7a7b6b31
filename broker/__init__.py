"""A durable broker of one node that speaks Kafka's protocol and keeps Kafka's files."""
