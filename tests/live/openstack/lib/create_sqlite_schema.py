"""Creates Neutron's tables in an SQLite file. argv: SQLALCHEMY_URL

Neutron's migrations are written for MySQL and PostgreSQL; on SQLite the tables are
made from the models the migrations lead to, as Neutron's own unit tests do."""
import sys

import sqlalchemy
from neutron.db.migration.models import head  # noqa: F401  registers the models
from neutron_lib.db import model_base
from neutron_vpnaas.db.models import head as vpnaas_head  # noqa: F401

engine = sqlalchemy.create_engine(sys.argv[1])
with engine.connect() as connection:
    # Lets the status script write while the server reads.
    connection.execute(sqlalchemy.text('PRAGMA journal_mode=WAL'))
model_base.BASEV2.metadata.create_all(engine)
