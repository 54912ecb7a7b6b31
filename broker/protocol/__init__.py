"""The protocol as bytes: frames, messages, record batches. No I/O."""
