"""The OpenAPI document as one HTML page, for people: no scripts, nothing from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

Json = Mapping[str, Any]

_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--dim:#8881;--mark:#2b6cb0}
@media(prefers-color-scheme:dark){:root{--mark:#7cb7f0}}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif}
main,nav,header{max-width:60rem;margin:auto;padding:0 1rem}
nav ul{columns:22rem;padding:0;list-style:none}
a{color:var(--mark)}
h2{margin-top:3rem;border-bottom:1px solid var(--line)}
section section{margin:1rem 0;padding:0 1rem 1rem;border:1px solid var(--line);border-radius:.5rem}
h3{overflow-wrap:anywhere}
h3 b{color:var(--mark);font-variant:all-small-caps;letter-spacing:.05em}
div.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
td p{margin:0}
code,pre{font:.875em/1.45 ui-monospace,monospace}
pre{overflow-x:auto;padding:.75rem;background:var(--dim);border-radius:.3rem}
details{margin:.5rem 0}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page(document: Json) -> bytes:
    """The page of an OpenAPI document as `openapi.py` makes them."""
    title = escape(document["info"]["title"])
    body = "\n".join((_contents(document), *_tags(document), *_schemas(document)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{title}</h1>\n{_prose(document['info']['description'])}\n"
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>.</p>\n</header>\n'
        f"{body}\n</main>\n</body>\n</html>\n"
    ).encode()


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _contents(document: Json) -> str:
    items = "\n".join(
        f'<li><a href="#{escape(operation["operationId"])}">'
        f"<code>{method.upper()} {escape(path)}</code></a></li>"
        for path, method, operation in _operations(document)
    )
    return f"<nav>\n<ul>\n{items}\n</ul>\n</nav>\n<main>"


def _tags(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        sections = "\n".join(
            _operation(document, path, method, operation)
            for path, method, operation in _operations(document)
            if tag["name"] in operation["tags"]
        )
        heading = f"<h2>{escape(tag['name'].capitalize())}</h2>"
        yield f"<section>\n{heading}\n{_prose(tag['description'])}\n{sections}\n</section>"


def _operation(document: Json, path: str, method: str, operation: Json) -> str:
    parameters = [
        (_code(p["name"]), escape(p["in"]), _type(p["schema"]), _prose(p.get("description", "")))
        for p in operation.get("parameters", ())
    ]
    body = operation.get("requestBody")
    parts = [
        f"<h3><b>{method.upper()}</b> <code>{escape(path)}</code></h3>",
        f"<p><strong>{_inline(operation['summary'])}</strong></p>",
        _prose(operation.get("description", "")),
        _table(("parameter", "in", "type", "meaning"), parameters),
        _body(body) if body else "",
        f"<h4>Try it</h4>\n{_pre(_curl(document, path, method, operation))}",
        _answers(document, operation),
    ]
    return (
        f'<section id="{escape(operation["operationId"])}">\n' + "\n".join(parts) + "\n</section>"
    )


def _body(body: Json) -> str:
    optional = "" if body["required"] else " (may be left out)"
    return "\n".join(
        f"<p>Body: {_type(content['schema'])} as <code>{escape(media_type)}</code>{optional}</p>"
        for media_type, content in body["content"].items()
    )


def _curl(document: Json, path: str, method: str, operation: Json) -> str:
    lines = ["curl -s" if method == "get" else f"curl -s -X {method.upper()}"]
    if operation.get("security", document["security"]):
        scheme = document["components"]["securitySchemes"]["apiKey"]
        lines.append(f'-H "{scheme["name"]}: $KEY"')
    body = operation.get("requestBody")
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    lines.append(f'"$URL{path}"')
    for media_type, content in (body or {"content": {}})["content"].items():
        lines += [f'-H "Content-Type: {media_type}"', _sent(media_type, content["example"])]
    return " \\\n  ".join(lines)


def _sent(media_type: str, example: Any) -> str:
    if media_type != "application/json":
        return f"--data-binary @{example}"
    quoted = json.dumps(example, ensure_ascii=False, indent=2).replace("'", "'\\''")
    return f"-d '{quoted}'"


def _answers(document: Json, operation: Json) -> str:
    rows, examples = [], []
    for status, given in operation["responses"].items():
        answer = _resolved(document, given)
        content = answer.get("content", {})
        types = ", ".join(
            _type(of["schema"]) if "schema" in of else _code(media_type)
            for media_type, of in content.items()
        )
        rows.append((_code(status), _inline(answer["description"]), types))
        for of in content.values():
            examples += [
                f"<details>\n<summary>{status}: {escape(name)}</summary>\n"
                f"{_pre(json.dumps(example['value'], ensure_ascii=False, indent=2))}\n</details>"
                for name, example in of.get("examples", {}).items()
            ]
    table = _table(("status", "meaning", "body"), rows)
    return "\n".join((f"<h4>Answers</h4>\n{table}", *examples))


def _schemas(document: Json) -> Iterator[str]:
    yield "<section>\n<h2>Types</h2>"
    for name, schema in document["components"]["schemas"].items():
        required = schema.get("required", ())
        rows = [
            (
                _code(field) + ("" if field in required else " <small>optional</small>"),
                _type(of),
                _prose(of.get("description", "")),
            )
            for field, of in schema.get("properties", {}).items()
        ]
        yield (
            f'<section id="schema-{escape(name)}">\n<h3>{escape(name)}</h3>\n'
            f"{_prose(schema.get('description', ''))}\n"
            f"{_table(('field', 'type', 'meaning'), rows)}\n</section>"
        )
    yield "</section>"


def _type(schema: Json) -> str:
    """A schema in a few words; types of their own are links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    choices = schema.get("anyOf") or (schema.get("oneOf") if "type" not in schema else None)
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if choices or values:
        return " or ".join([*map(_type, choices or ()), *(_code(json.dumps(v)) for v in values)])
    name = escape(schema.get("format") or schema.get("type", "anything"))
    of = schema.get("items") or schema.get("additionalProperties")
    return name + (f" of {_type(of)}" if isinstance(of, dict) else "") + _limits(schema)


def _limits(schema: Json) -> str:
    least = next((schema[k] for k in ("minimum", "minLength", "minItems") if k in schema), None)
    keys = ("maximum", "maxLength", "maxItems", "maxProperties")
    most = next((schema[k] for k in keys if k in schema), None)
    if least is None and most is None:
        return ""
    unit = " characters" if schema.get("type") == "string" else ""
    span = f"from {least}" if most is None else f"{'to' if least is None else f'{least} to'} {most}"
    return f" <small>{escape(span)}{unit}</small>"


def _resolved(document: Json, schema: Json) -> Json:
    if "$ref" not in schema:
        return schema
    _, *path = schema["$ref"].split("/")
    found: Any = document
    for name in path:
        found = found[name]
    return dict(found)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = "\n".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{lines}\n</table></div>'


def _prose(text: str) -> str:
    return "\n".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part)


def _inline(text: str) -> str:
    """Escaped text, in which backquotes mark code."""
    plain, *rest = escape(text).split("`")
    marked = (f"<code>{part}</code>" if at % 2 == 0 else part for at, part in enumerate(rest))
    return plain + "".join(marked)


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _pre(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"
