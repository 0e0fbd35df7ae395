"""Bodies as the deployed client sends them, and what its parser reads from a response."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

TIME = "2026-11-20 03:04:05.123456+00:00"
ITEMS = [str(1000 + item) for item in range(10)]
USERS = [f"{user:08x}-0000-4000-8000-{7919 * user:012x}" for user in range(60)]

# The answers of each user, item 1000 first.
_PATTERNS = """
    1000111000 1110001000 1111100010 0101101000 1011111110 0111111110 0001011100 0000011100 0110100000
    0100101100 0110111110 1000011000 1110011101 0000110000 0000001000 1111011100 0110110100 1010111100
    0111111110 1011011100 0000010000 0111000000 0100001100 1110111110 0000001000 1101101110 0010011100
    1011111101 1111101010 0010001101 1011011000 1111111100 1111000100 0111001100 0101111110 0000000000
    0000011000 1100000100 1010000000 0010001000 1100010100 0000000001 0001011110 0000100000 0110111110
    0110111100 0100011100 0100111000 0011011000 1101111111 1100011110 1111111001 1100011000 0101101110
    0110100100 0010010000 1010101100 0111011000 0000010000 1110111101
"""
_ANSWERS = _PATTERNS.split()


def observations(responded_at: str | None = TIME) -> list[Row]:
    """600 answers, one per user and item, as that client writes them."""
    return [
        {"user_id": user, "item_id": item, "is_correct": answer == "1", "responded_at": responded_at}
        for user, answers in zip(USERS, _ANSWERS, strict=True)
        for item, answer in zip(ITEMS, answers, strict=True)
    ]


def anchor(item_id: str, fixed: bool = True, **params: Any) -> Row:
    return {"item_id": item_id, "params": params, "fixed": fixed}


def calibrations() -> dict[str, dict[str, Any]]:
    """Bodies of /irt/calibrate by name."""
    rows = observations()
    body = {"observations": rows, "model": "2PL"}
    good = anchor("1002", a=1.0, b=0.1)
    pair = [anchor("1001", a=1.0, b=0.3), good]
    return {
        "plain": body,
        "no model": {"observations": rows},
        "lower case": {"observations": rows, "model": "2pl"},
        "Rasch": {"observations": rows, "model": "Rasch"},
        "3PL": {"observations": rows, "model": "3PL"},
        "repeated pairs": {**body, "observations": [*rows, *rows[:30]]},
        "no times": {**body, "observations": observations("None")},
        "anchors with model": {
            **body,
            "anchors": [anchor("1001", a=1.0, b=0.3, model="2PL"), anchor("1002", a=1.0, b=0.1, model="2PL")],
        },
        "three anchors": {**body, "anchors": [*pair, anchor("1003", a=0.9, b=-0.4)]},
        "tag-only anchor": {**body, "anchors": [anchor("1001"), good]},
        "b-only anchors": {**body, "anchors": [anchor("1001", b=0.3), anchor("1002", b=0.2)]},
        "seed": {**body, "anchors": [anchor("1001", fixed=False, a=1.0, b=0.3, c=0.0)]},
        "absent anchor": {**body, "anchors": [*pair, anchor("999999", a=1.0, b=0.0)]},
        "matrix": {"responses": [[int(answer) for answer in answers] for answers in _ANSWERS], "model": "2PL"},
    }


# Two patterns of answers with 40 users each: the slopes have no bound, so nothing can be calibrated.
TWO_PATTERNS = {"responses": [[1, 0, 1, 0], [0, 1, None, 1]] * 40, "model": "2PL"}

ONE_USER: dict[str, Any] = {
    "item_params": {"1001": {"a": 1.0, "b": 0.0, "c": 0.0}, "1002": {"a": 1.0, "b": 0.5, "c": 0.0}},
    "responses": [{"item_id": "1001", "is_correct": True}, {"item_id": "1002", "is_correct": False}],
}
MATRIX_TO_SCORE: dict[str, Any] = {
    "item_params": [{"item": "1001", "a": 1.0, "b": 0.0, "c": 0}, {"item": "1002", "a": 1, "b": 0.5}],
    "responses": [[1, 0], [0, None]],
}


def parsed(answer: dict[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    """Parameters by item and (theta, se) by user, as that client's parser reads them; it stores all of `model_spec`."""
    meta = answer["fit_meta"]
    assert meta["run_id"] is None or isinstance(meta["run_id"], str)
    assert isinstance(meta["model_spec"], dict)
    items = {row["item_id"]: {**row["params"], "model": row["model"]} for row in answer["item_params"]}
    abilities = {row["user_id"]: (float(row["theta"]), float(row["se"])) for row in answer["abilities"]}
    return items, abilities


def calibrated(client, contract, body, **options) -> dict:
    """The response to a body, with these `options` if any."""
    response = client.post("/irt/calibrate", json={**body, "options": options} if options else body)
    assert response.status_code == 200, response.text
    contract.check("Calibration", response.json())
    return response.json()


def spec_of(answer: dict) -> dict:
    return answer["fit_meta"]["model_spec"]


def refused(client, contract, path, body) -> str:
    """The `detail` of the refusal of a body."""
    return contract.problem(client.post(path, json=body), 422, "invalid-request")["detail"]
