"""What a compiled module offers to Python, read from its source and from its interface, in the same form.

The engine's functions tell nothing of their parameters at run time, so the source (.pyx, and .pxd for attributes) is
read: its `def`, `cpdef`, `class`, `cdef public` and `cdef readonly` lines, and assignments at module level. It is no
parser of Cython; the tests see to it that it finds what the compiled module really has.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

BEGINS = ("__init__", "__cinit__")
INTEGERS = {"char", "short", "int", "long", "size_t", "ssize_t", "Py_ssize_t"} | {
    f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
NUMBERS = ("int", "bool", "float")

CLASS = re.compile(r"(?:cdef )?class (\w+)")
FUNCTION = re.compile(r"( *)(?:def|cpdef (?:inline )?(?:([\w*]+) )?)\s*(\w+)\(")
ATTRIBUTE = re.compile(r"    cdef (public|readonly) ([\w ]+?[ *])(\w+(?:, *\w+)*) *(?:#.*)?$")
VALUE = re.compile(r"([A-Za-z]\w*) *(?::[^=]+)?= *[^=]")
RENAMED = re.compile(r"(?:globals\(\)|\w+)\[\"(\w+)\"\] *= *(?:\w+\.pop\(\"(\w+)\"\)|(\w+))")


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str = ""
    """As an interface would say it; empty: the source does not say."""
    default: str | None = None
    by_name: bool = False
    """It has to be given by name, or (with a star) takes the rest."""


@dataclass(frozen=True)
class Function:
    parameters: tuple[Parameter, ...] = ()
    returns: str = ""
    static: bool = False


@dataclass(frozen=True)
class Attribute:
    type: str = ""
    writable: bool = True


@dataclass
class Members:
    functions: dict[str, Function] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    classes: dict[str, Members] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    """Names that an interface has for types; they do not exist at run time."""

    @property
    def names(self) -> set[str]:
        return {*self.functions, *self.attributes, *self.classes}


# -- the interface


def promised(text: str) -> Members:
    """What an interface (.pyi) says."""
    tree = ast.parse(text)
    found = _promised_members(tree.body)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.aliases[node.targets[0].id] = ast.unparse(node.value)
    return found


def _promised_members(body: list[ast.stmt]) -> Members:
    found = Members()
    for node in body:
        if isinstance(node, ast.ClassDef):
            found.classes[node.name] = _promised_members(node.body)
        elif isinstance(node, ast.AnnAssign):
            assert isinstance(node.target, ast.Name)
            found.attributes[node.target.id] = Attribute(ast.unparse(node.annotation))
        elif isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(each) for each in node.decorator_list}
            returns = ast.unparse(node.returns) if node.returns else ""
            if "property" in decorators:
                found.attributes[node.name] = Attribute(returns, writable=False)
            elif f"{node.name}.setter" in decorators:
                found.attributes[node.name] = Attribute(found.attributes[node.name].type)
            else:
                static = "staticmethod" in decorators
                found.functions[node.name] = Function(_promised_parameters(node.args, static), returns, static)
    return found


def _promised_parameters(args: ast.arguments, static: bool) -> tuple[Parameter, ...]:
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + [ast.unparse(each) for each in args.defaults]
    found = [Parameter(each.arg, _shown(each), default) for each, default in zip(plain, defaults, strict=True)]
    if found and found[0].name == "self" and not static:
        found = found[1:]
    if args.vararg:
        found.append(Parameter("*" + args.vararg.arg, _shown(args.vararg), None, True))
    for each, given in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append(Parameter(each.arg, _shown(each), ast.unparse(given) if given else None, True))
    return tuple(found)


def _shown(arg: ast.arg) -> str:
    return ast.unparse(arg.annotation) if arg.annotation else ""


# -- the source


def compiled(path: Path) -> Members:
    """What the source of a compiled module offers."""
    declarations = path.with_suffix(".pxd")
    return offered(path.read_text(), declarations.read_text() if declarations.exists() else "")


def offered(source: str, declarations: str = "") -> Members:
    """The same from the text of a .pyx and a .pxd file."""
    found = Members()
    _read(declarations, found, only_attributes=True)
    _read(source, found)
    for alias, of_class, plain in RENAMED.findall(source):
        original = of_class or plain
        for each in (found, *found.classes.values()):
            if original in each.functions:
                each.functions[alias] = each.functions.pop(original)
    return found


def imported(source: str) -> set[str]:
    """Names that a source has from elsewhere by Python's import."""
    found: set[str] = set()
    for line in re.findall(r"^(?:from [\w.]+ )?import (?:\([^)]*\)|.*)", source, re.MULTILINE):
        words = re.sub(r"^(?:from [\w.]+ )?import|[()]|#.*", "", line)
        found |= {part.split()[-1].split(".")[0] for part in words.replace("\n", " ").split(",") if part.strip()}
    return found


def _read(text: str, found: Members, only_attributes: bool = False) -> None:
    text = re.sub(r'"""[\s\S]*?"""', lambda docstring: "\n" * docstring[0].count("\n"), text)
    lines = text.split("\n")
    here, decorators = found, set[str]()
    for number, line in enumerate(lines):
        if line and not line.startswith((" ", ")", "#", "@")):
            here = found
            if of_class := CLASS.match(line):
                here = found.classes.setdefault(of_class[1], Members())
            elif (value := VALUE.match(line)) and not line.startswith(("cdef ", "ctypedef ", "DEF ")):
                found.attributes[value[1]] = Attribute()
        if line.strip().startswith("@"):
            decorators.add(line.strip()[1:])
        elif attribute := ATTRIBUTE.match(line):
            kind, type_name, names = attribute.groups()
            for name in names.replace(" ", "").split(","):
                here.attributes[name] = Attribute(_python_type(type_name), kind == "public")
        elif (function := FUNCTION.match(line)) and not only_attributes:
            indent, returns, name = function.groups()
            if len(indent) == (0 if here is found else 4):
                _read_function(here, "\n".join(lines[number:]), name, returns or "", decorators)
        if line.strip() and not line.strip().startswith("@"):
            decorators = set()


def _read_function(here: Members, text: str, name: str, returns: str, decorators: set[str]) -> None:
    start = text.index("(")
    end = _closing(text, start)
    told = re.match(r"\s*->\s*([^:]+):", text[end + 1 :])
    result = told[1].strip() if told else _python_type(returns) if returns else ""
    if "property" in decorators:
        here.attributes[name] = Attribute(result, writable=False)
    elif f"{name}.setter" in decorators:
        here.attributes[name] = Attribute(here.attributes[name].type)
    else:
        static = "staticmethod" in decorators
        here.functions[name] = Function(_parameters(text[start + 1 : end], static), result, static)


def _closing(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return at
    raise AssertionError(f"a parenthesis is not closed: {text[start : start + 80]!r}")


def _parameters(text: str, static: bool) -> tuple[Parameter, ...]:
    parts, depth, begun = [], 0, 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[begun:at])
            begun = at + 1
    parts.append(text[begun:])
    found, by_name = [], False
    for part in (each.strip() for each in parts):
        if part == "*":
            by_name = True
        elif part:
            found.append(_parameter(part, by_name))
            by_name = by_name or part.startswith("*")
    return tuple(found if static or not found or found[0].name != "self" else found[1:])


def _parameter(text: str, by_name: bool) -> Parameter:
    left, _, default = (part.strip() for part in text.partition("="))
    if ":" in left and "[" not in left:
        name, type_name = (part.strip() for part in left.split(":"))
        return Parameter(name, type_name, default or None, by_name)
    never_none = left.endswith(" not None")
    name = left.removesuffix(" not None").split()[-1]
    type_name = _python_type(left.removesuffix(" not None")[: -len(name)])
    if type_name and type_name not in NUMBERS and not never_none:
        type_name += " | None"
    return Parameter(name, type_name, default or None, by_name or name.startswith("*"))


def _python_type(text: str) -> str:
    """What an interface says for a type of C; empty where it is for the interface to say."""
    words = text.replace("const ", "").replace("unsigned ", "").split()
    if not words or words == ["object"] or "[" in text or "*" in text:
        return ""
    if set(words) <= INTEGERS:
        return "int"
    return {"bint": "bool", "double": "float", "float": "float", "void": "None"}.get(words[-1], words[-1])


# -- the two compared


def differences(interface: Members, source: Members, used: AbstractSet[str] = frozenset()) -> list[str]:
    """Where an interface and the source of its module do not say the same. `used` are the names that Python code takes
    from the module; of a class that is promised, everything has to be."""
    told = [f"{name} is not promised, and Python uses it" for name in sorted((used & source.names) - interface.names)]
    told += [f"{name} is promised, and does not exist" for name in sorted(interface.names - source.names)]
    for name in sorted(interface.names & source.names):
        told += _different(name, interface, source, interface.aliases)
    return told


def _different(name: str, interface: Members, source: Members, aliases: dict[str, str]) -> list[str]:
    if name in interface.classes and name in source.classes:
        return _different_classes(name, interface.classes[name], source.classes[name], aliases)
    if name in interface.functions and name in source.functions:
        return _different_functions(name, interface.functions[name], source.functions[name], aliases)
    if name in interface.attributes and name in source.attributes:
        mine, its = interface.attributes[name], source.attributes[name]
        # An attribute that holds an object may hold None.
        real = its.type if its.type in ("", *NUMBERS) else f"{its.type} | None"
        told = [] if agree(mine.type, real, aliases) else [f"{name} is promised as {mine.type}, and is {its.type}"]
        if mine.writable != its.writable:
            told.append(f"{name} is promised as {_access(mine)}, and is {_access(its)}")
        return told
    return [f"{name} is promised as something else than it is"]


def _access(attribute: Attribute) -> str:
    return "an attribute" if attribute.writable else "a property"


def _different_classes(name: str, mine: Members, its: Members, aliases: dict[str, str]) -> list[str]:
    told = []
    hidden = set(BEGINS) | {each for each in its.names if each.startswith("_") and not each.startswith("__")}
    hidden |= {"__dealloc__"}
    told += [f"{name}.{each} is not promised" for each in sorted(its.names - mine.names - hidden)]
    told += [f"{name}.{each} is promised, and does not exist" for each in sorted(mine.names - its.names - {"__init__"})]
    for each in sorted(mine.names & its.names - set(BEGINS)):
        told += [f"{name}.{text}" for text in _different(each, mine, its, aliases)]
    begins = [its.functions[each] for each in BEGINS if each in its.functions]
    promise = mine.functions.get("__init__", Function())
    if begins or "__init__" in mine.functions:
        told += _different_functions(f"{name}.__init__", promise, begins[0] if begins else Function(), aliases)
    return told


def _different_functions(name: str, mine: Function, its: Function, aliases: dict[str, str]) -> list[str]:
    if mine.static != its.static:
        return [f"{name} is a static method in one place only"]
    shape = [(each.name, each.by_name) for each in mine.parameters]
    real = [(each.name, each.by_name) for each in its.parameters]
    if shape != real:
        return [f"{name} is promised with {[each for each, _ in shape]}, and takes {[each for each, _ in real]}"]
    told = []
    for promise, parameter in zip(mine.parameters, its.parameters, strict=True):
        if not agree(promise.type, parameter.type, aliases):
            told.append(f"{name}: {promise.name} is promised as {promise.type}, and is {parameter.type}")
        if not _same_default(promise.default, parameter.default):
            told.append(f"{name}: {promise.name} is promised to be {_given(promise)}, and is {_given(parameter)}")
    if not name.endswith("__init__") and not agree(mine.returns, its.returns, aliases):
        told.append(f"{name} is promised to return {mine.returns}, and returns {its.returns}")
    return told


def _given(parameter: Parameter) -> str:
    return parameter.default or "without a default"


def _same_default(mine: str | None, its: str | None) -> bool:
    if mine is None or its is None:
        return mine is its
    try:
        value = ast.literal_eval(its)
    except ValueError:
        return mine == "..."
    if mine == "...":
        return isinstance(value, (int, tuple)) or value is None
    return type(ast.literal_eval(mine)) is type(value) and ast.literal_eval(mine) == value


def agree(mine: str, its: str, aliases: dict[str, str]) -> bool:
    """The interface may say more than the source: list[bytes] for list, Literal["a"] for str."""
    return not its or _simple(mine, aliases) <= _simple(its, aliases) | {"Any"}


def _simple(text: str, aliases: dict[str, str]) -> set[str]:
    """A type as the names of the classes that it allows."""
    found: set[str] = set()
    for part in _alternatives(ast.parse(text.strip(), mode="eval").body):
        if isinstance(part, ast.Subscript) and ast.unparse(part.value) == "Literal":
            values = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            found |= {type(ast.literal_eval(each)).__name__ for each in values}
        elif isinstance(part, ast.Subscript):
            found.add(ast.unparse(part.value))
        elif isinstance(part, ast.Name) and part.id in aliases:
            found |= _simple(aliases[part.id], aliases)
        else:
            found.add(ast.unparse(part))
    return found


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return _alternatives(node.left) + _alternatives(node.right)
    return [node]
