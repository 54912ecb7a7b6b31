"""Groups and, later, transactions: state machines whose every change is a record in a compacted topic."""
