"""`python -m demo`, the service `demo-data` of docker-compose.yaml: loads the demo's banks, moved to the last 40 days.

libpq's variables (PGHOST, PGUSER, PGPASSWORD, PGDATABASE) name the server and the login.
"""

from __future__ import annotations

import psycopg

from demo import data


def main() -> None:
    """Skips a database that holds other rows."""
    with psycopg.connect() as connection:
        if foreign := data.foreign_rows(connection):
            print(f"skipped: the database holds rows that are not the demo's: {foreign}")
            return
        loaded = data.load(connection, data.midnight())
    print(f"loaded: {loaded['exams']} exams, {loaded['questions']} questions")


if __name__ == "__main__":
    main()
