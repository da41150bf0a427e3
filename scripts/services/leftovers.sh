# Ends the command of with-services, and what it left running. Sourced there;
# run and command_pid are set.
# shellcheck shell=bash disable=SC2154

# stop_command ends the command's process group when we are interrupted.
stop_command() {
  [ -n "$command_pid" ] || return 0
  kill -TERM -- "-$command_pid" 2>/dev/null || true
  local tenth
  for ((tenth = 0; tenth < 50; tenth++)); do
    kill -0 -- "-$command_pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL -- "-$command_pid" 2>/dev/null || true
  end_leftovers || true
}

# leftovers prints the ids of processes that the command started and that are
# still there, whatever group or parent they have by now: the run's folder is
# in their environment (TMPDIR), command line, program or working folder.
leftovers() {
  local process pid
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    [ "$pid" != "$$" ] && [ "$pid" != "$BASHPID" ] && [ "$pid" != "$postgres_pid" ] || continue
    if grep -qsF "$run/t" "$process/environ" "$process/cmdline" ||
      [[ "$(readlink "$process/exe" "$process/cwd" 2>/dev/null)" == *"$run/t"* ]]; then
      printf '%s\n' "$pid"
    fi
  done
}

# end_leftovers names and kills what is left; false if there was anything. A
# process that is on its way out gets two seconds.
end_leftovers() {
  [ -d /proc/self ] || return 0
  local pids tenth pid
  for ((tenth = 0; tenth < 20; tenth++)); do
    pids=$(leftovers)
    [ -n "$pids" ] || return 0
    sleep 0.1
  done
  for pid in $pids; do
    printf 'still running after the command: %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" >&2
    kill -KILL "$pid" 2>/dev/null || true
  done
  return 1
}
