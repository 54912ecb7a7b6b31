"""What users write: streams, tables, windows and decorators, in Kafka's words."""
