"""The image's entrypoint: puts passwords where Airflow reads them, then runs the command.

A password may contain quotes, backslashes, `$`, `%` or `#`, so it comes in its own variable and is added to JSON here.

- `IRT_PASSWORD_X` is the password of the connection `AIRFLOW_CONN_X`, which is JSON without one.
- `IRT_UI_PASSWORD` is the password of `admin` for Airflow's simple auth manager, which reads it only from a file; only
  this container sees that file.
"""

import json
import os
import sys

_CONNECTION = "IRT_PASSWORD_"


def main() -> None:
    environment = dict(os.environ)
    for name in [name for name in environment if name.startswith(_CONNECTION)]:
        variable = f"AIRFLOW_CONN_{name.removeprefix(_CONNECTION)}"
        connection = json.loads(environment[variable]) | {"password": environment.pop(name)}
        environment[variable] = json.dumps(connection)
    if password := environment.pop("IRT_UI_PASSWORD", ""):
        write(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"], json.dumps({"admin": password}))
    os.execvpe(sys.argv[1], sys.argv[1:], environment)  # noqa: S606 (no shell is wanted)


def write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
