"""Kafka clients as the runtime needs them: interfaces, an in-memory implementation, and one over aiokafka."""
