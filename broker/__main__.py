"""`python -m broker`: see `broker.command`."""

import sys

if __name__ == "__main__":
    sys.modules["hypothesis"] = None  # type: ignore[assignment]  # kio loads it where it is installed, for tests of its own
    from broker.command import main

    sys.exit(main())
