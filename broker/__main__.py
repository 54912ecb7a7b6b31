"""`python -m broker`: see `broker.command`."""

import gc
import sys
from types import SimpleNamespace

if __name__ == "__main__":
    gc.disable()  # until the broker serves: nearly all that a start makes, stays
    needless = {
        "hypothesis": None,  # kio loads it where it is installed, for tests of its own
        "importlib.metadata": SimpleNamespace(version=str),  # crc32c asks it for its own version
    }
    if not any("SSL" in argument or argument.startswith("--prop") for argument in sys.argv):
        needless["ssl"] = None  # asyncio does without where it is missing
    sys.modules.update(needless)  # type: ignore[arg-type]  # a third of a start's imports
    import crc32c  # noqa: F401

    del sys.modules["importlib.metadata"]
    from broker.command import main

    sys.exit(main())
