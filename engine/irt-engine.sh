#!/bin/sh
# The command irt-engine of the image: finds the kernels that were compiled when the image was built.
set -eu
. /opt/irt/cpu
# numba takes no cache that it cannot write to, and the root may be read-only: it gets a copy (2 MB).
if [ -z "${NUMBA_CACHE_DIR:-}" ]; then
  NUMBA_CACHE_DIR=$(mktemp -d)
  export NUMBA_CACHE_DIR
  cp -R /opt/irt/kernels/. "$NUMBA_CACHE_DIR"
fi
exec /opt/venv/bin/irt-engine "$@"
