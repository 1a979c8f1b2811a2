#!/usr/bin/env bash
# install_packages.sh "<package>..." : apt, as root, without questions and without starting any service.
#
# Some test peers bring daemons with them (strongSwan's starter would take ports 500 and 4500 of this machine). While the
# packages are unpacked a policy-rc.d forbids their start, and a unit that was not there before is left disabled.
set -euo pipefail

read -r -a packages <<<"$1"
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
had_starter=$(dpkg-query -W -f='${db:Status-Status}' strongswan-starter 2>/dev/null || true)

install() {
  apt-get -o DPkg::Lock::Timeout=600 -qq -y --no-install-recommends install "${packages[@]}" >/tmp/culvert-apt.$$ 2>&1
}

# The index may be absent or stale; a refresh is tried only when the first attempt fails.
if ! install; then
  echo "   apt-get update"
  apt-get -o DPkg::Lock::Timeout=600 -qq update
  install || { tail -n 30 /tmp/culvert-apt.$$ >&2; rm -f /tmp/culvert-apt.$$; exit 1; }
fi
rm -f /tmp/culvert-apt.$$

if [ "$had_starter" != installed ] && command -v systemctl >/dev/null; then
  systemctl disable strongswan-starter.service >/dev/null 2>&1 || true
fi
