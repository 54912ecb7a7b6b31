"""The end of a broker that can no longer tell what is on its disk: at once, before anything else is answered.

A start afterwards checks the logs from their recovery points, as after a crash. Used where going on could acknowledge what
is not there, or take for clean what is not; everything milder is an error to whoever asked.
"""

import logging
import os
from typing import NoReturn

logger = logging.getLogger(__name__)

HALTED = 1


def halt(reason: str) -> NoReturn:
    """Say why and end the process without closing anything."""
    logger.critical("%s; stopping at once: mend or replace the disk, then start again", reason)
    logging.shutdown()
    os._exit(HALTED)
