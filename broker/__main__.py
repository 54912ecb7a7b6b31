"""`python -m broker`: see `broker.command`."""

import gc
import sys
from types import SimpleNamespace

if __name__ == "__main__":
    gc.disable()  # until the broker serves: nearly all that a start makes, stays
    needless = {
        "hypothesis": None,  # kio loads it where it is installed, for tests of its own
        "ssl": None,  # asyncio does without where it is missing
        "importlib.metadata": SimpleNamespace(version=str),  # crc32c asks it for its own version
    }
    sys.modules.update(needless)  # type: ignore[arg-type]  # a third of a start's imports
    import crc32c  # noqa: F401

    del sys.modules["importlib.metadata"]
    from broker.command import main

    sys.exit(main())
