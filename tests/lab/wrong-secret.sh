#!/usr/bin/env bash
# Two machines whose users typed different secrets: both programs end soon, each with one error, and
# nothing has arrived.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

# The promise is 5 s from the moment that both are there; a loaded machine starts them slowly.
patience_s=10

# Not the time that GStreamer takes to look at all its plugins for the first time.
[ -s "$GST_REGISTRY" ] || gst-inspect-1.0 p2p >/dev/null
lab_cable
lab_rendezvous "$LAB-left" 192.0.2.1
lab_receive "$LAB-right" "$(lab_new_secret)"
bob=$lab_pid
lab_send "$LAB-left" "$(lab_new_secret)"
alice=$lab_pid
started=$SECONDS
for peer in alice bob; do
  lab_await_gone "${!peer}" 40 || lab_fail "$peer has not ended after 40 s: $(lab_story "$peer" bob alice)"
  ! wait "${!peer}" || lab_fail "$peer ended without an error: $(lab_story "$peer")"
  # gst-launch-1.0 writes it in the middle of a line of its other output now and then.
  errors=$({ grep -o 'ERROR: from element' "$lab_dir/$peer.log" || true; } | wc -l)
  [ "$errors" = 1 ] || lab_fail "$peer told $errors errors, not one: $(lab_story "$peer")"
done
[ $((SECONDS - started)) -le $patience_s ] || lab_fail "it took $((SECONDS - started)) s"
[ ! -s "$lab_dir/out" ] || lab_fail "something arrived: $(stat -c %s "$lab_dir/out") bytes"
grep -ho 'ERROR: from element.*' "$lab_dir/alice.log" "$lab_dir/bob.log"
