#!/usr/bin/env bash
# Prints the redis-server that the machine has beside .venv, or nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
which -a redis-server 2>/dev/null | grep -vF "$PWD/.venv/" | head -n 1 || true
