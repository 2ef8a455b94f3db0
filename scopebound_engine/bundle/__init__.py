"""The managed artifact: from sources to a signed archive, and from bytes to a verified bundle."""
