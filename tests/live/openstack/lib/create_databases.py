"""Creates MariaDB databases where they are missing. argv: SOCKET NAME..."""
import sys

import pymysql

connection = pymysql.connect(unix_socket=sys.argv[1], user='root')
with connection, connection.cursor() as cursor:
    for name in sys.argv[2:]:
        cursor.execute('CREATE DATABASE IF NOT EXISTS `%s`' % name)
