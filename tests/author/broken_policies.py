"""Policies with one fault each. The comment `# <--` marks the line that a finding must name.

Those of a group are checked together, each in a file of its own, because a fault of one group ends
the check before it comes to the next one.
"""

from dataclasses import dataclass

MARK = "# <--"
HEAD = "violation contains"
_RULE = """# METADATA
# title: A rule with a fault
# description: Denies what is not fine.
# custom:
#   code: {code}
#   severity: low
package shop.deny

import rego.v1
{imports}
violation contains {{
	"code": "{code}",
	"severity": "low",
	"reason": "it is not fine",
	"retry_guidance": "none",
}} if {{
	not fine_{name}
}}

fine_{name} if {{
{body}
}}
{more}"""


@dataclass(frozen=True)
class Fault:
    """A policy's text, the words of the one finding about it, and what stands in its line first.

    `declared` tells whether the manifest declares its code.
    """

    name: str
    text: str
    words: str
    mark: str = MARK
    declared: bool = True

    @property
    def file(self) -> str:
        return f"shop/deny/{self.name}.rego"

    @property
    def code(self) -> str:
        return self.name.upper()

    @property
    def line(self) -> int:
        return self.text[: self.text.index(self.mark)].count("\n") + 1


def body(name: str, text: str, words: str, imports: str = "", more: str = "") -> Fault:
    """A deny rule with its fault in the condition of its helper, or in what comes `more`."""
    lines = "\n".join(f"\t{line}" for line in text.split("\n"))
    parts = {"body": lines, "imports": f"\n{imports}\n" if imports else "", "more": more}
    return Fault(name, _RULE.format(name=name, code=name.upper(), **parts), words)


def rule(name: str, old: str, new: str, words: str, mark: str, *, declared: bool = True) -> Fault:
    """A sound deny rule with a text of it replaced."""
    sound = body(name, 'input.tool_name == "buy"', "").text
    assert old in sound
    return Fault(name, sound.replace(old, new), words, mark, declared)


SOURCE = [
    body("escape_u", r'input.tool_name == "\u0062uy" # <--', "the escape \\u in a string"),
    body("escape_slash", r'input.call_args.path == "a\/b" # <--', "the escape \\/ in a string"),
    body("nul_character", 'input.tool_name == "b\0uy" # <--', "contains a NUL character"),
    body("lone_cr", 'input.tool_name == "buy"\r # <--', "a line ends with CR alone"),
    Fault("byte_order_mark", "\ufeff# <--\npackage shop.deny\n", "begins with a byte order mark"),
    Fault(
        "last_comment",
        "package shop.deny\n\nx_last_comment := 1\n# <-- no end of line",
        "the file ends inside of a comment",
    ),
    body(
        "too_deep", f"input.call_args.x == {'[' * 60}1{']' * 60} # <--", "brackets inside of more"
    ),
]

PARSE = [
    body("syntax", "x := := 1 # <--", "Invalid assignment operator"),
    body(
        "brace", 'input.tool_name == "buy"\n}\nx_brace if {\n(1 == 1\n} # <--', "cannot close the ("
    ),
    body("brace_too_many", 'input.tool_name == "buy"', "} closes nothing", more="} # <--\n"),
    body(
        "brace_open",
        'input.tool_name == "buy"',
        "{ is never closed",
        more="\nopened if { # <--\n\t1 == 1\n\nshut if 1 == 1\n",
    ),
    body("empty", 'input.tool_name == "buy"', "an empty body", more="\nempty_one if {} # <--\n"),
    body("open_string", 'input.tool_name == "buy # <--', "a string is not closed on its line"),
    body("computed_head", "count([x + 1 | some x in [1]]) == 1 # <--", "Invalid collection"),
    body("pairs", "count({k | some k, v in {1: 2}}) == 1 # <--", "Invalid collection"),
    body("stray", "input.tool_name $ 1 # <--", "'$' has no place in Rego"),
    Fault("no_package", "x_no_package := 1 # <--\n", "does not begin with a package"),
    body(
        "old_body",
        "old_style",
        "a rule's body without `if`",
        more='\nold_style { # <--\n\tinput.tool_name == "buy"\n}\n',
    ),
    body(
        "bad_import",
        'input.tool_name == "buy"',
        "only paths below data and input can be imported",
        imports="import shop.config # <--",
    ),
    body("override", 'data.shop.tool_open with input as {"a": 1} # <--', "`with` in a rule"),
    body(
        "shadow",
        'some taken # <--\ninput.claims.allowed_tools[taken] == "buy"',
        "the variable taken has the name of a rule",
        more='\ntaken := "buy"\n',
    ),
    body(
        "two_defaults",
        "twice_default",
        "shop.deny.twice_default has a default already",
        more="\ndefault twice_default := false\n\ndefault twice_default := true # <--\n",
    ),
    body(
        "like_import",
        "config",
        "config is imported here and is a rule",
        imports="import data.shop.config",
        more="\nconfig if input.call_args.x == 1 # <--\n",
    ),
    body(
        "hidden_input",
        'input := {"tool_name": "buy"} # <--\ninput.tool_name == "buy"',
        "input is given a value of its own",
    ),
    body(
        "mixed_kinds",
        "count(mixed) == 1",
        "mixed is a value here and a set",
        more='\nmixed contains "a" if input.call_args.x == 1\n\nmixed := {"b"} # <--\n',
    ),
    body(
        "two_values",
        "constant == 1",
        "constant has another value already",
        more="\nconstant := 1\n\nconstant := 2 # <--\n",
    ),
]

TOGETHER = [
    body("unknown_function", "is_opne(input.tool_name) # <--", "there is no function"),
    body(
        "unknown_helper",
        "shop.opened(input.tool_name) # <--",
        "there is no ",
        imports="import data.shop",
    ),
    body(
        "arity",
        "one_tool(input.tool_name, 1, 2) # <--",
        "takes 1 arguments, here are ",
        more='\none_tool(name) if name == "buy"\n',
    ),
    body("unbound", "input.tool_name == nmae # <--", "nmae is never given a value"),
    body(
        "early",
        'name == "buy" # <--\nname := input.tool_name',
        "a variable is used before the line that gives it a value",
    ),
    body(
        "recursion",
        "round_a",
        "the rule depends on itself",
        more="\nround_a if round_b # <--\n\nround_b if round_a\n",
    ),
    body("unknown_input", 'input.tool == "buy" # <--', "there is no input.tool"),
    body(
        "unknown_claim",
        "input.tool_name in input.claims.allowed_tool # <--",
        "there is no input.claims.allowed_tool",
    ),
    body("unknown_data", "input.tool_name in data.shop.config.tols # <--", "there is no data.shop"),
    body(
        "replaced",
        "replaced_rule == 5",
        "data.json holds a value at data.shop.deny.replaced_rule",
        more="\nreplaced_rule := 5 # <--\n",
    ),
    body("maximum", "max(input.call_args.xs) == 9 # <--", "the built-in max may not be used"),
    body(
        "number_of_text",
        "to_number(input.call_args.x) == 9 # <--",
        "the built-in to_number may not be used",
    ),
    body(
        "regular_expression",
        'regex.match("^b", input.tool_name) # <--',
        "the built-in regex.match may not be used",
    ),
    body("lower_case", 'lower(input.tool_name) == "buy" # <--', "the built-in lower may not be"),
    body(
        "splitting", 'split(input.tool_name, "_")[0] == "buy" # <--', "the built-in split may not"
    ),
    body("clock", "time.now_ns() > 5 # <--", "the built-in time.now_ns may not be used"),
    body("network", 'http.send({"url": "x"}).status_code == 200 # <--', "the built-in http.send"),
    body(
        "open_search",
        "startswith(input.tool_name, input.claims.role) # <--",
        "startswith looks for something else than a literal",
    ),
    body(
        "set_of_texts",
        'concat(",", {x | some x in input.claims.allowed_tools}) == "buy" # <--',
        "concat is given what may not be an array",
    ),
    body(
        "joined_text",
        'sprintf("%s", [concat(",", ["a"])]) == "a" # <--',
        "sprintf shows what concat made",
    ),
    body("verb", 'sprintf("%x", [5]) == "5" # <--', "here is %x"),
    body("verbs", 'sprintf("%v %v", [5]) == "5" # <--', "the format has 2 verbs for 1 values"),
    body("verb_kind", 'sprintf("%d", [input.tool_name]) == "5" # <--', "%d is given"),
    body("total", "sum(input.call_args.xs) < 5 # <--", "sum is given what is not known"),
    body("length", "count(input.call_args.name) < 5 # <--", "count is given what may be a string"),
    body(
        "text_order", "input.call_args.amount < 50000 # <--", "an operand of < is not known to be"
    ),
    body(
        "negation",
        'not input.call_args.env == "prod" # <--',
        "a negated comparison is true where the value is missing",
    ),
    body(
        "kinds",
        'input.claims.delegation_depth_remaining == "1" # <--',
        "input.claims.delegation_depth_remaining never equals",
    ),
    body("not_listed", 'input.action == "invoke" # <--', 'input.action is never "invoke"'),
    body("beyond", "input.now.hour > 23 # <--", "input.now.hour is never > 23"),
    body("no_list", "input.claims.role in input.claims.sub # <--", "has no elements"),
    body(
        "rounded",
        "is_number(input.call_args.x)\nfloor(input.call_args.x) < 5 # <--",
        "floor of a large number is wrong",
    ),
    body(
        "large_literal",
        "input.tool_name in {" + ", ".join(f'"t{n}"' for n in range(201)) + "} # <--",
        "a literal of 201 elements",
    ),
    rule("no_reason", '\t"reason": "it is not fine",\n', "", "the violation has no reason", HEAD),
    rule(
        "undeclared", "UNDECLARED", "UNDECLRED", "does not declare UNDECLRED", HEAD, declared=False
    ),
    rule("severe", "low", "high", "the severity of SEVERE is high here and low in", HEAD),
    rule("guidance", '"none"', '"retry"', "retry_guidance must be one of", HEAD),
    rule("waiting", '"none"', '"wait"', 'retry_guidance "wait" and the field', HEAD),
    body(
        "stranger",
        'input.tool_name == "buy"',
        "what is added to the violations here is a string",
        more='\nviolation contains "no object" if not fine_stranger # <--\n',
    ),
    Fault(
        "unheard",
        _RULE.format(name="x", code="UNHEARD", imports="", body="", more="")
        .replace("package shop.deny", "package shop.dney")
        .replace("not fine_x", 'input.tool_name == "sell"')
        .partition("fine_x")[0],
        "data.shop.dney.violation makes violations that",
        HEAD,
        declared=False,
    ),
    rule("no_metadata", "# METADATA\n", "", "a rule that denies has no METADATA", HEAD),
    rule(
        "no_title", "# title: A rule with a fault\n", "", "the METADATA has no title", "# METADATA"
    ),
    rule("empty_title", "A rule with a fault", "", "the METADATA has no title", "# title"),
    rule(
        "no_description", "# description: Denies what is not fine.\n", "", "no desc", "# METADATA"
    ),
    rule("other_code", "#   code: OTHER", "#   code: OTHR", "METADATA says code OTHR", "#   code"),
    rule("other_severity", "#   severity: low", "#   severity: high", "severity high", "#   sev"),
    rule("no_severity", "#   severity: low\n", "", "has no custom.severity", "# METADATA"),
    rule("bad_yaml", "# description:", "# - description:", "METADATA cannot be read", "# - desc"),
    body(
        "idle_import",
        'input.tool_name == "buy"',
        "shop is imported and not used",
        imports="import data.shop # <--",
    ),
    body(
        "idle_helper",
        'input.tool_name == "buy"',
        "data.shop.deny.forgotten is used by nothing",
        more='\nforgotten if input.tool_name == "sell" # <--\n',
    ),
    body(
        "any_differs",
        'some tool in ["buy", "sell"]\ninput.tool_name != tool # <--',
        "this holds for every value",
    ),
    body("matcher", 'input.matches.nobody == "yes" # <--', "nobody"),
]

COMPILE = [
    body(
        "wildcard",
        'endswith(input.call_args.files[_], ".pdf") # <--',
        "the engine does not take [_] inside of a call",
    ),
    body(
        "wildcards",
        "input.call_args.ys[_] == 1\ninput.call_args.x == [1, input.call_args.xs[_].y] # <--",
        "the engine does not take [_] inside of a call",
    ),
]
