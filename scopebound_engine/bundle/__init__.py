"""The managed artifact: from sources to a signed archive, and from bytes to a verified bundle.

format/       what a bundle is made of, and how it is written
trust/        the keys that sign, and those that are trusted
signature.py  the only way from bytes to a bundle that may be believed
gate/         what it must pass before it may decide
registry/     which bundles are kept, which is in force, and which workers run it
lifecycle.py  what operators do with all that: upload, activate, roll back, remove
"""
