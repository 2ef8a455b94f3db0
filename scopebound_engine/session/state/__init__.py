"""What every call of a session finds and changes: on one host in SQLite, on many in PostgreSQL."""
