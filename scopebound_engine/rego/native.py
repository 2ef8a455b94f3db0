"""The C functions of the Rego engine that evaluation calls, with exact types.

regopy's own wrappers copy every argument, and raise nothing where the C function returns NULL
(they compare with 0, ctypes gives None). These are the same functions of the same library, bound
through PyDLL: it keeps the interpreter lock, which costs nothing where a process has one thread,
and every process that loads this module is such a child.

Handles are addresses (int), None for NULL. A handle that is made here is freed by its `free_…`.
"""

import ctypes
import resource
from pathlib import Path
from typing import Any, Final

from regopy.rego_shared import NodeKind, path

_library = ctypes.PyDLL(path)

_HANDLE: Final = ctypes.c_void_p
_CODE: Final = ctypes.c_uint32
_COUNT: Final = ctypes.c_uint32


def _function(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)((name, _library))


# Input: a stack machine. Values are pushed; an item takes two, an object or array takes `count`.
# Each returns a code, 0 for success; `set_input` does not notice that a push before it failed.
new_input = _function("regoNewInput", _HANDLE)
free_input = _function("regoFreeInput", None, _HANDLE)
push_int = _function("regoInputInt", _CODE, _HANDLE, ctypes.c_int64)
push_float = _function("regoInputFloat", _CODE, _HANDLE, ctypes.c_double)
push_string = _function("regoInputString", _CODE, _HANDLE, ctypes.c_char_p)
push_bool = _function("regoInputBoolean", _CODE, _HANDLE, ctypes.c_bool)
push_null = _function("regoInputNull", _CODE, _HANDLE)
push_item = _function("regoInputObjectItem", _CODE, _HANDLE)
push_object = _function("regoInputObject", _CODE, _HANDLE, _COUNT)
push_array = _function("regoInputArray", _CODE, _HANDLE, _COUNT)
set_input = _function("regoSetInput", _CODE, _HANDLE, _HANDLE)
set_input_term = _function("regoSetInputTerm", _CODE, _HANDLE, ctypes.c_char_p)

# Query: (interpreter, bundle, entrypoint) -> output.
query = _function("regoBundleQueryEntrypoint", _HANDLE, _HANDLE, _HANDLE, ctypes.c_char_p)
output_node = _function("regoOutputNode", _HANDLE, _HANDLE)
free_output = _function("regoFreeOutput", None, _HANDLE)
bundle_node = _function("regoBundleNode", _HANDLE, _HANDLE)
_output_size = _function("regoOutputJSONSize", _COUNT, _HANDLE)
_output_text = _function("regoOutputJSON", _CODE, _HANDLE, ctypes.c_char_p, _COUNT)

# Nodes belong to the output or bundle they come from.
node_kind = _function("regoNodeType", ctypes.c_uint32, _HANDLE)
node_size = _function("regoNodeSize", _COUNT, _HANDLE)
node_child = _function("regoNodeGet", _HANDLE, _HANDLE, _COUNT)
_node_value_size = _function("regoNodeValueSize", _COUNT, _HANDLE)
_node_value = _function("regoNodeValue", _CODE, _HANDLE, ctypes.c_char_p, _COUNT)

# Kinds as plain integers: comparing members of an IntEnum costs more than the call itself.
RESULTS: Final = int(NodeKind.Results)
RESULT: Final = int(NodeKind.Result)
TERMS: Final = int(NodeKind.Terms)
BINDINGS: Final = int(NodeKind.Bindings)
OBJECT: Final = int(NodeKind.Object)
OBJECT_ITEM: Final = int(NodeKind.ObjectItem)
ARRAY: Final = int(NodeKind.Array)
SET: Final = int(NodeKind.Set)
STRING: Final = int(NodeKind.String)
INT: Final = int(NodeKind.Int)
FLOAT: Final = int(NodeKind.Float)
TRUE: Final = int(NodeKind.True_)
FALSE: Final = int(NodeKind.False_)
NULL: Final = int(NodeKind.Null)
UNDEFINED: Final = int(NodeKind.Undefined)
ERROR: Final = int(NodeKind.Error)
ERROR_MESSAGE: Final = int(NodeKind.ErrorMessage)
ERROR_CODE: Final = int(NodeKind.ErrorCode)
ERROR_SEQUENCE: Final = int(NodeKind.ErrorSeq)


def limit_memory(more_bytes: int) -> None:
    """Lets this process have so many bytes of address space beyond what it has now.

    Not an absolute limit, because the engine's allocator (snmalloc) reserves 256 GiB for its page
    map when the library is loaded, and under a limit set before that it cannot be loaded at all.
    """
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def node_children(node: int) -> list[int]:
    """The handles of a node's children."""
    return [node_child(node, index) for index in range(node_size(node))]


def node_value(node: int) -> bytes:
    """The text of a leaf; of a string its JSON-escaped body, without the quotes."""
    return _read(_node_value_size, _node_value, node)


def output_text(output: int) -> bytes:
    """The result as the engine prints it, which is not reliably JSON."""
    return _read(_output_size, _output_text, output)


def _read(size_of: Any, copy: Any, handle: int) -> bytes:
    size = size_of(handle)
    buffer = ctypes.create_string_buffer(size)
    if copy(handle, buffer, size):
        raise MemoryError("the Rego engine could not copy a text out")
    # The size counts the terminating NUL.
    return buffer.raw[: size - 1]
