"""Start a process of its own for whatever loads a runtime, and turn any way in which it ends into an answer.

A runtime is native code from elsewhere: it can crash, hang, print or use up the memory. None of that may
reach the agent or the job that waits.

The command line is

    python -I -S <agent.pyz> child      with a runtime that the agent has unpacked
    python -I    <agent.pyz> child      where the interpreter's site-packages count

The second form is for the system's runtime, and for one that was unpacked without NumPy: 32-bit Arm has no
wheel of it, only Debian's package.

The request goes in as one JSON object on stdin, the answer comes out as one on stdout. A child that answers
more than one request is a `Conversation`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import AgentError

if TYPE_CHECKING:
    from .runtimes import Runtime

# The agent's own file, or the folder that holds its package when it runs unpacked.
AGENT_PATH = Path(__file__).resolve().parent.parent


def agent_command(*arguments: str, system_site: bool = False) -> list[str]:
    """Return the command line of another process of this agent."""
    isolation = ["-I"] if system_site else ["-I", "-S"]
    return [sys.executable, *isolation, str(AGENT_PATH), *arguments]


def run_child(runtime: Runtime, request: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """Run one request in a process that has the runtime, and return its answer.

    Args:
        runtime: What the process loads.
        request: `op` and that operation's fields (`child.py`).
        timeout_s: After how many seconds the process is killed.

    Raises:
        AgentError: The child's own error, or `runtime_broken`: it crashed, hung, or answered with nonsense.
    """
    command = agent_command("child", system_site=runtime.system_site)
    order = order_for(runtime, request)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        try:
            out, err = child.communicate(json.dumps(order).encode(), timeout_s)
        except subprocess.TimeoutExpired:
            message = f"The runtime did not finish '{request['op']}' within {timeout_s:.0f} s."
            raise broken(message) from None
        finally:
            if child.poll() is None:
                child.kill()
    said = err.decode("utf-8", "replace")
    sys.stderr.write(said)
    try:
        if child.returncode < 0:
            raise ValueError
        answer = json.loads(out)
    except ValueError:
        last = said.strip().splitlines()[-1:]
        raise crashed(request["op"], child.returncode, *last) from None
    return answer_of(answer)


def order_for(runtime: Runtime, request: dict[str, Any]) -> dict[str, Any]:
    """Return a request together with what the process has to load."""
    return {**request, "kind": runtime.kind, "site": str(runtime.site) if runtime.site else None}


def answer_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the value of a child's answer.

    Raises:
        AgentError: The child's own error.
    """
    if answer["type"] == "error":
        raise AgentError(answer["code"], answer["message"], answer["remedy"])
    result: dict[str, Any] = answer["value"]
    return result


def crashed(operation: str, status: int, last_words: str = "") -> AgentError:
    """Return the failure of a child that ended without an answer.

    Args:
        operation: What it was doing.
        status: Its exit status; negative for a signal.
        last_words: The last line that it printed.
    """
    last = f" Its last words: {last_words[:300]}" if last_words else ""
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (often the kernel, out of memory)" if name == "SIGKILL" else ""
        return broken(f"The runtime crashed with {name}{hint} during '{operation}'.{last}")
    return broken(f"The runtime's process ended with {status} during '{operation}' and gave no answer.{last}")


def broken(message: str) -> AgentError:
    """Return the error `runtime_broken`."""
    remedy = (
        "Provision the device's runtime anew: `edgepack deploy --runtime provisioned`; check it for memory."
    )
    return AgentError("runtime_broken", message, remedy)
