"""An example of an explained decision."""

from typing import Any, Final

EXPLAINED_ID: Final = "019dd91c-3e7b-7b1c-9c2e-5a7d0c9e4f12"
_FILE: Final = "scopebound/deny/data_limit_exceeded.rego"
_LIMIT: Final = {
    "path": "input.call_args.limit",
    "state": "known",
    "value": 5000,
    "whole": True,
}
_MOST: Final = {
    "path": "input.claims.data_scope.max_rows",
    "state": "known",
    "value": 1000,
    "whole": True,
}
EXPLANATION: Final[dict[str, Any]] = {
    "decision_id": EXPLAINED_ID,
    "decision": "deny",
    "violations": [
        {
            "code": "DATA_LIMIT_EXCEEDED",
            "severity": "high",
            "reason": "limit is 5000; a whole number from 1 to 1000 is allowed",
            "retry_guidance": "change_args",
        }
    ],
    "fired": [
        {
            "code": "DATA_LIMIT_EXCEEDED",
            "file": _FILE,
            "line": 15,
            "source": ["violation contains {", "…", "} if {", "\tnot rows_allowed", "}"],
            "conditions": [
                {
                    "file": _FILE,
                    "line": 22,
                    "column": 2,
                    "text": "not rows_allowed",
                    "state": "held",
                    "values": [],
                    "because": [
                        {
                            "file": _FILE,
                            "line": 34,
                            "column": 2,
                            "text": "limit <= most",
                            "state": "failed",
                            "values": [_LIMIT, _MOST],
                            "because": [],
                        }
                    ],
                }
            ],
            "facts": [_LIMIT, _MOST],
        }
    ],
    "nearly": [],
    "counterfactual": {
        "smallest": {
            "changes": [
                {
                    "kind": "argument",
                    "target": "call_args.limit",
                    "before": 5000,
                    "after": 1000,
                    "says": "set call_args.limit to 1000 (it is 5000)",
                    "adds": False,
                    "removes": False,
                    "assumes": "",
                }
            ],
            "call": {
                "tool_name": "read_invoices",
                "call_args": {"limit": 1000},
                "mcp_server": None,
            },
        },
        "by_role": None,
        "evaluations": 9,
        "complete": True,
        "unlike": "",
    },
}
