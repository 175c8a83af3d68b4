"""The node: what every process of tradeproc is built on. One thread, one poll loop, no locks.

It publishes, listens, asks and answers, runs timers and watches sockets. Everything runs on the loop's thread, so
a handler that blocks blocks the process and silences its heartbeat; other threads talk to it with `post` only.
"""

import gc
import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar, overload

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import ask, question
from tradeproc.bus.codec import Body, Envelope
from tradeproc.bus.curve import Admission
from tradeproc.bus.loop import Action, Loop
from tradeproc.bus.name_lock import NameLock
from tradeproc.bus.publisher import Publisher
from tradeproc.bus.requests import Answered, NoAnswer, OnReply, Reply, Requests, RequestWasRefused
from tradeproc.bus.serving import Deferred, Handler, RequestServer, TimedHandler, TypedHandler, typed
from tradeproc.bus.sockets import PARTING_MS, Socket, bind_publisher, bind_server, new_context
from tradeproc.bus.subscriptions import OnMessage, OnResync, Subscriptions
from tradeproc.bus.timers import Timer
from tradeproc.bus.vitals import STATES, Vitals
from tradeproc.clock import SECOND, StepWatch, monotonic_ns
from tradeproc.errors import EXIT_FAULT, Refusal
from tradeproc.protocol.definitions import SNAPSHOT, FollowedTopic, Method, NoBody, Topic
from tradeproc.protocol.process_messages import HEARTBEAT, PING, STATUS, ProcessState, Status

__all__ = ["Answered", "Deferred", "NoAnswer", "Node", "Reply", "RequestWasRefused"]

log = logging.getLogger(__name__)

B = TypeVar("B")
S = TypeVar("S")
Q = TypeVar("Q")
A = TypeVar("A")

SnapshotSource = Callable[[str], Any]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class NoSnapshot(Refusal):
    """A snapshot of a topic that has none here; answered as refused."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"no snapshot of topic {topic!r} here")


class Node:
    """One process on the bus; made and run in one thread."""

    def __init__(
        self, process: str, directory: Directory, *, heartbeat_seconds: float = 1.0, patience: float = 3.0
    ) -> None:
        """Take the name and bind its sockets.

        Args:
            process: our name, `<group>.<name>`.
            directory: where everybody is.
            heartbeat_seconds: how often we say that we live.
            patience: how long to wait for a predecessor of the same name that is about to end, in seconds.

        Raises:
            NameTaken: another living process has the name.
            CannotBind: an address cannot be had.
        """
        self.name = process
        self.exit_status = 0
        self.directory = directory
        self._counts: Counter[str] = Counter()
        self._name_lock = NameLock(directory.path(process, "lock"), patience)
        self._loop = Loop()
        self._context = new_context()
        self._bound: list[Socket] = []
        self._on_stop: list[Action] = []
        self._snapshots: dict[str, SnapshotSource] = {}
        self._vitals = Vitals(process)
        self._steps = StepWatch()
        self._vitals.add_source(lambda: {"bus": {"asking": len(self._requests), **self._counts}})
        self._subscriptions = Subscriptions(self._loop, self._context, directory, self._counts)
        self._requests = Requests(self._loop, self._context, directory, self._counts)
        try:
            self._bind()
        except BaseException:
            self.close()
            raise
        self._loop.every(heartbeat_seconds, self._beat_and_forget)

    def _bind(self) -> None:
        listener = self.directory.listeners.get(self.name)
        if listener is not None:
            # before the sockets it guards: without it ZeroMQ would let every key in
            admission = Admission(self._context, listener.admitted)
            self._loop.add(admission.socket, admission.answer)
            self._vitals.add_source(lambda: {"refused_keys": admission.refused})
        publishing = bind_publisher(self._context, self.directory, self.name)
        self._publisher = Publisher(publishing, self._beat)
        self._loop.add(publishing, self._publisher.read)
        serving = bind_server(self._context, self.directory, self.name)
        self._server = RequestServer(self._loop, serving, self._counts)
        self._loop.add(serving, self._server.read)
        self._bound += [publishing, serving]
        self.handle(PING, lambda _: NoBody())
        self.handle(STATUS, lambda _: self._status())
        self.handle(SNAPSHOT, self._snapshot)

    @property
    def epoch(self) -> int:
        """The number of our present life; a new one makes subscribers ask for everything again."""
        return self._publisher.epoch

    # --- publish and listen ---------------------------------------------------------------------------------------

    @overload
    def publish(self, topic: Topic[B], body: B) -> None: ...

    @overload
    def publish(self, topic: str, body: Body) -> None: ...

    def publish(self, topic: Topic[Any] | str, body: Any) -> None:
        """Send to all who listen now; never blocks.

        A subscriber that is too slow loses messages, and sees the gap in their numbers.

        Raises:
            Unencodable: something in the body cannot be written.
        """
        if isinstance(topic, str):
            self._publisher.publish(topic, body)
        else:
            self._publisher.publish(topic.name, topic.codec.write(body))

    def renew_epoch(self) -> None:
        """Tell all subscribers to ask for everything again, as after a feed's reconnect."""
        self._publisher.renew_epoch()
        self._beat()

    @overload
    def snapshot(self, topic: FollowedTopic[Any, S], source: Callable[[], S]) -> None: ...

    @overload
    def snapshot(self, topic: str, source: SnapshotSource) -> None: ...

    def snapshot(self, topic: FollowedTopic[Any, Any] | str, source: Callable[..., Any]) -> None:
        """Answer `snapshot` questions about a topic.

        Where several prefixes are served, the longest that fits answers.

        The answer also carries `epoch` and `sequences`, so that the asker can tell older messages from newer.
        """
        if isinstance(topic, str):
            self._snapshots[topic] = source
        else:
            write = topic.snapshot_codec.plain
            self._snapshots[topic.name] = lambda _topic: write(source())

    @overload
    def subscribe(
        self,
        process: str,
        topic: Topic[B],
        on_message: Callable[[Envelope[B]], None],
        on_resync: OnResync | None = None,
    ) -> None: ...

    @overload
    def subscribe(
        self,
        process: str,
        topic: str,
        on_message: Callable[[Envelope[Body]], None],
        on_resync: OnResync | None = None,
    ) -> None: ...

    def subscribe(
        self, process: str, topic: Topic[Any] | str, on_message: OnMessage, on_resync: OnResync | None = None
    ) -> None:
        """Listen to a topic of `process`, from now on and over its restarts; a plain name stands for all it begins.

        `on_resync` gets "start" at first contact, "gap" after a loss, "epoch" when the publisher began anew; what
        was known is then stale. `follow.Follow` does all that. A `Refusal` of `on_message` is counted and logged.
        """
        if isinstance(topic, str):
            self._subscriptions.subscribe(process, topic, on_message, on_resync)
        else:
            self._subscriptions.subscribe(process, topic.name, on_message, on_resync, topic.codec)

    def unsubscribe(self, process: str, topic: Topic[Any] | str) -> None:
        """Stop all listening of ours to that topic of `process`."""
        self._subscriptions.unsubscribe(process, topic if isinstance(topic, str) else topic.name)

    def silent_for(self, process: str) -> float:
        """Return for how many seconds nothing, not even a heartbeat, was heard of `process`; infinite if never."""
        heard_at = self._subscriptions.heard_at(process)
        return float("inf") if heard_at is None else (monotonic_ns() - heard_at) / SECOND

    # --- ask and answer -------------------------------------------------------------------------------------------

    @overload
    def handle(self, method: Method[Q, A], handler: TypedHandler[Q, A]) -> None: ...

    @overload
    def handle(self, method: str, handler: Handler) -> None: ...

    def handle(self, method: Method[Any, Any] | str, handler: Callable[[Any], Any]) -> None:
        """Serve a method: return the answer or a `Deferred`, or raise a `Refusal`.

        A question that does not fit the method is refused by itself.
        """
        if isinstance(method, str):
            self._server.handle(method, handler)
        else:
            self._server.handle(method.name, typed(method, lambda question, _seconds: handler(question)))

    def handle_timed(self, method: Method[Q, A], handler: TimedHandler[Q, A]) -> None:
        """Serve a method whose handler is also told for how many seconds the asker still waits."""
        self._server.handle(method.name, typed(method, handler))

    @overload
    def request(
        self, process: str, method: Method[Q, A], params: Q, *, seconds: float, on_reply: OnReply[A]
    ) -> int: ...

    @overload
    def request(self, process: str, method: str, params: Body, *, seconds: float, on_reply: OnReply[Body]) -> int: ...

    def request(
        self, process: str, method: Method[Any, Any] | str, params: Any, *, seconds: float, on_reply: OnReply[Any]
    ) -> int:
        """Ask without waiting; `on_reply` is called exactly once, from the loop, never from within this call."""
        name, plain, seconds, codec = question(method, params, seconds)
        return self._requests.request(process, name, plain, seconds, on_reply, codec)

    @overload
    def call(self, process: str, method: Method[Q, A], params: Q, *, seconds: float) -> A: ...

    @overload
    def call(self, process: str, method: str, params: Body, *, seconds: float) -> Body: ...

    def call(self, process: str, method: Method[Any, Any] | str, params: Any, *, seconds: float) -> Any:
        """Ask and wait; meanwhile this process does nothing else, not even its heartbeat.

        Raises:
            NoReply: none that can be read came within `seconds`; whether it was done is not known.
            RequestRefused: the process said no.
        """
        return ask(self._context, self.directory, process, *question(method, params, seconds))

    # --- loop -----------------------------------------------------------------------------------------------------

    def every(self, seconds: float, action: Action) -> Timer:
        """Run `action` each `seconds`; a late one runs once, not once for each time it missed."""
        return self._loop.every(seconds, action)

    def after(self, seconds: float, action: Action) -> Timer:
        """Run `action` once, after `seconds`."""
        return self._loop.after(seconds, action)

    def add_socket(self, source: Any, on_readable: Action) -> None:
        """Call `on_readable` while `source` (ZeroMQ socket, file descriptor or file) has something to read."""
        self._loop.add(source, on_readable)

    def remove_socket(self, source: Any) -> None:
        """Stop watching; before closing it."""
        self._loop.remove(source)

    def post(self, action: Action) -> None:
        """Run `action` on the loop's thread soon; the one method for other threads, with `stop`."""
        self._loop.post(action)

    def run(self) -> None:
        """Turn until `stop`, SIGTERM or SIGINT, then end in order; an exception ends it at once and is raised."""
        previous = self._catch_signals()
        if previous:
            # What was loaded at the start lives as long as the process, so the garbage collector need not look at it
            # again: a full collection would stop the loop for that time.
            gc.collect()
            gc.freeze()
        try:
            self._beat()
            self._loop.run()
            self._part()
        finally:
            self.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def stop(self, code: int = 0) -> None:
        """Make `run` end in order; the highest code of several calls stays. From any thread."""
        self.exit_status = max(self.exit_status, code)
        self._loop.stop()

    def on_stop(self, action: Action) -> None:
        """Run `action` in an orderly end, while the bus still works; in the order of registration.

        One that fails does not keep the others from running; the exit status tells.
        """
        self._on_stop.append(action)

    def close(self) -> None:
        """Close sockets, remove their files and give the name back; idempotent, done by `run` itself."""
        self._subscriptions.close()
        self._requests.close()
        for socket in self._bound:
            socket.close(PARTING_MS)
        self._context.destroy(linger=0)
        self._loop.close()
        for suffix in ("pub", "rpc"):
            self.directory.path(self.name, suffix).unlink(missing_ok=True)
        self._name_lock.leave()

    # --- what we say about ourselves ------------------------------------------------------------------------------

    def set_state(self, state: ProcessState, detail: str = "") -> None:
        """Say how we are: starting, ready, degraded or stopping.

        Raises:
            ValueError: another word.
        """
        if state not in STATES:
            raise ValueError(f"state {state!r} is none of {', '.join(STATES)}")
        if (state, detail) != (self._vitals.state, self._vitals.detail):
            self._vitals.state, self._vitals.detail = state, detail
            self._beat()

    def note_event(self, market_at: int | None = None, sent_at: int | None = None) -> None:
        """Note that an event was handled; `sent_at` of the message that caused it gives our lag."""
        self._vitals.note_event(market_at, sent_at)

    def note_work(self) -> None:
        """Note that the work this process is there for was done once more.

        A process that keeps dying without any work is reported as failing.
        """
        self._vitals.note_work()

    def add_statistics(self, source: Callable[[], Body]) -> None:
        """Take the numbers of `source` into heartbeats and `status`."""
        self._vitals.add_source(source)

    def add_thread(self, name: str, is_stuck: Callable[[], bool]) -> None:
        """Let the process count as hung while one of its threads is stuck.

        `is_stuck` is asked with each heartbeat.
        """
        self._vitals.add_thread(name, is_stuck)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _status(self) -> Status:
        return self._vitals.status(self.epoch, self._loop.turns)

    def _beat(self) -> None:
        self._vitals.note_beat()
        self.publish(HEARTBEAT, self._vitals.heartbeat(self.epoch, self._loop.turns, self._publisher.sequences()))

    def _beat_and_forget(self) -> None:
        step = self._steps.step()
        if step:
            log.warning("clock_stepped process=%s seconds=%+.1f", self.name, step)
        self._beat()
        self._vitals.forget_lag()

    def _snapshot(self, params: Body) -> Body:
        topic = str(params["topic"])
        prefix = max((one for one in self._snapshots if topic.startswith(one)), key=len, default=None)
        if prefix is None:
            raise NoSnapshot(topic)
        body = self._snapshots[prefix](topic)
        return {**body, "epoch": self.epoch, "sequences": self._publisher.sequences(topic)}

    def _catch_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._on_signal) for number in _SIGNALS}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stop()

    def _part(self) -> None:
        log.info("stopping process=%s status=%d", self.name, self.exit_status)
        self._requests.abandon(f"{self.name}: is stopping")
        for action in self._on_stop:
            try:
                action()
            except Exception:
                log.exception("stop_failed process=%s", self.name)
                self.exit_status = max(self.exit_status, EXIT_FAULT)
        self.set_state("stopping")
