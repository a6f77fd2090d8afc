"""Which frames the other stages look at."""
