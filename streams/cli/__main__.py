"""`python -m streams.cli`: the `streams` command where it is not on the PATH."""

from streams.cli import main

main()
