# shellcheck shell=bash
# `./dev lint`. Every check runs even when an earlier one fails; the last line says which did.

lint() {
  local all=0 failed=()
  case ${1:-} in
    '') ;;
    --all) all=1 ;;
    *) die "lint takes --all or nothing" 2 ;;
  esac

  say "format (clang-format 19)"
  sources_tracked | xargs -r clang-format-19 --dry-run -Werror --ferror-limit=3 || failed+=("format: ./dev fmt mends it")

  say "layers, sizes, words"
  python3 tools/check_layers.py || failed+=(layers)
  python3 tools/check_sizes.py || failed+=(sizes)
  python3 tools/check_words.py || failed+=(words)
  if [ -e docs/rfc-map.md ]; then python3 tools/rfc_map.py --check || failed+=("RFC map"); fi

  say "shellcheck"
  shell_sources | xargs -r shellcheck -x || failed+=(shellcheck)

  say "headers compile alone"
  python3 tools/check_headers.py || failed+=(headers)

  say "clang-tidy 19 ($([ "$all" = 1 ] && echo all sources || echo 'sources changed against main; --all for all'))"
  tidy "$all" || failed+=(clang-tidy)

  if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: failed: %s\n' "${failed[@]}" >&2
    return 1
  fi
  say "lint: clean"
}

# Every tracked file that bash or sh runs.
shell_sources() {
  git ls-files | while read -r file; do
    [ -f "$file" ] || continue
    case $file in
      *.sh) echo "$file" ;;
      *) if head -c 64 "$file" | head -n 1 | grep -aqE '^#!.*[/ ](ba)?sh( |$)'; then echo "$file"; fi ;;
    esac
  done
}

tidy() {
  local all=$1 base files
  cmake --preset lint >/dev/null || return 1
  if [ "$all" = 1 ]; then
    files=$(sources_tracked | grep '\.cpp$' || true)
  else
    base=$(git merge-base HEAD main 2>/dev/null || git rev-parse HEAD)
    # On main itself: what the last commit changed.
    [ "$base" != "$(git rev-parse HEAD)" ] || base=$(git rev-parse -q --verify HEAD~1 || echo HEAD)
    files=$(git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' 'tests/*.cpp')
  fi
  # Fuzz targets are not in this compile database: without flags they cannot be read.
  files=$(for file in $files; do grep -q "$PWD/$file\"" build/lint/compile_commands.json && echo "$file"; done || true)
  [ -n "$files" ] || { note "nothing to read"; return 0; }
  note "$(wc -w <<<"$files") sources"
  # A finding in a header comes once per source that includes it: shown once.
  # shellcheck disable=SC2016,SC2086
  printf '%s\n' $files | xargs -P "$(jobs_wanted)" -n 1 nice -n 10 bash -c '
    extra=
    case $0 in *_test.cpp) extra=--checks=-bugprone-unchecked-optional-access ;; esac
    clang-tidy-19 -p build/lint --quiet $extra "$0" 2>/dev/null' |
    awk '/:[0-9]+:[0-9]+: (error|warning):/ { show = !seen[$0]++ } show'
}
