"""Measurements that anyone can repeat: `./irt bench NAME`. Published figures come from here, never from a test."""
