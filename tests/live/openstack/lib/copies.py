"""Makes copies of a connection's row, or removes them. argv: DATABASE-URL ID COUNT.

The columns are the database's own, so nothing here knows what a connection consists of."""
import sys
import uuid

import sqlalchemy as sa

engine = sa.create_engine(sys.argv[1])
connection_id, count = sys.argv[2], int(sys.argv[3])
table = sa.Table('ipsec_site_connections', sa.MetaData(), autoload_with=engine)
with engine.begin() as database:
    origin = database.execute(table.select().where(table.c.id == connection_id)).mappings().one()
    if count == 0:
        database.execute(table.delete().where(
            table.c.project_id == origin['project_id'], table.c.name.like('copy-%')))
    else:
        rows = [{**origin, 'id': str(uuid.uuid4()), 'name': 'copy-%d' % number} for number in range(count)]
        database.execute(table.insert(), rows)
        print('\n'.join(row['id'] for row in rows))
