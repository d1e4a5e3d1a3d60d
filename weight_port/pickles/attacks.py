"""Names that a pickle of weights never has and an attack does: refused, whatever is beside them.

Any other unknown name becomes a ``Placeholder``, which is as harmless; a file that asks for one
of these was made to run something where another program reads it, and its user should hear so.
The kinds are those that scanners of pickles look for (picklescan, ``scanner.py``; fickling,
``fickle.py``): processes, code as text, imports, files, the network, and calls by a name.
"""

from __future__ import annotations

ASKS_FOR = "the pickle asks for"  # how a refusal by name begins
# Whole packages: nothing in them is data.
PACKAGES = frozenset(
    {
        *("os", "posix", "nt", "subprocess", "_posixsubprocess", "commands", "popen2", "pty"),
        *("multiprocessing", "asyncio", "signal", "sys", "shutil", "tempfile", "pip", "venv"),
        *("importlib", "imp", "runpy", "pkgutil", "zipimport", "code", "codeop", "ensurepip"),
        *("pdb", "bdb", "profile", "cProfile", "timeit", "trace", "doctest", "pydoc", "idlelib"),
        *("ctypes", "cffi", "webbrowser", "socket", "_socket", "socketserver", "ssl", "http"),
        *("urllib", "urllib2", "httplib", "requests", "ftplib", "smtplib", "telnetlib", "xmlrpc"),
        *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"),
    }
)
# Of the modules that also hold data: the names that run something.
NAMES: dict[str, frozenset[str]] = {
    "builtins": frozenset(
        {
            *("eval", "exec", "execfile", "compile", "open", "file", "input", "breakpoint"),
            *("__import__", "getattr", "setattr", "delattr", "apply", "globals", "locals", "vars"),
        }
    ),
    "io": frozenset({"open", "open_code", "FileIO"}),
    "codecs": frozenset({"open"}),
    "_codecs": frozenset({"decode", "lookup"}),
    "operator": frozenset({"attrgetter", "methodcaller"}),
    "functools": frozenset({"reduce"}),
    "types": frozenset({"FunctionType", "CodeType", "MethodType", "ModuleType"}),
    "logging.config": frozenset({"listen", "dictConfig", "fileConfig"}),
    "numpy": frozenset({"load", "loadtxt", "fromfile", "memmap", "save"}),
    "torch": frozenset({"load", "save"}),
    "torch.storage": frozenset({"_load_from_bytes"}),  # a torch.load inside the pickle
    "torch.serialization": frozenset({"load", "save"}),
    "torch.jit": frozenset({"load", "script", "trace"}),
    "paddle": frozenset({"load", "save"}),
}
# Parts of larger packages that start compilers, download or run code.
FOLDERS = (
    *("numpy.f2py", "numpy.testing", "numpy.distutils", "distutils", "setuptools"),
    *("torch.hub", "torch.utils.cpp_extension", "torch._inductor", "torch.distributed"),
    *("torch.utils._config_module", "torch.jit._script", "torch.jit._serialization"),
)
# The same modules under the names that Python 2 and C give them.
_ALIASES = {
    "__builtin__": "builtins",
    "__builtins__": "builtins",
    "_io": "io",
    "_operator": "operator",
}


def is_attack(module: str, name: str) -> bool:
    """Whether a pickle's global is one that runs something."""
    module = _ALIASES.get(module, module)
    parts = name.split(".")
    return (
        module.partition(".")[0] in PACKAGES
        or parts[0] in NAMES.get(module, ())
        or any(module == folder or module.startswith(f"{folder}.") for folder in FOLDERS)
        # Protocol 4 walks along dots: through a module that another imports, or to a class's own.
        or (len(parts) > 1 and any(_leads_out(part) for part in parts))
    )


def _leads_out(part: str) -> bool:
    return part.startswith("__") or part.strip("_") in PACKAGES
