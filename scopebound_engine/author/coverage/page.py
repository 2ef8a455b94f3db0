"""The coverage of a policy as one page of HTML, which loads nothing from elsewhere.

What a colour says, a sign beside the line and a sentence above the source say as well.
"""

from collections.abc import Iterable
from typing import Final

from scopebound_engine.author.coverage.cover import Coverage, FileCover, spelled
from scopebound_engine.author.coverage.source import STATES, source, visible
from scopebound_engine.author.folder import Sources

_COLUMNS: Final = ("File", "Lines", "Covered", "Not covered", "Never true", "Never false")
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --dim: #57606a; --rule: #d0d7de;
  --hit: #dafbe1; --missed: #ffd7d5; --untrue: #ffe8b8; --unfalse: #e3e0ff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --dim: #9198a1;
  --rule: #3d444d; --hit: #12331f; --missed: #5a1e1b; --untrue: #4d3800; --unfalse: #2f2a63; } }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
a { color: inherit; } small, .number { color: var(--dim); font-weight: normal; }
h2 { margin-top: 2.5rem; overflow-wrap: anywhere; }
.wide, pre { overflow-x: auto; }
table { border-collapse: collapse; } caption { text-align: left; padding: .25rem 0; }
th, td { border-bottom: 1px solid var(--rule); padding: .25rem .75rem .25rem 0; text-align: left;
  vertical-align: top; }
tbody th { font-weight: normal; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; list-style: none; padding: 0; }
pre { border: 1px solid var(--rule); padding: .5rem 0; tab-size: 4; font-size: .875rem; }
.line { display: block; width: max-content; min-width: 100%; } .line:target { outline: 2px solid; }
.number { display: inline-block; width: 5ch; text-align: right; user-select: none; }
.sign { display: inline-block; width: 3ch; text-align: center; user-select: none; }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.hit { background: var(--hit); } .missed { background: var(--missed); }
.untrue { background: var(--untrue); border-bottom: 2px dashed; }
.unfalse { background: var(--unfalse); border-bottom: 2px dotted; }
"""
# Nothing that stands in a source can load or run anything.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(coverage: Coverage, sources: Sources) -> str:
    """The page: what is covered of each file, then the source of each."""
    title = f"Coverage of {visible(str(sources.folder))}: {coverage.percent:.1f} %"
    files = [(f"f{number}", file) for number, file in enumerate(coverage.files)]
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><main><h1>{title}</h1>",
            _tests(coverage),
            _table(coverage, files),
            _legend(),
            *(_section(anchor, file, sources.modules[file.file]) for anchor, file in files),
            "</main></body></html>\n",
        )
    )


def _tests(coverage: Coverage) -> str:
    broken = _list(f"{visible(test.name)}: {visible(test.outcome)}" for test in coverage.broken)
    return f"<p>{len(coverage.tests)} tests, {len(coverage.broken)} did not pass.</p>{broken}"


def _table(coverage: Coverage, files: Iterable[tuple[str, FileCover]]) -> str:
    rows = [_row(f'<a href="#{anchor}">{visible(file.file)}</a>', file) for anchor, file in files]
    total = _cells(
        coverage.lines,
        f"{coverage.percent:.1f} %",
        coverage.lines - coverage.covered,
        sum(len(file.never_true) for file in coverage.files),
        sum(len(file.never_false) for file in coverage.files),
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    return (
        f'<div class="wide"><table><caption>A line counts where a rule, an else or an expression '
        f"begins.</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
        f'<tfoot><tr><th scope="row">All</th>{total}</tr></tfoot></table></div>\n'
    )


def _row(name: str, file: FileCover) -> str:
    ranges = ", ".join(map(spelled, file.uncovered))
    cells = _cells(
        file.lines,
        f"{file.percent:.1f} %",
        ranges,
        len(file.never_true),
        len(file.never_false),
    )
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'


def _cells(*values: object) -> str:
    return "".join(f"<td>{value}</td>" for value in values)


def _legend() -> str:
    items = (
        f'<li><span aria-hidden="true">{sign}</span> <span class="{state}">{says}</span></li>'
        for state, (sign, says) in STATES.items()
    )
    return f'<ul class="legend">{"".join(items)}</ul>\n'


def _section(anchor: str, file: FileCover, text: str) -> str:
    notes = sorted(
        [
            *((item.line, f"rule {item.rule}", "never entered") for item in file.never_entered),
            *((item.line, item.text, "never true") for item in file.never_true),
            *((item.line, item.text, "never false") for item in file.never_false),
        ]
    )
    listed = _list(
        f'<a href="#{anchor}l{line}">line {line}</a>: <code>{visible(words)}</code> {why}'
        for line, words, why in notes
    )
    return (
        f'<section><h2 id="{anchor}">{visible(file.file)} '
        f"<small>{file.percent:.1f} % of {file.lines} lines</small></h2>\n{listed}"
        f'<pre tabindex="0" role="region" aria-labelledby="{anchor}">'
        f"{''.join(source(file, text, anchor))}</pre></section>\n"
    )


def _list(items: Iterable[str]) -> str:
    found = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{found}</ul>\n" if found else ""
