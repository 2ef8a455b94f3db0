"""The database: one schema for SQLite and PostgreSQL, opened and migrated here."""
