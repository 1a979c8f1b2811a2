#!/usr/bin/env bash
# install_packages.sh "<package>..." : apt, as root, without questions and without starting any service.
#
# Some test peers bring daemons with them (strongSwan's starter would take ports 500 and 4500 of this machine, BIRD would
# change its routes). While the packages are unpacked a policy-rc.d forbids their start, and a unit that was not there
# before is left disabled.
set -euo pipefail

read -r -a packages <<<"$1"
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
had_before=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' strongswan-starter bird2 openvpn freeradius 2>/dev/null || true)

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

leave_disabled() {  # <package> <unit>
  grep -qxF "installed $1" <<<"$had_before" || systemctl disable "$2" >/dev/null 2>&1 || true
}
if command -v systemctl >/dev/null; then
  leave_disabled strongswan-starter strongswan-starter.service
  leave_disabled bird2 bird.service
  leave_disabled openvpn openvpn.service
  leave_disabled freeradius freeradius.service
fi
