from __future__ import annotations

import pytest

from irt.figures import rounded


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (-6556.936814204821, 3, "-6556.937"), (1.1149621, 4, "1.1150"), (2, 1, "2.0"), (None, 4, "none"),
        ("odd", 4, "odd"), (True, 4, "True"), (float("nan"), 2, "nan"),
    ],
)  # fmt: skip
def test_rounded(value, digits, shown):
    assert rounded(value, digits) == shown
