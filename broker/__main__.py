"""`python -m broker`: see `broker.command`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # until the broker serves: nearly all that a start makes, stays
    sys.modules["hypothesis"] = None  # type: ignore[assignment]  # kio loads it where it is installed, for tests of its own
    from broker.command import main

    sys.exit(main())
