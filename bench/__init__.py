"""Measurements that anyone can repeat: `./irt bench NAME`. Figures come from here, never from a test."""
