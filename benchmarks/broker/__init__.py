"""The bundled broker beside Apache Kafka: same machine, same client, same run, one after the other."""
