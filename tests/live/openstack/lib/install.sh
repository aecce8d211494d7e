# shellcheck shell=bash
# Sourced by up: the Python packages, in a virtual environment of their own.

packages() {
  case "$SERIES" in
    2026.1) echo keystone==29.1.0 neutron==28.0.2 neutron-vpnaas==28.0.0 gunicorn PyMySQL ;;
    2026.2) echo keystone==30.0.0 neutron==29.0.0 neutron-vpnaas==29.0.0 gunicorn PyMySQL ;;
    *) die "no series '$SERIES': 2026.1 or 2026.2" ;;
  esac
}

usable_python() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${ISTHMUS_LIVE_PYTHON:-python3.11 python3.12 python3}; do
    if usable_python "$candidate"; then echo "$candidate"; return; fi
  done
  die "no Python 3.11 or 3.12 with venv and ensurepip; install python3-venv or set ISTHMUS_LIVE_PYTHON"
}

install_packages() {
  local list want python
  list="$(packages)"
  want="$(cat "$HERE/lib/constraints-$SERIES.txt"; echo "$list")"
  [ "$(cat "$VENV/.installed" 2>/dev/null)" != "$want" ] || return 0
  python="$(find_python)"
  say "installing $list (a minute or two)"
  rm -rf "$VENV"
  "$python" -m venv "$VENV"
  # shellcheck disable=SC2086 # one word each
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$HERE/lib/constraints-$SERIES.txt" $list > "$LOG/pip.log" 2>&1 \
    || explain "$LOG/pip.log" "pip install"
  printf '%s\n' "$want" > "$VENV/.installed"
}

# install_debian PACKAGE...: those that are missing. What they bring as a service is not started: policy-rc.d forbids it.
install_debian() {
  local package policy=/usr/sbin/policy-rc.d missing=() ours=''
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed || missing+=("$package")
  done
  [ "${#missing[@]}" != 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    die "not installed, and only root on a Debian machine may: ${missing[*]}"
  fi
  say "installing Debian's ${missing[*]}"
  [ -e "$policy" ] || { ours=yes; printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod 755 "$policy"; }
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y \
      --no-install-recommends "${missing[@]}"; } > "$LOG/apt.log" 2>&1 < /dev/null 9>&- \
    || { [ -z "$ours" ] || rm -f "$policy"; explain "$LOG/apt.log" "apt-get install ${missing[*]}"; }
  [ -z "$ours" ] || rm -f "$policy"
}
