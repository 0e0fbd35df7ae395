"""Which jobs there are, which of them runs, and what is kept of them."""
