"""From a line of the host to the line that answers it: the loop that an agent is.

Every failure becomes an answer with a code; the agent goes on with the next request. Only what breaks the
framing, and the host's leaving, ends it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from .context import Context
from .errors import AgentError, StoppedError, from_os_error
from .lease import theft
from .meter_post import MeterPost
from .protocol import PROTOCOL, Channel, FramingError, bad_request
from .requests import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layout import WorkDir
    from .requests import Answer

_SIGN_OF_LIFE_S = 5.0


def serve(channel: Channel, work: WorkDir, agent: str) -> None:
    """Greet the host, then answer its requests until it says goodbye or closes the stream.

    Raises:
        StoppedError: The host is gone in the middle of a request, or a signal came.
    """
    channel.send(hello(work, agent))
    with MeterPost() as meter:
        _converse(channel, work, agent, meter)


def _converse(channel: Channel, work: WorkDir, agent: str, meter: MeterPost) -> None:
    while True:
        try:
            request = channel.read_line()
        except FramingError as err:
            channel.send(_error(None, err.answer))
            return
        if request is None:
            return
        try:
            _respond(Context(work, channel, agent, request, meter))
        except FramingError as err:
            channel.send(_error(request.get("id"), err.answer))
            return
        except StoppedError:
            if stolen := theft(work, os.getpid()):  # the host shall know who has ended its work, and why
                channel.send(_error(request.get("id"), stolen))
            raise
        if request.get("type") == "bye":
            return


def hello(work: WorkDir, agent: str) -> Answer:
    """Return the agent's first line."""
    return {
        "type": "hello",
        "protocol": PROTOCOL,
        "agent": agent,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "machine": os.uname().machine,
        "pid": os.getpid(),
        "work_dir": str(work.root),
    }


def _respond(context: Context) -> None:
    with _sign_of_life(context):
        answer = _answer(context)
    body = answer.pop("body", None)
    with body or contextlib.nullcontext():
        context.channel.send(answer)
        if body:
            context.channel.send_file(body)


def _answer(context: Context) -> Answer:
    number, kind = context.request.get("id"), context.request.get("type")
    try:
        if type(number) is not int or not isinstance(kind, str) or kind not in REQUESTS:
            message = f"There is no request {kind!r:.60} with id {number!r:.20}."
            raise bad_request(message)
        return {"id": number, "type": "result", **REQUESTS[kind](context)}
    except AgentError as err:
        return _error(number, err)
    except OSError as err:
        return _error(number, from_os_error(err))
    except FramingError:
        raise
    except Exception as err:
        traceback.print_exc()
        last = traceback.format_exception_only(type(err), err)[-1].strip()
        frame = traceback.extract_tb(err.__traceback__)[-1]
        message = f"The agent failed: {last} ({os.path.basename(frame.filename)}:{frame.lineno})."
        return _error(number, AgentError("internal", message, "This is a bug in edgepack; please report it."))


def _error(number: Any, err: AgentError) -> Answer:
    return {"id": number, "type": "error", "code": err.code, "message": err.message, "remedy": err.remedy}


@contextlib.contextmanager
def _sign_of_life(context: Context) -> Iterator[None]:
    """Repeat the last progress every few seconds: a slow device must not look like a dead link."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(_SIGN_OF_LIFE_S):
            try:
                if context.last_progress and not done.is_set():
                    context.channel.send(context.last_progress)
            except StoppedError:
                return

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
