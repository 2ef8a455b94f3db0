"""Run by Alembic, on the connection and inside the transaction that `migrate` hands over."""

from alembic import context

from scopebound_engine.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's as well: one transaction for the whole upgrade
)
with context.begin_transaction():
    context.run_migrations()
