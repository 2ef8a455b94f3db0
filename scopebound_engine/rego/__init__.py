"""All that knows the Rego engine: nothing outside this package imports regopy."""
