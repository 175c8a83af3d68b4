"""Brings the steps of the order path into the processes of a desk; Python loads this file at the start of each.

A process whose kind is stepped through loads the listed modules with a call at each step. What the call does stands
in a file of the desk that is mapped into the process: nothing; note each step that is reached, and for which
operation; or kill, once, at one step. `control.py` is the other end of that file.
"""

import builtins
import importlib.machinery
import importlib.util
import marshal
import mmap
import os
import signal
import struct
import sys
from pathlib import Path
from types import CodeType, FrameType, ModuleType

_TESTS = Path(__file__).resolve().parents[1]
_OPERATIONS = {
    **dict.fromkeys(("Send", "PlaceOrder", "SubmitAnswered"), "submit"),
    **dict.fromkeys(("Modify", "ModifyOrder", "ModifyAnswered"), "modify"),
    **dict.fromkeys(("Cancel", "CancelOrder", "CancelAnswered"), "cancel"),
    **dict.fromkeys(("StreamedOrder", "BrokerOrder", "OrderUpdated"), "told"),
}
_WORDS = ("submit", "modify", "cancel")
# what a drill must not wait for: a restart that is put off, and the half minute after which an order never arrived
_SET = {
    "tradeproc.supervision.groups": ("_INTENSITY", "100000/60"),
    "tradeproc.engine.reconcile": ("GRACE", 4_000_000_000),
}


def _load(name: str) -> ModuleType:
    """Load a module of this folder by its file, because `tests` is no package of a desk."""
    spec = importlib.util.spec_from_file_location(f"steps_{name}", _TESTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Hook:
    """What happens at a step: the mapped cells hold the step to kill at, for what, and whom."""

    def __init__(self, file: Path, operations: tuple[str, ...]) -> None:
        self._map = mmap.mmap(os.open(file, os.O_RDWR), 0)
        self._cells = memoryview(self._map).cast("q")
        self._seen = os.open(file.with_suffix(".seen"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._operations = operations
        self._known: dict[int, int] = {}

    def __call__(self, step: int) -> None:
        """Note or kill, if this step or all are wanted."""
        wanted = self._cells[0]
        if wanted == step:
            self._kill()
        elif wanted == -1:
            self._note(step)

    def _kill(self) -> None:
        cells = self._cells
        if cells[1] >= 0 and self._operation(sys._getframe(2)) != cells[1]:
            return
        cells[2] -= 1
        if cells[2] >= 0:
            return
        cells[0], cells[4] = 0, 1
        os.kill(cells[3] or os.getpid(), signal.SIGKILL)

    def _note(self, step: int) -> None:
        """Write the step and its operation into the list of what was reached, until it was met often enough."""
        times = self._known.get(step, 0)
        if times < 300:
            self._known[step] = times + 1
            os.write(self._seen, struct.pack("<qq", step, self._operation(sys._getframe(2))))

    def _operation(self, frame: FrameType | None) -> int:
        """Return the number of the operation that a frame of the stack is about, 0 for none."""
        while frame is not None and frame.f_code.co_name != "<module>":
            for value in frame.f_locals.values():
                found = _operation_of(value)
                if found:
                    return self._operations.index(found)
            frame = frame.f_back
        return 0


def _operation_of(value: object) -> str:
    kind = type(value).__name__
    if kind == "str":
        return str(value) if value in _WORDS else ""
    if kind == "Persist":
        return "row" if getattr(value, "ticket", None) is None else "entry_row"
    if kind in ("Method", "Request", "_Pending"):
        method = getattr(value, "name" if kind == "Method" else "method", "")
        return method if method in _WORDS else ""
    return _OPERATIONS.get(kind, "")


class SteppedLoader(importlib.machinery.SourceFileLoader):
    """Loads a module with a call at each step, or with another value of a constant."""

    stepped: frozenset[str] = frozenset()
    cache = Path()

    def get_code(self, fullname: str) -> CodeType | None:
        """Compile the source with its hooks, or take what a process of this desk has compiled before."""
        if fullname not in self.stepped:
            return super().get_code(fullname)
        kept = self.cache / f"{fullname}.code"
        if not kept.exists():
            tree = _load("points").with_hooks(self.get_data(self.path).decode(), fullname)
            new = kept.with_suffix(f".{os.getpid()}")
            new.write_bytes(marshal.dumps(compile(tree, self.path, "exec", dont_inherit=True)))
            new.replace(kept)
        code: CodeType = marshal.loads(kept.read_bytes())
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then change what a drill must not wait for."""
        super().exec_module(module)
        if module.__name__ in _SET:
            name, value = _SET[module.__name__]
            assert hasattr(module, name), name
            setattr(module, name, value)


class Finder:
    """Finds the modules that are loaded in our way."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Return where a module lies, with our loader."""
        del target
        if name not in SteppedLoader.stepped and name not in _SET:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        if spec is not None and spec.origin is not None:
            spec.loader = SteppedLoader(name, spec.origin)
        return spec


def _begin() -> None:
    words = sys.orig_argv
    home = os.environ.get("TRADEPROC_HOME", "")
    if not home or "tradeproc.procs" not in words:
        return
    arguments = words[words.index("tradeproc.procs") + 1 :]
    order_path = _load("order_path")
    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
    file = Path(home) / "run" / "steps" / "-".join(arguments)
    stepped = order_path.STEPPED.get(arguments[0])
    if stepped is not None and file.exists():
        SteppedLoader.stepped, SteppedLoader.cache = frozenset(stepped), file.parent
        builtins.__step__ = Hook(file, order_path.OPERATIONS)  # type: ignore[attr-defined]


_begin()
