# shellcheck shell=bash
# `./dev fuzz [-t seconds] [target...]`: builds the preset `fuzz` and runs each target, as many at a time as there are CPUs.
#
# Seeds: tests/fuzz/corpus/<target>/, $CULVERT_VECTORS/fuzz-corpora/strongswan/* (data of another parser: mutation material).
# Dictionary: $CULVERT_VECTORS/fuzz-corpora/openiked/*.dict. Findings of earlier runs are kept in build/fuzz/corpus/<target>/.

fuzz() {
  local seconds=60 name failed=0
  if [ "${1:-}" = -t ]; then
    [[ ${2:-} =~ ^[0-9]+$ ]] || die "-t takes a number of seconds" 2
    seconds=$2
    shift 2
  fi
  build fuzz fuzzers
  find_vectors
  if [ $# -eq 0 ]; then
    for name in build/fuzz/fuzzers/*; do [ -x "$name" ] && [ -f "$name" ] && set -- "$@" "$(basename "$name")"; done
  fi
  [ $# -gt 0 ] || die "no fuzz target was built (tests/fuzz)"
  for name in "$@"; do
    [ -x "build/fuzz/fuzzers/$name" ] || die "no fuzz target '$name': see build/fuzz/fuzzers" 2
  done

  say "fuzz: $# targets, $seconds s each"
  for name in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$(jobs_wanted)" ]; do wait -n || true; done
    rm -f "build/fuzz/$name.ok"
    { fuzz_one "$name" "$seconds" && touch "build/fuzz/$name.ok"; } &
  done
  wait
  for name in "$@"; do
    if [ -e "build/fuzz/$name.ok" ]; then
      fuzz_report "$name" ok
    else
      fuzz_report "$name" FAILED
      failed=1
    fi
  done
  return "$failed"
}

fuzz_one() {
  local name=$1 seconds=$2 work="build/fuzz/corpus/$1" args=() dir
  mkdir -p "$work" "build/fuzz/artifacts/$name"
  args+=("$work")
  [ -d "tests/fuzz/corpus/$name" ] && args+=("tests/fuzz/corpus/$name")
  if [ -n "${CULVERT_VECTORS:-}" ]; then
    for dir in "$CULVERT_VECTORS/fuzz-corpora/$name" "$CULVERT_VECTORS"/fuzz-corpora/strongswan/*; do
      [ -d "$dir" ] && args+=("$dir")
    done
    for dir in "$CULVERT_VECTORS"/fuzz-corpora/openiked/*.dict; do
      [ -f "$dir" ] && args+=("-dict=$dir")
    done
  fi
  ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19 \
    "build/fuzz/fuzzers/$name" "${args[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/artifacts/$name/" >"build/fuzz/$name.log" 2>&1
}

fuzz_report() {
  local name=$1 verdict=$2 log="build/fuzz/$1.log" runs coverage
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
  printf '   %-6s %-28s %s runs, %s, %s inputs kept\n' "$verdict" "$name" "${runs:-?}" "${coverage:-cov: ?}" \
    "$(find "build/fuzz/corpus/$name" -type f | wc -l)"
  if [ "$verdict" != ok ]; then
    tail -n 40 "$log"
    note "again: build/fuzz/fuzzers/$name $(sed -n "s/.*Test unit written to //p" "$log" | tail -n 1)"
  fi
}
