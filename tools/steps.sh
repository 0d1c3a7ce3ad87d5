# shellcheck shell=bash
# What `make check` and `make test` share: steps that are silent where they pass and print their time; sourced.
# Without compiled modules each start of a Python takes twice the CPU.
unset PYTHONDONTWRITEBYTECODE
typed=(contract/src runtime/src services/camera/src services/connector/src services/uploader/src cloud/src cli/src
  emulation deployment/visantctl tests)

step() { # step NAME COMMAND...
  local name=$1 from=$SECONDS log
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    printf '%-34s ok   %3d s\n' "$name" $((SECONDS - from))
    rm -f "$log"
  else
    cat "$log"
    rm -f "$log"
    printf '%-34s FAILED after %d s\n' "$name" $((SECONDS - from))
    exit 1
  fi
}

begin_types() { # beside all that follows; `end_types` waits for it
  step "mypy (strict)" mypy "${typed[@]}" &
  types=$!
  trap 'kill $types 2>/dev/null || true; wait' EXIT
}

end_types() {
  wait "$types" || { echo "mypy failed: its lines stand above those of the tests"; exit 1; }
}

tests() { # tests PYTEST-ARGUMENT...: with their time, and the ten that took longest
  local from=$SECONDS
  pytest --dist loadgroup --durations 10 --durations-min 1 "$@"
  printf '%-34s ok   %3d s\n' "pytest" $((SECONDS - from))
}
