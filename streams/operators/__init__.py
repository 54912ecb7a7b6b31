"""What runs: a function or a small class per kind of operation, over batches.

Read `base` for what an operator is and `columns` for how it calls user code; then a file per family. Operators know
stores and time; what a program looked like (graph), and who runs them (runtime), they do not know.
"""
