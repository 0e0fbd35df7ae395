"""The processes that check and calibrate, and how the service has them forked, watched and ended."""
