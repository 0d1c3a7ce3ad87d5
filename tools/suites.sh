# shellcheck shell=bash
# Runs suites and judges the run; sourced by .ci/run, which names the suites. Those of one lane run one after the other,
# lanes beside each other: many suites wait for programs longer than they compute.
#
# A suite that fails is run once more, where there is time: chance must cost nobody's work, and must not stay hidden
# either. Passed the second time: the run is green and names what failed the first time as FLAKY among its last lines.
# Failed twice, or a trigger counted as lost, doubled or stale (a line PROMISE BROKEN, see emulation/accounts.py): red.
: "${SECOND_RUNS_UNTIL:=3000}" # seconds after the start; later, a failure is final

[ -v chosen ] || chosen=() # names of suites: only these are run; empty: all
known=()
lane=1
lanes=()  # those that have something to run
queued=() # LANE NAME MINUTES COMMAND...
failed=()
flaky=()
report=()
logs=$(mktemp -d)
children=()
trap '[ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null; rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM

attempt() { # attempt LOG MINUTES COMMAND...: ended after MINUTES; returns its status and leaves its seconds in `took`
  local log=$1 minutes=$2 from=$SECONDS status
  shift 2
  : >"$log"
  # Through a file, not a pipe: an Engine that a suite starts may hold its output open for ever.
  timeout --kill-after=60 $((minutes * 60)) "$@" </dev/null >"$log" 2>&1 &
  children=($!)
  [ ${#lanes[@]} -gt 1 ] || tail --lines=+1 --follow --sleep-interval=0.1 --pid="${children[0]}" "$log"
  wait "${children[0]}"
  status=$?
  children=()
  took=$((SECONDS - from))
  [ ${#lanes[@]} -eq 1 ] || flock "$logs" cat "$log" # whole, else two suites' lines are mixed
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

lane() { # what follows runs beside what stands before
  lane=$((lane + 1))
}

suite() { # suite NAME MINUTES COMMAND...: its failure is the run's failure
  known+=("$1")
  if [ ${#chosen[@]} -eq 0 ] || [[ " ${chosen[*]} " = *" $1 "* ]]; then
    queued+=("$lane $*")
    [[ " ${lanes[*]} " = *" $lane "* ]] || lanes+=("$lane")
  fi
}

run_suite() { # run_suite NAME MINUTES COMMAND...
  local name=$1 log=$logs/$1 first
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

run_lane() { # run_lane NUMBER: what came of it is in failed, flaky and report
  local one words
  for one in "${queued[@]}"; do
    read -ra words <<<"$one"
    if [ "${words[0]}" = "$1" ]; then run_suite "${words[@]:1}"; fi
  done
}

keep_lane() { # keep_lane NUMBER: in a process of its own; what came of it is in a file
  trap '[ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null' EXIT
  trap 'exit 130' INT TERM
  children=()
  run_lane "$1"
  {
    [ ${#failed[@]} -eq 0 ] || printf 'failed %s\n' "${failed[@]}"
    [ ${#flaky[@]} -eq 0 ] || printf 'flaky %s\n' "${flaky[@]}"
    [ ${#report[@]} -eq 0 ] || printf 'report %s\n' "${report[@]}"
    echo whole
  } >"$logs/lane.$1"
}

run_lanes() { # all of them, each in a process of its own
  local number
  for number in "${lanes[@]}"; do
    keep_lane "$number" &
    children+=($!)
  done
  wait
  children=()
  local word rest ended
  for number in "${lanes[@]}"; do
    ended=
    while read -r word rest; do
      case $word in
        failed) failed+=("$rest") ;;
        flaky) flaky+=("$rest") ;;
        report) report+=("$rest") ;;
        whole) ended=1 ;;
      esac
    done < <(cat "$logs/lane.$number" 2>/dev/null)
    [ -n "$ended" ] || failed+=("lane $number, which ended early")
  done
}

judgement() { # runs what was named; the last lines; the run's status
  local name
  if [ ${#lanes[@]} -eq 1 ]; then run_lane "${lanes[0]}"; else run_lanes; fi
  for name in "${failed[@]}"; do # again, where a reader of the last lines finds it
    printf '\n======== %s failed; its last lines:\n' "$name"
    [ ! -e "$logs/$name.first" ] || tail -n 60 "$logs/$name.first"
  done
  for name in "${chosen[@]}"; do
    [[ " ${known[*]} " = *" $name "* ]] || {
      printf '======== there is no suite %s\n' "$name"
      failed+=("$name")
    }
  done
  printf '\n======== times\n'
  printf '%s\n' "${report[@]}"
  printf '%-26s %5d s\n' total "$SECONDS"
  [ ${#flaky[@]} -eq 0 ] || printf 'FLAKY: %s\n' "${flaky[@]}"
  [ ${#failed[@]} -eq 0 ] || echo "failed: ${failed[*]}"
  [ ${#failed[@]} -eq 0 ]
}
