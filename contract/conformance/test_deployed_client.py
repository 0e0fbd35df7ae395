"""The deployed client's bodies: each gets a response that its parser can read, or an error that says what to change."""

from __future__ import annotations

import httpx
import pytest

from contract.conformance import deployed
from contract.conformance.bodies import STILL
from contract.conformance.deployed import ITEMS, USERS, anchor, calibrated, parsed, refused, spec_of

CALIBRATIONS = deployed.calibrations()
SCORES = {"one user": deployed.ONE_USER, "matrix": deployed.MATRIX_TO_SCORE}


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_every_body_is_answered_with_what_the_parser_reads(client, contract, name):
    body = CALIBRATIONS[name]
    contract.check("CalibrationRequest", body)
    items, abilities = parsed(calibrated(client, contract, body))
    wide = name == "matrix"
    assert set(items) <= ({str(i + 1) for i in range(10)} if wide else set(ITEMS)) and len(items) >= 8
    assert set(abilities) == ({str(u + 1) for u in range(60)} if wide else set(USERS))
    wanted = {"Rasch": "Rasch", "3PL": "3PL"}.get(name, "2PL")
    assert {params["model"] for params in items.values()} == {wanted}


def test_a_matrix_is_the_observations_with_positions_as_ids(client, contract, plain):
    items, abilities = parsed(calibrated(client, contract, CALIBRATIONS["matrix"]))
    wanted_items, wanted_abilities = parsed(plain)
    assert items == {str(ITEMS.index(item) + 1): pytest.approx(params) for item, params in wanted_items.items()}
    assert abilities == {
        str(USERS.index(user) + 1): pytest.approx(values, abs=1e-6) for user, values in wanted_abilities.items()
    }


def test_a_matrix_without_information_is_told_what_to_change(client, contract):
    response = client.post("/irt/calibrate", json=deployed.TWO_PATTERNS)
    problem = contract.problem(response, 422, "calibration-failed")
    assert "Rasch" in problem["detail"] and "prior on a" in problem["detail"]


def test_null_is_no_answer(client, contract):
    rows = [list(row) for row in CALIBRATIONS["matrix"]["responses"]]
    rows[0][3], rows[7] = None, [None] * 10
    answer = calibrated(client, contract, {"responses": rows, "model": "Rasch"})
    assert spec_of(answer)["n_observations"] == 600 - 1 - 10
    assert "8" not in parsed(answer)[1] and len(answer["abilities"]) == 59


@pytest.mark.parametrize(
    ("responses", "field"),
    [
        ([[1, 0], [1]], "responses[1]"),
        ([[1, 2], [0, 1]], "responses[0][1]"),
        ([[1, "1"], [0, 1]], "responses[0][1]"),
        ([[1, 0.5], [0, 1]], "responses[0][1]"),
        ([[1, 0], [[1], 1]], "responses[1][0]"),
        ([[None, None]], "responses"),
        ([[]], "responses"),
        ([], "responses"),
        ([1, 0], "responses"),
        ({"a": [1, 0]}, "responses"),
        (None, "responses"),
        ("10", "responses"),
    ],
)
def test_wrong_matrices(client, contract, responses, field):
    assert refused(client, contract, "/irt/calibrate", {"responses": responses}).startswith(f"{field}: ")


def test_a_matrix_beside_observations_is_refused(client, contract):
    body = {**CALIBRATIONS["plain"], "responses": [[1, 0]]}
    assert refused(client, contract, "/irt/calibrate", body).startswith("responses: ")


class TestAnchors:
    """Anchors as that client sends them, without `linking`."""

    PAIR = (anchor("1001", a=1.0, b=0.3), anchor("1002", a=1.0, b=0.1))

    def spec(self, client, contract, *anchors, **request) -> dict:
        return spec_of(calibrated(client, contract, {**CALIBRATIONS["plain"], "anchors": anchors, **request}))

    def test_two_anchors_suffice(self, client, contract):
        spec = self.spec(client, contract, *self.PAIR)
        assert spec["linking_constants"]["n_anchors_used"] == 2
        assert [row["used"] for row in spec["linking_anchors"]] == [True, True]

    @pytest.mark.parametrize("other", [None, anchor("999999", a=1.0, b=0.0), anchor("1002"), anchor("1002", b=0.1)])
    def test_fewer_mean_no_linking(self, client, contract, plain, other):
        anchors = [self.PAIR[0], *([other] if other else [])]
        answer = calibrated(client, contract, {**CALIBRATIONS["plain"], "anchors": anchors})
        spec = spec_of(answer)
        assert spec["linking_constants"] is None
        assert {row["item_id"]: row["reason"] for row in spec["linking_anchors"]} == {
            "1001": "not linked",
            **({other["item_id"]: "no parameters" if "a" not in other["params"] else "not among the calibrated items"}
               if other else {}),
        }  # fmt: skip
        assert parsed(answer) == parsed(plain)

    def test_where_linking_is_stated_five_are_needed(self, client, contract):
        for anchors in (self.PAIR, [anchor("1001")]):
            body = {**CALIBRATIONS["plain"], "anchors": anchors, "linking": {}}
            problem = contract.problem(client.post("/irt/calibrate", json=body), 422, "calibration-failed")
            assert "at least 5 anchors" in problem["detail"]

    @pytest.mark.parametrize("model", ["2PL", "Rasch", "1PL"])
    def test_anchors_without_parameters_are_listed_and_not_used(self, client, contract, model):
        bare = [anchor("1003"), anchor("1004", b=0.2), anchor("1005", model="2PL"), anchor("1006", fixed=False, b=1)]
        spec = self.spec(client, contract, *self.PAIR, *bare, model=model)
        assert (spec["n_anchors"], spec["linking_constants"]["n_anchors_used"]) == (2, 2)
        wanted = {"1001": None, "1002": None} | dict.fromkeys(["1003", "1004", "1005", "1006"], "no parameters")
        assert {row["item_id"]: row["reason"] for row in spec["linking_anchors"]} == wanted

    def test_the_model_of_an_anchor_changes_nothing(self, client, contract):
        spec = self.spec(client, contract, *self.PAIR)
        for model in ("2PL", "2pl", "3PL", "rasch"):
            named = [{**entry, "params": {**entry["params"], "model": model}} for entry in self.PAIR]
            assert self.spec(client, contract, *named) == spec

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"a": 1.0}, "b"),
            ({"c": 0.2}, "a"),
            ({"b": 0.0, "c": 0.2}, "a"),
            ({"b": "0"}, "b"),
            ({"b": 1e200}, "b"),
            ({"a": 1.0, "b": 0.0, "model": "4PL"}, "model"),
            ({"model": 2}, "model"),
            ({"d": 1.0}, "d"),
        ],
    )
    def test_half_of_the_parameters_is_a_mistake(self, client, contract, params, field):
        body = {**CALIBRATIONS["plain"], "anchors": [*self.PAIR, anchor("1003", **params)]}
        assert refused(client, contract, "/irt/calibrate", body).startswith(f"anchors[2].params.{field}: ")

    def test_an_item_is_an_anchor_once(self, client, contract):
        body = {**CALIBRATIONS["plain"], "anchors": [*self.PAIR, anchor("1001")]}
        assert refused(client, contract, "/irt/calibrate", body).startswith("anchors[2].item_id: ")


@pytest.mark.parametrize(("model", "wanted"), [("2pl", "2PL"), ("rASCH", "Rasch"), ("1Pl", "1PL"), ("3pL", "3PL")])
def test_models_in_any_case_of_letters(client, contract, model, wanted):
    answer = calibrated(client, contract, {"observations": deployed.observations(), "model": model})
    assert spec_of(answer)["model"] == wanted


def test_models_of_items_in_any_case_of_letters(client, contract):
    body = {"observations": deployed.observations(), "item_models": {ITEMS[0]: "1pl"}}
    models = [row["model"] for row in calibrated(client, contract, body)["item_params"]]
    assert models == ["1PL", *["2PL"] * (len(models) - 1)]


class TestScoring:
    """Abilities with given parameters."""

    def scored(self, client, contract, body) -> dict:
        contract.check("ScoreRequest", body)
        response = client.post("/irt/score", json=body)
        assert response.status_code == 200, response.text
        contract.check("Scores", response.json())
        return response.json()

    def as_observations(self, *answers) -> dict:
        """Answers of user "1" in the contract's own form."""
        items = [
            {"item_id": "1001", "params": {"a": 1.0, "b": 0.0}},
            {"item_id": "1002", "params": {"a": 1.0, "b": 0.5}},
        ]
        rows = [{"user_id": "1", "item_id": item, "is_correct": right} for item, right in answers]
        return {"observations": rows, "items": items}

    def test_one_user(self, client, contract):
        answer = self.scored(client, contract, deployed.ONE_USER)
        [ability] = answer["abilities"]
        assert (answer["theta"], answer["se"]) == (ability["theta"], ability["se"])
        assert ability["user_id"] == "1" and ability["n_responses"] == 2
        assert answer == self.scored(client, contract, self.as_observations(("1001", 1), ("1002", 0)))

    def test_a_matrix(self, client, contract):
        answer = self.scored(client, contract, deployed.MATRIX_TO_SCORE)
        assert [(row["user_id"], row["n_responses"]) for row in answer["abilities"]] == [("1", 2), ("2", 1)]
        assert "theta" not in answer and "se" not in answer
        first = self.scored(client, contract, deployed.ONE_USER)["abilities"][0]
        second = self.scored(client, contract, self.as_observations(("1001", 0)))["abilities"][0]
        wanted = [first, {**second, "user_id": "2"}]
        assert answer["abilities"] == [
            {name: value if name == "user_id" else pytest.approx(value, abs=1e-9) for name, value in row.items()}
            for row in wanted
        ]

    def test_a_matrix_of_one_row(self, client, contract):
        answer = self.scored(client, contract, {**deployed.MATRIX_TO_SCORE, "responses": [[1, 0]]})
        assert answer == self.scored(client, contract, deployed.ONE_USER)

    def test_answers_to_items_without_parameters_are_passed_over_and_counted(self, client, contract):
        responses = [*deployed.ONE_USER["responses"], {"item_id": 7, "is_correct": 1}]
        answer = self.scored(client, contract, {**deployed.ONE_USER, "responses": responses})
        assert answer["theta"] == self.scored(client, contract, deployed.ONE_USER)["theta"]
        [left_out] = answer["excluded"]["items"]
        assert (left_out["item_id"], left_out["n_responses"]) == ("7", 1) and left_out["reason"]

    def test_no_answer_to_an_item_with_parameters(self, client, contract):
        body = {**deployed.ONE_USER, "responses": [{"item_id": "7", "is_correct": True}]}
        assert refused(client, contract, "/irt/score", body).startswith("responses: none is to an item of item_params")

    def test_of_a_repeated_answer_the_first_counts(self, client, contract):
        responses = [*deployed.ONE_USER["responses"], {"item_id": "1002", "is_correct": True}]
        body = {**deployed.ONE_USER, "responses": responses}
        answer = self.scored(client, contract, body)
        assert answer["n_repeats_dropped"] == 1
        assert answer["theta"] == self.scored(client, contract, deployed.ONE_USER)["theta"]
        last = self.scored(client, contract, {**body, "options": {"repeats": "last"}})
        assert last["theta"] > answer["theta"]
        assert "options.repeats" in refused(client, contract, "/irt/score", {**body, "options": {}})

    def test_repeated_observations_to_score_are_refused(self, client, contract):
        body = self.as_observations(("1001", 1), ("1001", 0))
        assert "options.repeats" in refused(client, contract, "/irt/score", body)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"item_params": {}}, "item_params"),
            ({"item_params": 7}, "item_params"),
            ({"item_params": None}, "item_params"),
            ({"item_params": {"1001": {"a": 1.0}}}, "item_params.1001.b"),
            ({"item_params": {"1001": {"a": 0, "b": 0.0}}}, "item_params.1001.a"),
            ({"item_params": {"1001": {"a": 1.0, "b": 0.0, "d": 1}}}, "item_params.1001.d"),
            ({"item_params": {"1001": 7}}, "item_params.1001"),
            ({"responses": []}, "responses"),
            ({"responses": None}, "responses"),
            ({"responses": [7]}, "responses[0]"),
            ({"responses": [{"item_id": "1001"}]}, "responses[0].is_correct"),
            ({"responses": [{"item_id": "1001", "is_correct": None}]}, "responses[0].is_correct"),
            ({"responses": [{"item_id": "1001", "is_correct": 1, "user_id": "u"}]}, "responses[0].user_id"),
            ({"responses": [[1, 0]]}, "responses"),
            ({"items": []}, "items"),
            ({"observations": []}, "responses"),
            ({"theta": 0}, "theta"),
        ],
    )
    def test_wrong_bodies_of_one_user(self, client, contract, changes, field):
        body = {**deployed.ONE_USER, **changes}
        assert refused(client, contract, "/irt/score", body).startswith(f"{field}: ")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"responses": [[1, 0, 1]]}, "responses[0]"),
            ({"responses": [[1], [0, 1]]}, "responses[0]"),
            ({"responses": [[1, 2]]}, "responses[0][1]"),
            ({"responses": [{"item_id": "1001", "is_correct": 1}]}, "responses"),
            ({"item_params": [{"item": "1001", "a": 1.0, "b": 0.0}] * 2}, "item_params[1].item"),
            ({"item_params": [{"a": 1.0, "b": 0.0}, {"item": "q", "a": 1.0, "b": 0.0}]}, "item_params[0].item"),
            ({"item_params": [{"item": "1001", "a": 1.0, "b": 0.0, "c": 1}]}, "item_params[0].c"),
            ({"item_params": [{"item": "1001", "a": 1.0, "b": 0.0, "e": 1}]}, "item_params[0].e"),
        ],
    )
    def test_wrong_matrices_to_score(self, client, contract, changes, field):
        body = {**deployed.MATRIX_TO_SCORE, **changes}
        assert refused(client, contract, "/irt/score", body).startswith(f"{field}: ")


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_bodies_with_an_unknown_field_are_refused(client, contract, name):
    assert refused(client, contract, "/irt/calibrate", {**CALIBRATIONS[name], "lookback": 30}).startswith("lookback: ")


def test_bodies_without_a_token_are_not_let_in(client, contract):
    sent = [("/irt/calibrate", body) for body in CALIBRATIONS.values()]
    for path, body in [*sent, *(("/irt/score", body) for body in SCORES.values())]:
        response = httpx.post(f"{client.base_url}{path}", json=body, timeout=STILL, trust_env=False)
        contract.problem(response, 401, "unauthorized")
