"""Nexmark: an auction house as a stream of persons, auctions and bids, and questions about it.

Source: the Nexmark benchmark (Tucker, Tufte, Papadimos, Maier) as Apache Beam and Apache Flink run it: the same
proportions, the same questions. `python -m benchmarks.nexmark` measures them.
"""
