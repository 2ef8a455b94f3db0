"""What goes over the wire, as types: requests, decisions, documents, problems.

The published description is generated from these types and from those of `role/`. Bodies of the
enforce endpoints and of provision are checked by hand, for speed and for their sentences;
`tests/api/test_api_schemas.py` holds those checks and these types against each other.
"""
