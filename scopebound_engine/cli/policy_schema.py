"""`policy schema`: the JSON Schema of what rules see, and how editors come to know it."""

from typing import Final

import click

from scopebound_engine.cli.terminal import json_document

# Read off OPA's and Regal's documentation and sources: https://www.openpolicyagent.org/docs/schemas,
# …/projects/regal/language-server, and the settings of the extension "tsandall.opa".
_EDITORS: Final = """\b
Editors:
  Completion of `input.…` comes from Regal's language server (VS Code, Neovim,
  Zed, …). It reads no schema, but an example: input.json in the folder of a
  policy or in one above it, up to the root of the workspace. Beside your
  policies, so that no bundle holds it:
    scopebound-engine policy schema --example > input.json
  Wrong names of facts are underlined by OPA itself, from the schema. In VS
  Code install the extension tsandall.opa, and in .vscode/settings.json write:
    "opa.schema": "${workspaceFolder}/input.schema.json",
    "opa.checkOnSave": true
  On the command line: opa check --schema input.schema.json policies
  A file given so is the schema of `input` in all packages. Given a folder of
  schemas, OPA looks for METADATA above a package or rule:
    # METADATA
    # schemas:
    #   - input: schema.input
  which names the folder's input.json. policy check needs none of this.
"""


@click.command(epilog=_EDITORS)
@click.option("--example", is_flag=True, help="Print an example with every fact instead.")
def schema(example: bool) -> None:
    """Print the JSON Schema of the facts that rules see as `input`.

    What it does not list is not there: policy check finds rules that read something else, and
    policy eval refuses facts of another shape.

    \b
    Example: scopebound-engine policy schema > input.schema.json
    """
    # Loads what the gate asks with, which the schema does not take.
    from scopebound_engine.author import schema as facts

    if example:
        json_document(facts.example())
    else:
        click.echo(facts.text(), nl=False)
