"""Which bundles are kept, which is in force, who changed that, and which workers run it."""
