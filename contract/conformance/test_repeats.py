"""Several answers of a user to an item: they are refused, or the first or the last counts."""

from __future__ import annotations

import pyarrow as pa
import pytest

from contract.conformance import deployed
from contract.conformance.bodies import multipart
from contract.conformance.deployed import calibrated, parsed, refused, spec_of

# In UTC these are on another day: sorted as texts, their order would be reversed.
EARLY, LATE = "2026-11-20T08:00:00.5+09:00", "2026-11-20 00:30:00-05:00"


class TestRepeats:
    """Several answers of a user to an item."""

    ROWS = deployed.observations()
    FLIPPED = [{**row, "is_correct": not row["is_correct"]} for row in ROWS]

    def body(self, rows) -> dict:
        return {"observations": rows, "model": "2PL"}

    def replaced(self, rows) -> dict:
        """The body with these answers in place of the first ones."""
        return self.body([*rows, *self.ROWS[len(rows) :]])

    @pytest.mark.parametrize("observations", ["rows", "columns", "parquet"])
    @pytest.mark.parametrize("repeats", [{}, {"repeats": "refuse"}])
    def test_refused_with_the_count_and_the_option(self, client, contract, request, observations, repeats):
        rows = [*self.ROWS, *self.FLIPPED[:30]]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        if observations == "parquet":
            request.getfixturevalue("parquet")
            response = client.post("/irt/calibrate", **multipart({"options": repeats}, pa.table(columns)))
        else:
            sent = rows if observations == "rows" else columns
            response = client.post("/irt/calibrate", json={"observations": sent, "options": repeats})
        detail = contract.problem(response, 422, "invalid-request")["detail"]
        assert "30" in detail and "options.repeats" in detail and "first" in detail and "last" in detail

    def test_columns_without_options_are_not_the_deployed_form(self, client, contract):
        rows = [*self.ROWS, self.FLIPPED[0]]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        assert "options.repeats" in refused(client, contract, "/irt/calibrate", {"observations": columns})

    @pytest.mark.parametrize("options", [{}, {"repeats": "first"}])
    def test_the_first_by_position_where_times_are_equal(self, client, contract, plain, options):
        answer = calibrated(client, contract, self.body([*self.ROWS, *self.FLIPPED[:30]]), **options)
        assert spec_of(answer)["n_repeats_dropped"] == 30 and spec_of(plain)["n_repeats_dropped"] == 0
        assert parsed(answer) == parsed(plain)

    def test_the_last_by_position_where_times_are_equal(self, client, contract, plain):
        answer = calibrated(client, contract, self.body([*self.ROWS, *self.FLIPPED[:30]]), repeats="last")
        wanted = calibrated(client, contract, self.replaced(self.FLIPPED[:30]))
        assert spec_of(answer)["n_repeats_dropped"] == 30
        assert parsed(answer) == parsed(wanted) != parsed(plain)

    @pytest.mark.parametrize("form", ["rows", "columns", "parquet"])
    def test_times_go_before_positions(self, client, contract, request, plain, form):
        """60 appended answers: 30 are earlier than the answers they repeat, 30 are later."""
        more = [{**row, "responded_at": EARLY if n < 30 else LATE} for n, row in enumerate(self.FLIPPED[:60])]
        wanted = {
            "first": calibrated(client, contract, self.replaced(self.FLIPPED[:30])),
            "last": calibrated(client, contract, self.body([*self.ROWS[:30], *self.FLIPPED[30:60], *self.ROWS[60:]])),
        }
        rows = [*self.ROWS, *more]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        for repeats, expected in wanted.items():
            if form == "parquet":
                request.getfixturevalue("parquet")
                table = multipart({"options": {"repeats": repeats}}, pa.table(columns))
                response = client.post("/irt/calibrate", **table)
            else:
                body = {"observations": rows if form == "rows" else columns, "options": {"repeats": repeats}}
                response = client.post("/irt/calibrate", json=body)
            assert response.status_code == 200, response.text
            assert spec_of(response.json())["n_repeats_dropped"] == 60
            assert parsed(response.json()) == parsed(expected) != parsed(plain)

    def test_timestamps_in_parquet_are_times(self, client, contract, parquet):
        times = pa.array([1000] * 600 + [10] * 30, pa.timestamp("ms", "UTC"))
        rows = [*self.ROWS, *self.FLIPPED[:30]]
        columns = {name: [row[name] for row in rows] for name in ("user_id", "item_id", "is_correct")}
        form = multipart({"options": {"repeats": "first"}}, pa.table({**columns, "responded_at": times}))
        wanted = calibrated(client, contract, self.replaced(self.FLIPPED[:30]))
        assert parsed(client.post("/irt/calibrate", **form).json()) == parsed(wanted)

    @pytest.mark.parametrize("missing", ["None", None])
    def test_a_pair_with_a_missing_time_goes_by_position(self, client, contract, plain, missing):
        more = [{**row, "responded_at": missing} for row in self.FLIPPED[:30]]
        more += [{**row, "responded_at": EARLY} for row in self.FLIPPED[:30]]
        answer = calibrated(client, contract, self.body([*self.ROWS, *more]))
        assert spec_of(answer)["n_repeats_dropped"] == 60
        assert parsed(answer) == parsed(plain)

    @pytest.mark.parametrize("written", ["2026-11-20 03:04:05.123455Z", "2026-11-20T05:04:05.123455+0200"])
    def test_a_microsecond_and_an_offset_count(self, client, contract, written):
        more = [{**row, "responded_at": written} for row in self.FLIPPED[:30]]
        answer = calibrated(client, contract, self.body([*self.ROWS, *more]))
        assert parsed(answer) == parsed(calibrated(client, contract, self.replaced(self.FLIPPED[:30])))

    @pytest.mark.parametrize("written", ["yesterday", "2026-02-30 00:00:00", "2026-11-20", "2026-11-20 24:00:00", ""])
    def test_a_time_that_cannot_be_read_is_named(self, client, contract, written):
        body = self.body([*self.ROWS, {**self.FLIPPED[7], "responded_at": written}])
        detail = refused(client, contract, "/irt/calibrate", body)
        assert detail.startswith("observations[600].responded_at: ") and "None" in detail

    def test_a_time_that_decides_nothing_is_not_read(self, client, contract, plain):
        rows = [*self.ROWS[:-1], {**self.ROWS[-1], "responded_at": "yesterday"}]
        assert parsed(calibrated(client, contract, self.body(rows))) == parsed(plain)

    def test_an_unknown_policy_is_refused(self, client, contract):
        body = {**self.body(self.ROWS), "options": {"repeats": "mean"}}
        assert refused(client, contract, "/irt/calibrate", body).startswith("options.repeats: ")
