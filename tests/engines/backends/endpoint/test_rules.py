"""What a robust client must do, and how servers break: each with a server that does it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.backends.endpoint.chat_stream import Reading, take_chunk
from engines.backends.endpoint.connection import CONNECT_SECONDS, Connection
from engines.backends.endpoint.credentials import Credentials, read_credentials
from engines.backends.endpoint.failures import server_message
from engines.build.server import header_lines, header_text, parse_address, server_spec
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from tests.doubles.openai_answers import KINDS, TRTLLM_ITERATION
from tests.doubles.openai_server import OpenAIServer
from tests.doubles.openai_streams import TEXT
from tests.engines.backends.endpoint.asking import LONG, Heard, ask, connected

KIND_TITLES = {
    "vllm": "vLLM", "trtllm": "TensorRT-LLM", "sglang": "SGLang", "llama": "llama.cpp", "ollama": "Ollama",
    "lmstudio": "LM Studio", "ovms": "OpenVINO Model Server", "triton": "Triton",
    "transformers": "transformers serve",
}  # fmt: skip
SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer("vllm").running() as running:
        yield running


def failure(server: OpenAIServer, heard: Heard | None = None, **options: object) -> EngineError:
    """Return the error of asking a server."""
    with pytest.raises(EngineError) as raised, connected(server.url, **options) as backend:
        ask(backend, heard=heard)
    return raised.value


def test_1_lines_end_at_newlines_only(server: OpenAIServer) -> None:
    """U+2028, U+2029 and U+0085 inside of a JSON text are no ends of lines."""
    server.breakage = "separators"
    with connected(server.url) as backend:
        assert ask(backend).text == "Keys a\u2028b\x85c\u2029 é"


@pytest.mark.parametrize("kind", KINDS)
def test_1_a_character_may_come_in_parts(kind: str) -> None:
    """Every byte is a piece of its own for HTTP."""
    with OpenAIServer(kind, breakage="split").running() as server, connected(server.url) as backend:
        assert ask(backend).text == "Keys a\u2028b\x85c\u2029 é"


def test_2_comments_event_names_and_missing_spaces(server: OpenAIServer) -> None:
    server.breakage = "pings"
    with connected(server.url) as backend:
        assert ask(backend).text == TEXT


def read(*chunks: dict[str, Any]) -> tuple[Heard, Reading]:
    """Return what chunks of a stream are read as."""
    heard = Heard()
    reading = Reading("host", heard.pieces.append, lambda *_: None)
    for chunk in chunks:
        take_chunk(chunk, 1, reading)
    return heard, reading


def test_3_choices_may_be_missing_or_empty_on_any_chunk() -> None:
    """The usage stands where a server likes: before, with or after the last text."""
    usage = {"prompt_tokens": 4, "completion_tokens": 2}
    text = {"choices": [{"delta": {"content": "Keys"}}]}
    for others in (
        [{"usage": usage}, text],
        [text | {"usage": usage}],
        [text, {"choices": [], "usage": usage}],
        [text, {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage}],
    ):
        heard, reading = read({"id": "1"}, {"choices": None}, {"choices": [None]}, *others, {"choices": []})
        assert heard.text == "Keys"
        assert (reading.tokens, reading.prompt_tokens) == (2, 4)
        assert len(heard.pieces) == 1  # a total at the end is no piece


@pytest.mark.parametrize(
    ("delta", "text", "thought"),
    [
        ({"reasoning": "why"}, "", "why"),
        ({"reasoning_content": "why"}, "", "why"),
        ({"reasoning": "why", "reasoning_content": "why"}, "", "why"),
        ({"reasoning": None, "reasoning_content": "why", "content": None}, "", "why"),
        ({"reasoning": "", "reasoning_content": "why", "content": ""}, "", "why"),
        ({"reasoning": None, "reasoning_content": None, "content": "Keys"}, "Keys", ""),
        ({"content": [{"type": "text", "text": "Keys"}]}, "Keys", ""),
    ],
)
def test_4_a_thought_has_two_names_and_null_is_none(delta: dict[str, Any], text: str, thought: str) -> None:
    heard, _ = read({"choices": [{"delta": delta}]})
    assert (heard.text, heard.thought) == (text, thought)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("breakage", ["no-done", "no-usage", "error-after-200", "cut"])
def test_3_5_6_7_each_kind_breaks(kind: str, breakage: str) -> None:
    """[DONE] may be missing, usage too; an error may come after 200, and keeps the text before it."""
    heard = Heard()
    with OpenAIServer(kind, breakage=breakage).running() as server:
        if breakage == "error-after-200":
            error = failure(server, heard)
            assert error.code == "server-error"
            assert "memory" in error.message or "running the model" in error.message
            assert heard.text == "Keys "
        elif breakage == "cut":
            assert failure(server, heard).code == "answer-cut"
            assert heard.text == "Keys "
        else:
            with connected(server.url) as backend:
                ask(backend, heard=heard)
            assert heard.text == TEXT
            counted = heard.end.server.counted_by
            known = breakage == "no-done" or kind in ("vllm", "llama")  # by token ids, and by its timings
            assert counted == ("server" if known else "estimate")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "no memory", "type": "x"}}', "no memory"),
        (b'{"error": "no memory"}', "no memory"),
        (b'{"detail": [{"loc": ["body"], "msg": "no memory"}]}', "no memory"),
        (b'{"object": "error", "message": "no memory", "code": 400}', "no memory"),
        (b"no memory\n at line 7", "no memory"),
        (b"<html>no memory</html>", "it sent an HTML page"),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_5_bodies_of_errors(body: bytes, said: str) -> None:
    assert server_message(body) == said


def test_6_the_end_without_a_finish_reason(server: OpenAIServer) -> None:
    """An answer that neither has a finish reason nor [DONE] was cut: a server that was killed."""
    server.breakage = "plain-end"
    assert failure(server).code == "answer-cut"


def test_7_the_servers_tokenizer_counts_what_it_did_not_report() -> None:
    from engines.backends.endpoint.answering import Answering
    from tests.doubles.recording_report import RecordingReport

    with OpenAIServer("vllm").running() as server, connected(server.url) as backend:
        assert backend._http
        assert backend._dialect
        answering = Answering(backend._http, backend._dialect, backend.facts, RecordingReport().log)
        reading = Reading("host", lambda _: None, lambda *_: None)
        assert answering._tokens(reading, "three short words") == (3, "tokenizer")
        assert backend.count(LONG, ("two words",)).tokens == 9


def test_11_what_a_server_refuses_is_left_out_and_remembered() -> None:
    with OpenAIServer("plain").running() as server, connected(server.url) as backend:
        ignored = ask(backend).end.server.ignored_sampling
        assert set(ignored) == {"min_p", "repetition_penalty"}
        assert len(server.chats()) == 3
        ask(backend)
        assert len(server.chats()) == 4  # it is not tried again
        assert not {"min_p", "repetition_penalty"} & server.chats()[-1].keys()


def test_11_a_refusal_without_a_name(server: OpenAIServer) -> None:
    server.breakage = "vague"
    with connected(server.url) as backend:
        assert ask(backend).text == TEXT
        assert "stream_options" not in server.chats()[-1]
        assert "temperature" in server.chats()[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_12_a_server_that_loads_its_model_is_waited_for(kind: str) -> None:
    """It is then recognised as if it had been ready at once."""
    with OpenAIServer(kind, loading=3).running() as server, connected(server.url) as backend:
        assert backend.facts.kind == KIND_TITLES[kind]
        server.busy = 1
        assert ask(backend).text == TEXT


def test_12_a_connection_is_waited_for_shortly_and_a_token_without_an_end(server: OpenAIServer) -> None:
    with connected(server.url) as backend:
        assert backend._http
        timeout = backend._http._streams.timeout
        assert timeout.read is None
        assert timeout.connect == CONNECT_SECONDS <= 10


def test_12_13_silence_before_the_first_token_can_be_stopped(server: OpenAIServer) -> None:
    """No read timeout ends a long prefill, and the request is closed when the user stops it."""
    server.breakage = "silent"
    with connected(server.url) as backend:
        heard = ask(backend, stopped=lambda _: any("chat" in one.path for one in server.requests))
        assert heard.end.reason == "stopped"
        assert server.aborted.wait(10)


def test_13_a_stop_closes_the_request_and_is_confirmed() -> None:
    server = OpenAIServer("llama", chunks=5_000, pause=0.001)
    with server.running(), connected(server.url) as backend:
        heard = ask(
            backend, sampling=Sampling(max_tokens=5_000), stopped=lambda heard: len(heard.pieces) >= 5
        )
        assert heard.end.reason == "stopped"
        assert 5 <= heard.end.server.tokens < 5_000
        assert server.aborted.wait(10)
        assert heard.end.server.cancelled == "running"  # the double's slot stays busy


@pytest.mark.parametrize(("active", "cancelled"), [(0, "confirmed"), (None, "")])
def test_13_a_stop_is_confirmed_where_no_request_runs_any_more(active: int | None, cancelled: str) -> None:
    """Statistics without the number of requests confirm nothing."""
    idle = TRTLLM_ITERATION | {"numActiveRequests": active}
    server = OpenAIServer("trtllm", chunks=5_000, pause=0.001, iterations=[idle])
    with server.running(), connected(server.url) as backend:
        heard = ask(
            backend, sampling=Sampling(max_tokens=5_000), stopped=lambda heard: len(heard.pieces) >= 5
        )
        assert server.aborted.wait(10)
        assert heard.end.server.cancelled == cancelled


@pytest.mark.parametrize(
    ("given", "base", "loopback"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1", True),
        ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1", True),
        ("http://[::1]:8000/v3", "http://[::1]:8000/v3", True),
        ("https://openrouter.example/api/v1", "https://openrouter.example/api/v1", False),
        ("http://127.0.0.1.example.com", "http://127.0.0.1.example.com", False),
    ],
)
def test_14_15_addresses(given: str, base: str, loopback: bool) -> None:
    address = parse_address(given)
    assert (address.base, address.is_loopback) == (base, loopback)


@pytest.mark.parametrize(
    "given",
    ["", "ftp://x", "http://", "http://a b", "http://x:99999", "http://user:pw@x/v1", "http://x/?key=1"],
)
def test_14_what_is_no_address(given: str) -> None:
    with pytest.raises(EngineError) as raised:
        parse_address(given)
    assert raised.value.code == "bad-address"


def test_15_proxies_are_ignored_on_loopback(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    with connected(server.url) as backend:
        assert ask(backend).text == TEXT
    with pytest.raises(EngineError) as raised, connected("http://server.example:8000"):
        pass
    assert raised.value.code == "unreachable"


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_without_an_end_is_refused(kind: str) -> None:
    with OpenAIServer(kind, breakage="endless-line").running() as server:
        assert failure(server).code == "not-an-api"
        assert server.aborted.wait(10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("breakage", "code"),
    [
        ("garbage", "not-an-api"),
        ("html", "not-an-api"),
        ("fatal", "server-error"),
        ("plain-error", "server-error"),
        ("redirect", "redirected"),
    ],
)
def test_answers_that_are_none(kind: str, breakage: str, code: str) -> None:
    with OpenAIServer(kind, breakage=breakage, elsewhere="http://127.0.0.1:9").running() as server:
        assert failure(server).code == code


def test_a_model_that_is_not_there(server: OpenAIServer) -> None:
    error = failure(server, model="other")
    assert error.code == "no-model"
    assert "tiny" in error.hint


def test_a_context_that_is_full(server: OpenAIServer) -> None:
    """With trimming the oldest turns are left out until the server accepts the length."""
    server.breakage = "context"
    with connected(server.url) as backend:
        heard = ask(backend, LONG, trim=True)
        assert heard.started[0].left_out == 1
        assert server.chats()[-1]["messages"] == [{"role": "user", "content": "two"}]
        with pytest.raises(EngineError) as raised:
            ask(backend, LONG)
        assert raised.value.code == "context-full"


def test_nothing_listens_or_speaks_http() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match="nothing listens there"), connected(f"127.0.0.1:{port}"):
        pass
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(EngineError) as raised, connected(f"127.0.0.1:{other.getsockname()[1]}"):
            pass
        assert raised.value.code == "answer-cut"


def test_a_key_goes_to_its_own_server_only(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    with OpenAIServer("vllm").running() as other:
        server.breakage, server.elsewhere = "redirect", other.url
        error = failure(server, key="env:MY_KEY")
        assert error.code == "redirected"
        assert not other.requests
        server.elsewhere = server.url  # on the same host it is followed, and ends
        assert "in a circle" in failure(server, key="env:MY_KEY").message


def test_a_key_is_in_no_message(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Servers repeat the key that they refuse."""
    (tmp_path / "key").write_text(f"{SECRET}\n")
    server.key = "another"
    assert failure(server).code == "unauthorised"
    for source in (f"file:{tmp_path}/key", "env:MY_KEY"):
        monkeypatch.setenv("MY_KEY", SECRET)
        error = failure(server, key=source)
        assert error.code == "unauthorised"
        assert "does not accept the key" in error.message
        assert SECRET not in f"{error.message}{error.hint}{error.detail}{error!r}"
    server.key = SECRET
    with connected(server.url, key=f"file:{tmp_path}/key") as backend:
        assert ask(backend).text == TEXT
        assert SECRET not in repr(vars(backend)) + repr(backend._http.__dict__["credentials"])
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"key": SECRET}, "bad-key-source"),
        ({"key": "env:"}, "bad-key-source"),
        ({"key": "env:NOT_SET_ANYWHERE"}, "no-key"),
        ({"key": "file:/nonexistent/key"}, "no-key"),
        ({"headers": ["Authorization: Bearer abc"]}, "bad-header"),
        ({"headers": ["no header"]}, "bad-header"),
        ({"headers": [f"X-Team: {SECRET}"]}, "bad-header"),
        ({"headers": [f"X-Team: bearer {SECRET}"]}, "bad-header"),
        ({"headers": ["X-Team: red\nX-Gate: blue"]}, "bad-header"),
    ],
)
def test_keys_that_cannot_be_used(options: dict[str, object], code: str) -> None:
    with pytest.raises(EngineError) as raised:
        read_credentials(server_spec("127.0.0.1:1", **options))  # type: ignore[arg-type]
    assert raised.value.code == code
    assert SECRET not in f"{raised.value.message} {raised.value.hint}"


def test_further_headers(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE", SECRET)
    with connected(server.url, headers=["X-Team: red", "X-Gate-Token: env:GATE"]):
        sent = server.requests[0].headers
    assert (sent["X-Team"], sent["X-Gate-Token"]) == ("red", SECRET)


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", ()),
        ("X-Team=red", ("X-Team: red",)),
        (" X-Team = red , X-Gate-Token=env:GATE,", ("X-Team: red", "X-Gate-Token: env:GATE")),
        ("X-Team: red, X-File: file:/a=b", ("X-Team: red", "X-File: file:/a=b")),
        ("X-Teams=red, blue, X-Gate=env:GATE", ("X-Teams: red, blue", "X-Gate: env:GATE")),
        ("nonsense", ("nonsense",)),
    ],
)
def test_headers_in_one_line(text: str, headers: tuple[str, ...]) -> None:
    assert header_lines(text) == headers
    assert header_lines(header_text(headers)) == headers


def test_a_self_signed_certificate_is_not_accepted(tmp_path: Path) -> None:
    import ssl
    import subprocess

    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    address = parse_address(f"https://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        import contextlib

        with contextlib.suppress(OSError), context.wrap_socket(listener, server_side=True) as secure:
            secure.accept()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    http = Connection(address, Credentials({}, (), has_key=False))
    try:
        with pytest.raises(EngineError, match="self-signed") as raised:
            http.get("/v1/models")
    finally:
        http.close()
        listener.close()
    assert raised.value.code == "certificate"
