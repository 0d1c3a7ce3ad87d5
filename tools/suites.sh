# shellcheck shell=bash
# Runs suites one after the other and judges the run; sourced by .ci/run, which names the suites.
#
# A suite that fails is run once more, where there is time: chance must cost nobody's work, and must not stay hidden
# either. Passed the second time: the run is green and names what failed the first time as FLAKY among its last lines.
# Failed twice, or a trigger counted as lost, doubled or stale (a line PROMISE BROKEN, see emulation/accounts.py): red.
: "${SECOND_RUNS_UNTIL:=3000}" # seconds after the start; later, a failure is final

[ -v chosen ] || chosen=() # names of suites: only these are run; empty: all
unknown=("${chosen[@]}")
failed=()
flaky=()
report=()
logs=$(mktemp -d)
child=
trap 'rm -rf "$logs"; [ -z "$child" ] || kill "$child" 2>/dev/null' EXIT
trap 'exit 130' INT TERM

attempt() { # attempt LOG MINUTES COMMAND...: ended after MINUTES; returns its status and leaves its seconds in `took`
  local log=$1 minutes=$2 from=$SECONDS status
  shift 2
  : >"$log"
  # Through a file, not a pipe: an Engine that a suite starts may hold its output open for ever.
  timeout --kill-after=60 $((minutes * 60)) "$@" </dev/null >"$log" 2>&1 &
  child=$!
  tail --lines=+1 --follow --sleep-interval=0.1 --pid="$child" "$log"
  wait "$child"
  status=$?
  child=
  took=$((SECONDS - from))
  return "$status"
}

failures() { # failures NAME LOG: what failed, one a line: pytest's tests, scenarios of faults, else the suite
  local found
  found=$({
    sed -nE 's/^(FAILED|ERROR) ([^ ]+).*/\2/p' "$2"
    sed -nE 's/^([a-z0-9_]+) .*WRONG: .*/\1/p' "$2"
  } | sort -u | head -n 20)
  printf '%s\n' "${found:-$1}"
}

line() { report+=("$(printf '%-18s %-7s %5d s' "$1" "$2" "$3")"); }

skipped() { # skipped NAME: others were chosen
  local word left=()
  [ ${#chosen[@]} -gt 0 ] || return
  for word in "${unknown[@]}"; do [ "$word" = "$1" ] || left+=("$word"); done
  unknown=("${left[@]}")
  [[ " ${chosen[*]} " != *" $1 "* ]]
}

suite() { # suite NAME MINUTES COMMAND...: its failure is the run's failure
  local name=$1 log=$logs/$1 first
  if skipped "$name"; then return; fi
  printf '\n======== %s (at most %d min)\n' "$1" "$2"
  if attempt "$log" "${@:2}"; then
    line "$name" ok "$took"
    return
  fi
  first=$log.first
  mv "$log" "$first"
  line "$name" FAILED "$took"
  if grep -q 'PROMISE BROKEN:' "$first"; then
    printf '======== %s counted a trigger lost, doubled or stale: it is not repeated\n' "$name"
  elif [ "$SECONDS" -ge "$SECOND_RUNS_UNTIL" ]; then
    printf '======== %s failed after %d s of this run: too late for a second one\n' "$name" "$SECONDS"
  else
    printf '\n======== %s failed; once more\n' "$name"
    if attempt "$log" "${@:2}"; then
      line "$name" again "$took"
      mapfile -t -O "${#flaky[@]}" flaky < <(failures "$name" "$first")
      return
    fi
    line "$name" FAILED "$took"
    mv "$log" "$first"
  fi
  failed+=("$name")
}

judgement() { # the last lines; the run's status
  local name
  for name in "${failed[@]}"; do # again, where a reader of the last lines finds it
    printf '\n======== %s failed; its last lines:\n' "$name"
    tail -n 60 "$logs/$name.first"
  done
  for name in "${unknown[@]}"; do
    printf '======== there is no suite %s\n' "$name"
    failed+=("$name")
  done
  printf '\n======== times\n'
  printf '%s\n' "${report[@]}"
  printf '%-26s %5d s\n' total "$SECONDS"
  [ ${#flaky[@]} -eq 0 ] || printf 'FLAKY: %s\n' "${flaky[@]}"
  [ ${#failed[@]} -eq 0 ] || echo "failed: ${failed[*]}"
  [ ${#failed[@]} -eq 0 ]
}
