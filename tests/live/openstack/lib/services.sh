# shellcheck shell=bash
# Sourced by up: Keystone's and Neutron's tables and keys, and their processes.

prepare_keystone() {
  [ ! -e "$DATA/keystone.made" ] || return 0
  say "keystone: tables, keys, first user"
  local me group
  me="$(id -un)"; group="$(id -gn)"
  mkdir -p "$ETC/keystone/fernet-keys" "$ETC/keystone/credential-keys"
  chmod 700 "$ETC/keystone/fernet-keys" "$ETC/keystone/credential-keys"
  manage() { "$VENV/bin/keystone-manage" --config-file "$ETC/keystone/keystone.conf" "$@"; }
  { manage db_sync \
    && manage fernet_setup --keystone-user "$me" --keystone-group "$group" \
    && manage credential_setup --keystone-user "$me" --keystone-group "$group" \
    && manage bootstrap --bootstrap-password admin-password --bootstrap-region-id RegionOne \
       --bootstrap-admin-url "$KEYSTONE_URL/v3" --bootstrap-public-url "$KEYSTONE_URL/v3" \
       --bootstrap-internal-url "$KEYSTONE_URL/v3"; } > "$LOG/keystone-setup.log" 2>&1 \
    || explain "$LOG/keystone-setup.log" "keystone setup"
  touch "$DATA/keystone.made"
}

prepare_neutron() {
  [ ! -e "$DATA/neutron.made" ] || return 0
  say "neutron: tables"
  if [ "$DATABASE" = sqlite ]; then
    "$PYTHON" "$HERE/lib/create_sqlite_schema.py" "$(database_url neutron)"
  else
    "$VENV/bin/neutron-db-manage" --config-file "$ETC/neutron/neutron.conf" \
      --config-file "$ETC/neutron/ml2_conf.ini" upgrade heads
  fi > "$LOG/neutron-setup.log" 2>&1 || explain "$LOG/neutron-setup.log" "neutron tables"
  touch "$DATA/neutron.made"
}

# start_service NAME PORT THREADS: NAME is running with the configuration of now, and answers
# on PORT afterwards.
start_service() {
  local name=$1 port=$2 threads=$3 _
  if alive "$name" && ! cmp -s "$ETC/$name/$name.conf" "$RUN/$name.conf"; then
    say "$name was started with other knobs"
    stop "$name" || die "$name does not stop"
  fi
  if alive "$name"; then say "$name is running"; else
    if answers "$port" /; then die "port $port is taken by something that is not ours"; fi
    # One worker: the middleware's cache of tokens is per process, and a second process
    # would make what a revoked token may do a matter of luck.
    PYTHONPATH="$HERE/lib" PYTHONDONTWRITEBYTECODE=1 \
    OS_KEYSTONE_CONFIG_FILES="$ETC/keystone/keystone.conf" OS_KEYSTONE_CONFIG_DIR='' \
    OS_NEUTRON_CONFIG_DIR="$ETC/neutron" OS_NEUTRON_CONFIG_FILES='neutron.conf;ml2_conf.ini' \
    setsid "$PYTHON" -m gunicorn --bind "127.0.0.1:$port" --workers 1 --worker-class gthread \
      --threads "$threads" --keep-alive 75 --timeout 120 --limit-request-line 8190 --no-control-socket \
      --access-logfile "$LOG/$name-access.log" --error-logfile "$LOG/$name-gunicorn.log" \
      "wsgi_$name:application" > "$LOG/$name.out" 2>&1 < /dev/null 9>&- &
    own "$name" $!
    cp "$ETC/$name/$name.conf" "$RUN/$name.conf"
  fi
  for _ in $(seq 1 240); do
    if answers "$port" /; then return 0; fi
    alive "$name" || { tail -n 20 "$LOG/$name.out" >&2; explain "$LOG/$name-gunicorn.log" "$name died"; }
    sleep 0.25
  done
  explain "$LOG/$name-gunicorn.log" "$name does not answer on port $port"
}

# answers PORT PATH: an HTTP server there says something that is no failure of its own.
answers() (
  exec 2> /dev/null 3<> "/dev/tcp/127.0.0.1/$1" || exit 1
  printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
  read -r -t 5 _ code _ <&3 || exit 1
  [ "$code" -lt 500 ]
)
