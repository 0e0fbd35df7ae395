#!/bin/sh
# Airflow's simple auth manager takes passwords from a file alone: the UI's, from the environment, gets into one that
# only this container sees. Then the command runs, and no longer has it.
set -eu
if [ -n "${IRT_UI_PASSWORD:-}" ]; then
  (umask 077 && printf '{"admin": "%s"}\n' "$IRT_UI_PASSWORD" >"$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
  unset IRT_UI_PASSWORD
fi
exec "$@"
