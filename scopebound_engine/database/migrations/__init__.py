"""The history of the schema, in Alembic's layout; it travels in the wheel."""
