"""Alembic's entry: runs the migrations on the connection that store/schema.py hands over."""

from alembic import context

from visant_cloud.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    # SQLite: all steps in the one transaction of store/schema.py
    transaction_per_migration=connection.dialect.name != "sqlite",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
