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
