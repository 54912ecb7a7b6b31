"""Other systems on the same workloads, side by side; `python -m benchmarks.peers` runs it."""
