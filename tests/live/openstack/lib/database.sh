# shellcheck shell=bash
# Sourced by up: a MariaDB of our own on a Unix socket, or SQLite files.

SOCKET="$DATA/mariadb.sock"

database_url() {
  if [ "$DATABASE" = sqlite ]; then echo "sqlite:///$DATA/$1.sqlite"
  else echo "mysql+pymysql://root@localhost/$1?unix_socket=$SOCKET&charset=utf8mb3"; fi
}

start_database() {
  [ "$DATABASE" = mariadb ] || return 0
  [ "${#SOCKET}" -le 100 ] || die "$SOCKET is too long for a socket's name; set ISTHMUS_LIVE_DIR to a shorter folder"
  install_mariadb
  make_data_folder
  if alive mariadb; then say "mariadb is running"; else
    # --no-defaults: whatever the machine's own MariaDB is told is not meant for ours.
    setsid mariadbd --no-defaults --user="$(id -un)" --datadir="$DATA/mariadb" \
      --socket="$SOCKET" --pid-file="$RUN/mariadbd.pid" --skip-networking \
      --character-set-server=utf8mb3 --innodb-buffer-pool-size=128M \
      --innodb-flush-log-at-trx-commit=0 --max-connections=300 \
      > "$LOG/mariadb.log" 2>&1 < /dev/null 9>&- &
    own mariadb $!
  fi
  create_databases
}

# The two "core" packages hold the programs alone: no service is set up or started.
install_mariadb() {
  if command -v mariadbd > /dev/null && command -v mariadb-install-db > /dev/null; then return 0; fi
  # A machine that cannot be given MariaDB can still do with ISTHMUS_LIVE_DB=sqlite.
  install_debian mariadb-server-core mariadb-client-core
}

make_data_folder() {
  [ ! -e "$DATA/mariadb.made" ] || return 0
  rm -rf "$DATA/mariadb"
  mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$DATA/mariadb" \
    --auth-root-authentication-method=normal --skip-test-db > "$LOG/mariadb-install.log" 2>&1 \
    || explain "$LOG/mariadb-install.log" "mariadb-install-db"
  touch "$DATA/mariadb.made"
}

create_databases() {
  local _
  for _ in $(seq 1 120); do
    if "$PYTHON" "$HERE/lib/create_databases.py" "$SOCKET" keystone neutron 2> /dev/null; then return 0; fi
    alive mariadb || explain "$LOG/mariadb.log" "mariadb died"
    sleep 0.25
  done
  explain "$LOG/mariadb.log" "mariadb does not answer"
}
