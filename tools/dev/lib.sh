# shellcheck shell=bash
# Parts shared by the commands of ./dev: messages, packages, build, test run. Sourced by bash, in the root of the checkout.

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

say() { printf '%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '   %s\n' "$*"; }
die() { printf 'dev: %s\n' "$1" >&2; exit "${2:-1}"; }
minutes() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }
jobs_wanted() { echo "${CULVERT_JOBS:-$(nproc)}"; }

need_root() {
  [ "$(id -u)" = 0 ] || die "$1: run it as root"
}

# --- packages ---------------------------------------------------------------------------------------------------------

# run: what the build and the demo need. test, lint, fuzz, bench: what these commands need on top.
packages_run="
  g++ cmake ninja-build ccache mold pkg-config git ca-certificates python3
  libssl-dev libipsec-mb-dev zlib1g-dev libfmt-dev libspdlog-dev libboost-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libnl-3-dev libnl-route-3-dev libnftables-dev libsqlite3-dev libgtest-dev libgmock-dev libbenchmark-dev
  iproute2 iputils-ping iperf3 tcpdump procps"
packages_test="
  tshark nftables conntrack ethtool openssl python3-scapy python3-cryptography user-mode-linux busybox-static bird2
  strongswan-swanctl strongswan-charon libcharon-extra-plugins libcharon-extauth-plugins
   libstrongswan-standard-plugins libstrongswan-extra-plugins freeradius freeradius-utils
   softhsm2 opensc libengine-pkcs11-openssl tpm2-openssl tpm2-tools swtpm spin valgrind"
packages_lint="clang-19 clang-tidy-19 clang-format-19 shellcheck"
packages_fuzz="clang-19 lld-19 libclang-rt-19-dev llvm-19"

packages_bench="wireguard-go wireguard-tools nebula openvpn"

packages_of() {
  case $1 in
    run) echo "$packages_run" ;;
    test) echo "$packages_run $packages_test" ;;
    lint) echo "$packages_run $packages_lint" ;;
    fuzz) echo "$packages_run $packages_fuzz" ;;
    bench) echo "$packages_run $packages_test $packages_bench" ;;
    all) echo "$packages_run $packages_test $packages_lint $packages_fuzz $packages_bench" ;;
    *) die "no such package group '$1': run, test, lint, fuzz, bench, all" 2 ;;
  esac
}

missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u)
  for package in $(packages_of "$1"); do
    grep -qxF "$package" <<<"$installed" || echo "$package"
  done
}

# Installs what is missing; costs a tenth of a second when nothing is.
setup_packages() {
  local missing as_root=()
  [ "${CULVERT_NO_SETUP:-0}" != 1 ] || return 0
  command -v dpkg-query >/dev/null ||
    die "setup knows Debian 12 only. On another system install the counterparts of: $(packages_of "$1" | xargs)"
  missing=$(missing_packages "$1" | xargs)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "packages are missing; as root: apt-get install $missing"
    as_root=(sudo)
  fi
  say "installing $(wc -w <<<"$missing") packages"
  note "$missing"
  "${as_root[@]}" bash tools/dev/install_packages.sh "$missing" || die "apt could not install the packages"
  missing=$(missing_packages "$1" | xargs)
  [ -z "$missing" ] || die "still missing after apt: $missing"
}

# Fetches the daemons for guests at first use. Without them the cases that want them say so and skip.
setup_peers() {
  [ "${CULVERT_NO_SETUP:-0}" != 1 ] || return 0
  python3 -B tests/interop/guest/fetch.py --quiet || note "peers for guests are missing: the cases guest-* of them will say that they skip"
}

# --- build ------------------------------------------------------------------------------------------------------------

# build <preset> [target...]
build() {
  local preset=$1 log started=$SECONDS
  shift
  grep -q "\"name\": \"$preset\"" CMakePresets.json || die "no preset '$preset': release, debug, asan-ubsan, tsan, fuzz" 2
  say "build: $preset ${*:-everything}"
  mkdir -p "build/$preset"
  log="build/$preset/configure.log"
  if [ ! -f "build/$preset/build.ninja" ] || [ CMakePresets.json -nt "build/$preset/build.ninja" ]; then
    cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; die "cmake failed"; }
  fi
  nice -n 5 ninja -C "build/$preset" -j "$(jobs_wanted)" "$@" || die "the build failed"
  note "built in $(minutes $((SECONDS - started)))"
}

# --- tests ------------------------------------------------------------------------------------------------------------

find_vectors() {
  local default="$PWD/../shared/vectors"
  if [ -z "${CULVERT_VECTORS:-}" ] && [ -d "$default" ]; then
    CULVERT_VECTORS=$(cd "$default" && pwd)
  fi
  if [ -n "${CULVERT_VECTORS:-}" ]; then
    export CULVERT_VECTORS
    note "vectors: $CULVERT_VECTORS"
  else
    note "no third-party vectors (CULVERT_VECTORS is unset, ../shared/vectors is absent): those tests will say that they skip"
  fi
}

# run_ctest <preset> [ctest arguments...]; shows what was skipped, and closes with ctest's own verdict.
run_ctest() {
  local preset=$1 status=0 log
  shift
  say "test: $preset"
  rm -rf "build/$preset/test-results"
  log="build/$preset/ctest.log"
  export CULVERT_BIN="$PWD/build/$preset/bin"
  # One more than there are processors: the interoperability tests, of which two run at once, mostly wait.
  ctest --test-dir "build/$preset" -j "$(($(jobs_wanted) + 1))" --output-on-failure --no-tests=error "$@" 2>&1 | tee "$log" || status=1
  python3 tools/dev/test_summary.py "build/$preset/test-results" || status=1
  grep -E 'tests passed' "$log" || status=1
  return "$status"
}

sources_tracked() { git ls-files 'src/*.hpp' 'src/*.cpp' 'tests/*.hpp' 'tests/*.cpp'; }
