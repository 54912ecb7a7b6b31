"""The logical graph: what a program says, as frozen nodes."""
