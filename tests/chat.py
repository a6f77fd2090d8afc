"""Chat models for tests: LangChain's own fake, and a server that speaks OpenAI's interface."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from mediaproc.media import decode_jpeg


def verdict(answer: str = "yes", score: float = 0.9, label: str = "", reason: str = "so") -> str:
    return json.dumps({"answer": answer, "score": score, "label": label, "reason": reason})


def fake_model(said: Iterable[str], tokens: tuple[int, int] = (0, 0)) -> Any:
    """LangChain's fake, which says these one after the other and then no more."""

    def messages() -> Iterator[AIMessage]:
        total = sum(tokens)
        usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": total}
        for text in said:
            yield AIMessage(text, usage_metadata=usage if total else None)

    return GenericFakeChatModel(messages=messages())


class Seen:
    """A request that the server got.

    Attributes:
        question: what was asked.
        image: the picture, shape (H, W, 3), uint8, BGR.
        body: the whole of it.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        content = body["messages"][-1]["content"]
        self.question: str = next(part["text"] for part in content if part["type"] == "text")
        url = next(p["image_url"]["url"] for p in content if p["type"] == "image_url")
        self.image: npt.NDArray[np.uint8] = decode_jpeg(base64.b64decode(url.partition(",")[2]))


# What the server says to a request: text with code 200, or (code, text, headers); or it sleeps.
Said = str | tuple[int, str, dict[str, str]] | float


class ChatServer:
    """Answers requests with what ``say`` gives for each.

    Attributes:
        url: where it is.
        seen: the requests so far.
        most_at_once: how many it had to answer at once.
    """

    def __init__(self, say: Callable[[int, Seen], Said], tokens: tuple[int, int]) -> None:
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                seen = Seen(json.loads(self.rfile.read(length)))
                with outer._lock:
                    number = len(outer.seen)
                    outer.seen.append(seen)
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                try:
                    self._answer(say(number, seen))
                finally:
                    with outer._lock:
                        outer._now -= 1

            def _answer(self, said: Said) -> None:
                if isinstance(said, float):
                    time.sleep(said)
                    return
                code, text, headers = (200, said, {}) if isinstance(said, str) else said
                data = json.dumps(outer._completion(text, tokens) if code == 200 else _error(text))
                self.send_response(code)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data.encode())

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def _completion(self, text: str, tokens: tuple[int, int]) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": tokens[0],
                "completion_tokens": tokens[1],
                "total_tokens": sum(tokens),
            },
        }


@contextmanager
def chat_server(
    say: Callable[[int, Seen], Said], tokens: tuple[int, int] = (1000, 50)
) -> Iterator[ChatServer]:
    """A running server; ``say`` gets the number of the request, from 0, and the request."""
    chat = ChatServer(say, tokens)
    thread = threading.Thread(target=chat.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        chat.server.shutdown()
        chat.server.server_close()
        thread.join()


def _error(text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "error", "code": None}}
