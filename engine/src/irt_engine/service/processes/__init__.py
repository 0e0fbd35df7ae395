"""The processes that check and calibrate, and how the service forks, watches and ends them."""
