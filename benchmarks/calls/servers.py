"""Servers that answer every chat with the same words: nginx, or an event loop where it lacks.

To wait before it answers, nginx needs its echo module.
"""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ANSWER = "The averages are close, so one more look at the first may pay off.\n<Answer>red</Answer>"
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 180,
        "completion_tokens": 24,
        "total_tokens": 204,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}
LIMITS = {
    "x-request-id": "req_0123456789abcdef",
    "openai-version": "2020-10-01",
    "openai-processing-ms": "431",
    "x-ratelimit-limit-requests": "90000000",
    "x-ratelimit-remaining-requests": "89999999",
    "x-ratelimit-reset-requests": "1ms",
    "x-ratelimit-limit-tokens": "90000000000",
    "x-ratelimit-remaining-tokens": "89999999999",
    "x-ratelimit-reset-tokens": "1ms",
}
_NGINX = """
{load} daemon off; pid {folder}/pid; error_log stderr crit; worker_processes 1;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_max_body_size 8m; client_body_buffer_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=8192; default_type application/json;
    location /v1/ {{ {waits} }}
    location /answer {{ {answers} }}
  }}
}}
"""


@contextmanager
def answering(folder: Path, delay_s: float = 0.0) -> Generator[str]:
    """The base URL of a server that answers after `delay_s`."""
    port = _free_port()
    command = [sys.executable, __file__, str(port), str(delay_s)]
    if _has_nginx(delay_s):
        (folder / "nginx.conf").write_text(_config(folder, port, delay_s))
        command = ["nginx", "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def name(delay_s: float = 0.0) -> str:
    """What answers."""
    return _told("-v").split()[-1] if _has_nginx(delay_s) else "an event loop"


def _has_nginx(delay_s: float) -> bool:
    return shutil.which("nginx") is not None and (not delay_s or _echo_module().exists())


def _config(folder: Path, port: int, delay_s: float) -> str:
    headers = " ".join(f"add_header {name} '{value}';" for name, value in LIMITS.items())
    reply = json.dumps(REPLY).replace("\\", "\\\\")
    answers = f"{headers} return 200 '{reply}';"
    waits = f"echo_read_request_body; echo_sleep {delay_s}; echo_exec /answer;"
    return _NGINX.format(
        folder=folder,
        port=port,
        load=f"load_module {_echo_module()};" if delay_s else "",
        waits=waits if delay_s else answers,
        answers=answers,
    )


def _echo_module() -> Path:
    """Where nginx keeps it, if it has it."""
    folder = _told("-V").partition("--modules-path=")[2].split()[:1]
    return Path(*folder, "ngx_http_echo_module.so")


def _told(flag: str) -> str:
    return subprocess.run(["nginx", flag], check=True, capture_output=True, text=True).stderr


class _Answering(asyncio.Protocol):
    """Just enough HTTP for one client that sends whole requests with their length."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if end and len(body) >= length:
            self._heard = b""
            asyncio.get_running_loop().call_later(self._delay_s, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_WHOLE)  # pyright: ignore[reportAttributeAccessIssue]


def _whole() -> bytes:
    body = json.dumps(REPLY).encode()
    headers = {"content-type": "application/json", **LIMITS, "content-length": str(len(body))}
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body


_WHOLE = _whole()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"no server came up on port {port}")


async def _serve(port: int, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Answering(delay_s), "127.0.0.1", port, backlog=8192)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
