"""The topology: what a program becomes, as Kafka would lay it out, and how it is compiled."""
