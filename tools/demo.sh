#!/usr/bin/env bash
# `./dev demo`: two hosts in network namespaces, a culvertd in each, a tunnel between them, and the proof that it works.
#
# Everything happens in the namespaces alice-<pid> and bob-<pid> and a folder under /tmp; all of it is taken away at the end, also after
# ^C. CULVERT_BIN says where the binaries are, CULVERT_DEMO_SECONDS how long iperf3 runs (3).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${CULVERT_BIN:-$root/build/release/bin}
seconds=${CULVERT_DEMO_SECONDS:-3}
export PATH="$PATH:/usr/sbin:/sbin"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi
step_number=0
step() { step_number=$((step_number + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step_number" "$*" "$plain"; }
show() { sed "s/^/     $dim|$plain /"; }
good() { printf '   %sok%s    %s\n' "$green" "$plain" "$*"; }
say() { printf '   %s\n' "$*"; }
fail() {
  printf '   %sFAIL%s  %s\n' "$red" "$plain" "$*" >&2
  local host
  for host in alice bob; do
    [ -s "$work/$host.log" ] && { echo "   the last lines of $host's culvertd:"; tail -n 15 "$work/$host.log" | show; } >&2
  done
  exit 1
}
stop() { printf 'demo: %s\n' "$1" >&2; exit 1; }

[ "$(id -u)" = 0 ] || stop "network namespaces and TUN devices need root: sudo ./dev demo"
[ -c /dev/net/tun ] || stop "there is no /dev/net/tun: load the module (modprobe tun) or give the container that device"
for tool in ip ping iperf3 tcpdump python3 sysctl; do
  command -v "$tool" >/dev/null || stop "$tool is missing: ./dev setup run"
done
for binary in culvertd culvert; do
  [ -x "$bin/$binary" ] || stop "no $bin/$binary: ./dev build"
done

# --- two hosts ----------------------------------------------------------------------------------------------------------

alice=alice-$$ bob=bob-$$
work=$(mktemp -d /tmp/culvert-demo.XXXXXX)
children=()
cleaned=
clean_up() {
  [ -z "$cleaned" ] || return 0
  cleaned=1
  trap '' INT TERM HUP
  local pid namespace
  for pid in "${children[@]}"; do kill "$pid" 2>/dev/null || true; done
  # A daemon takes its routes and its socket back by itself; whoever is still there after two seconds goes with its namespace.
  for _ in $(seq 40); do
    [ -n "$(ip netns pids "$alice" 2>/dev/null; ip netns pids "$bob" 2>/dev/null)" ] || break
    sleep 0.05
  done
  for namespace in "$alice" "$bob"; do
    for pid in $(ip netns pids "$namespace" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
    ip netns del "$namespace" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

on() { local host=$1; shift; ip netns exec "${!host}" "$@"; }
start() { # HOST OUTPUT COMMAND...: in the background; ends with the demo
  local host=$1 output=$2
  shift 2
  ip netns exec "${!host}" "$@" </dev/null >"$output" 2>&1 &
  children+=($!)
}
culvert() { local host=$1; shift; on "$host" "$bin/culvert" --socket "$work/$host.sock" "$@"; }
wait_for() { # TENTHS COMMAND...
  local tenths=$1
  shift
  for _ in $(seq "$tenths"); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  return 1
}

step "Two hosts, one cable"
ip netns add "$alice"
ip netns add "$bob"
for host in alice bob; do
  # Pings and iperf3 shall show the tunnel, not the pacing of bbr, which is some kernels' default. IPv4 only, to keep the wire quiet.
  on $host sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  on $host sysctl -qw net.ipv4.tcp_congestion_control=reno 2>/dev/null || true
  ip -n "${!host}" link set lo up
done
ip -n "$alice" link add wire type veth peer name wire netns "$bob"
ip -n "$alice" addr add 192.0.2.1/24 dev wire
ip -n "$bob" addr add 192.0.2.2/24 dev wire
ip -n "$alice" link set wire up
ip -n "$bob" link set wire up
# The whole of the outside world is at the other end of the cable: what the tunnel does not take goes there in the clear, and is counted.
ip -n "$alice" route add default via 192.0.2.2
ip -n "$bob" route add default via 192.0.2.1
cat <<EOF
     $alice                                            $bob
     10.1.0.0/16 -- [ 192.0.2.1 ] ====== veth ====== [ 192.0.2.2 ] -- 10.2.0.0/16
EOF

tcpdump_log=$work/tcpdump.log
start alice "$tcpdump_log" tcpdump -i wire -n -s 96 -U --immediate-mode -B 65536 -Z root -w "$work/wire.pcap"
capture=${children[-1]}
wait_for 50 grep -q 'listening on' "$tcpdump_log" || stop "tcpdump does not start: $(cat "$tcpdump_log")"

# --- two daemons --------------------------------------------------------------------------------------------------------

step "A culvertd on each, from one small file"
secret=$(head -c 24 /dev/urandom | base64)
write_config() { # HOST PEER ADDRESS LOCAL REMOTE
  (umask 077; cat >"$work/$1.toml" <<EOF
[tunnel.office]
peer    = "$2"
secret  = "$secret"
address = ["$3"]
local   = ["$4"]
remote  = ["$5"]
start   = "manual"
EOF
  )
}
write_config alice 192.0.2.2 10.1.0.1/16 10.1.0.0/16 10.2.0.0/16
write_config bob 192.0.2.1 10.2.0.1/16 10.2.0.0/16 10.1.0.0/16
say "alice.toml (bob's is its mirror image; the secret comes from \`culvert keygen\` or any good random source):"
sed 's/^secret  = ".*/secret  = "..."/' "$work/alice.toml" | show
for host in alice bob; do
  start $host "$work/$host.log" "$bin/culvertd" --config "$work/$host.toml" --socket "$work/$host.sock"
done
for host in alice bob; do
  wait_for 100 culvert $host status || fail "$host's culvertd does not answer"
done
good "both daemons run; nothing is up yet"
if on alice ping -q -c 1 -W 1 10.2.0.1 >/dev/null 2>&1; then
  fail "a ping came back although there is no tunnel"
fi
good "a ping from alice to 10.2.0.1 is held back as long as there is no tunnel"

step "alice: culvert up office"
culvert alice up office 2>&1 | show || fail "the tunnel did not come up"
say "what bob's daemon saw:"
culvert bob log office 2>&1 | grep -v ' debug ' | tail -n 4 | show || true

# --- traffic ------------------------------------------------------------------------------------------------------------

step "Traffic through the tunnel"
ping_result=$(on alice ping -q -c 10 -i 0.05 -W 2 10.2.0.1 | tail -n 2) || fail "no ping came back"
grep -q ' 10 received' <<<"$ping_result" || fail "ping: $ping_result"
good "ping: 10 of 10 came back, $(sed -n 's/^rtt min\/avg\/max\/mdev = [^/]*\/\([^/]*\)\/.*/\1 ms on average/p' <<<"$ping_result")"
start bob "$work/iperf3-server.log" iperf3 -s -1 -B 10.2.0.1
wait_for 50 grep -q listening "$work/iperf3-server.log" || sleep 0.5
on alice timeout $((seconds + 20)) iperf3 -c 10.2.0.1 -t "$seconds" -J >"$work/iperf3.json" 2>&1 || fail "iperf3: $(tail -n 3 "$work/iperf3.json")"
good "iperf3: $(python3 - "$work/iperf3.json" <<'EOF'
import json, sys
end = json.load(open(sys.argv[1]))["end"]
received = end["sum_received"]
print(f"{received['bytes'] / 1e6:.0f} MB in {received['seconds']:.1f} s = {received['bits_per_second'] / 1e9:.2f} Gbit/s, "
      f"{end['sum_sent']['retransmits']} retransmissions")
EOF
)"

step "culvert status, both sides"
for host in alice bob; do
  say "$host:"
  culvert $host status | show || fail "culvert status on $host"
done

# --- the wire -----------------------------------------------------------------------------------------------------------

step "What was on the wire, first to last"
sleep 0.3
kill -INT "$capture" 2>/dev/null || true
wait "$capture" 2>/dev/null || true
lost=$(sed -n 's/^\([0-9]*\) packets dropped by kernel.*/\1/p' "$tcpdump_log")
if ! counted=$("$root/tests/interop/rig/wire.py" "$work/wire.pcap"); then
  fail "the wire carried something else than IKE and ESP: $counted"
fi
good "$counted"
[ "${lost:-0}" = 0 ] || say "(under iperf3's load tcpdump itself missed $lost frames)"

step "The same on two real machines"
cat <<'EOF'
     On each:   ./dev install     (culvertd, culvert, their manual and the systemd unit, under /usr),
                write /etc/culvert/office.toml as above (mode 600) with the other machine's address as `peer`,
                its own network as `local`, the other's as `remote`, and the same `secret` in both
                (`address` is the host's own inside the tunnel; a gateway that has one in its network needs none);
                let UDP 500 and 4500 through the firewall; for a network behind it: sysctl -w net.ipv4.ip_forward=1
     Then:      systemctl enable --now culvertd      (or in the foreground: culvertd)
                culvert up office && culvert status
     `start = "auto"` brings the tunnel up by itself and keeps it up.
EOF
