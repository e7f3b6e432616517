"""The JSON of each message is fixed, and invalid messages are rejected."""

from __future__ import annotations

import math

import pytest

from engines.worker import protocol as p

KV_USAGE = p.KVUsage(
    tokens=1,
    capacity_tokens=2,
    bytes_used=3,
    bytes_total=4,
    block_tokens=5,
    used_blocks=6,
    free_blocks=7,
    total_blocks=8,
    reused_blocks=9,
    state_bytes=10,
    used_share=0.5,
    running=11,
    waiting=12,
    hit_share=0.25,
)
USAGE = '{"tokens":1,"capacity_tokens":2,"bytes_used":3,"bytes_total":4,"block_tokens":5,"used_blocks":6,' + (
    '"free_blocks":7,"total_blocks":8,"reused_blocks":9,"state_bytes":10,"used_share":0.5,'
    '"running":11,"waiting":12,"hit_share":0.25}'
)
SAMPLING = '{"max_tokens":5,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,' + (
    '"repetition_penalty":1.1,"seed":7,"stop":["END"],"ignore_eos":true}'
)
SERVER = p.ServerFacts(
    kind="vLLM",
    address="http://127.0.0.1:8000/v1",
    model="m",
    models=("m", "n"),
    version="1",
    context=9,
    precision="fp8",
    precision_source="the model's name",
    token_ids=True,
    counts="chunk",
    prompt_scores="x",
    metrics="/metrics",
    notes=("y",),
)
SERVER_JSON = (
    '{"kind":"vLLM","address":"http://127.0.0.1:8000/v1","model":"m","models":["m","n"],"version":"1","context":9,'
    '"precision":"fp8","precision_source":"the model\'s name","token_ids":true,"counts":"chunk",'
    '"prompt_scores":"x","metrics":"/metrics","notes":["y"]}'
)
GOLDEN: list[tuple[p.Command | p.Event, str]] = [
    (p.Describe(1), '{"type":"describe","id":1}'),
    (p.Fetch(1, "org/name"), '{"type":"fetch","id":1,"checkpoint":"org/name","revision":null}'),
    (p.Contact(1, {"a": 1}), '{"type":"contact","id":1,"spec":{"a":1}}'),
    (p.Prepare(1, {"a": [1]}, "/x"), '{"type":"prepare","id":1,"spec":{"a":[1]},"directory":"/x"}'),
    (p.Load(1, {"a": None}), '{"type":"load","id":1,"spec":{"a":null},"directory":""}'),
    (
        p.Generate(
            1,
            ({"role": "user", "content": "é"},),
            (1, 2),
            p.Sampling(
                max_tokens=5,
                temperature=0.5,
                top_p=0.9,
                top_k=40,
                min_p=0.1,
                repetition_penalty=1.1,
                seed=7,
                stop=("END",),
                ignore_eos=True,
            ),
        ),
        '{"type":"generate","id":1,"messages":[{"role":"user","content":"\\u00e9"}],"token_ids":[1,2],"sampling":'
        + SAMPLING
        + ',"trim":false,"template_arguments":{}}',
    ),
    (
        p.CountTokens(1, ({"role": "user", "content": "x"},), ("x",), {"thinking": True}),
        '{"type":"count-tokens","id":1,"messages":[{"role":"user","content":"x"}],"texts":["x"],'
        '"template_arguments":{"thinking":true}}',
    ),
    (p.Stop(1), '{"type":"stop","id":1}'),
    (
        p.Score(1, (1, 2), 3, "rows.npy"),
        '{"type":"score","id":1,"token_ids":[1,2],"top_k":3,"reference":"rows.npy","keep":""}',
    ),
    (
        p.Tokenize(1, "/m", "Hi"),
        '{"type":"tokenize","id":1,"checkpoint":"/m","text":"Hi","messages":[],"token_ids":[],"texts":[],'
        '"template_arguments":{}}',
    ),
    (p.Tokenized(1, (5,), ("Hi",)), '{"type":"tokenized","id":1,"token_ids":[5],"pieces":["Hi"],"rows":[]}'),
    (
        p.LoadTest(1, 2, 6, ("Hi",), p.Sampling(5, 0.5, 0.9, 40, 0.1, 1.1, 7, ("END",), True), 9),
        '{"type":"load-test","id":1,"users":2,"requests":6,"prompts":["Hi"],"sampling":'
        + SAMPLING
        + ',"kv_tokens":9}',
    ),
    (
        p.InFlight(1, 9, (p.RequestState(3, 1, 5, 6, (7, 8), "stop", 4, True),), 2, 1, KV_USAGE),
        '{"type":"in-flight","id":1,"t_ns":9,"requests":[{"number":3,"user":1,"prompt_tokens":5,'
        '"arrived_ns":6,"token_ns":[7,8],"reason":"stop","tokens":4,"estimated":true}],"running":2,"waiting":1,"kv":'
        + USAGE
        + "}",
    ),
    (p.LoadTested(1, True), '{"type":"load-tested","id":1,"stopped":true}'),
    (p.Shutdown(), '{"type":"shutdown","id":0}'),
    (
        p.Hello(1, 2, "3.11", "x"),
        '{"type":"hello","protocol":1,"pid":2,"python":"3.11","backend":"x","id":0}',
    ),
    (
        p.Described(1, True, {"torch": "2"}, "", "", ("cpu",)),
        '{"type":"described","id":1,"available":true,"versions":{"torch":"2"},"reason":"","hint":"","devices":["cpu"]}',
    ),
    (p.Fetched(1, "/x"), '{"type":"fetched","id":1,"folder":"/x"}'),
    (p.Contacted(1, SERVER), '{"type":"contacted","id":1,"server":' + SERVER_JSON + "}"),
    (p.Stage(1, "load", 1, 2), '{"type":"stage","id":1,"name":"load","index":1,"of":2}'),
    (p.Progress(1, 1.0, 2.0, "B"), '{"type":"progress","id":1,"done":1.0,"total":2.0,"unit":"B"}'),
    (p.Log(1, "x"), '{"type":"log","id":1,"line":"x"}'),
    (
        p.Prepared(1, {"weight_bytes": 5}, loaded=True),
        '{"type":"prepared","id":1,"facts":{"weight_bytes":5},"loaded":true}',
    ),
    (
        p.Ready(
            id=1,
            memory=p.MemoryUsage(weights=1, kv=2, other=3, peak=4),
            kv=KV_USAGE,
            context=10,
            chat_template=False,
            warm_up_tokens=4,
            load_seconds=1.5,
            handed_over=True,
            ignored_sampling=("seed",),
            template_variables=("enable_thinking",),
            server=SERVER,
        ),
        '{"type":"ready","id":1,"memory":{"weights":1,"kv":2,"other":3,"peak":4},"kv":'
        + USAGE
        + ',"context":10,"chat_template":false,"warm_up_tokens":4,"load_seconds":1.5,"handed_over":true'
        + ',"ignored_sampling":["seed"],"template_variables":["enable_thinking"],"server":'
        + SERVER_JSON
        + "}",
    ),
    (
        p.Prompt(1, 2, "ab", 3, 0, 0, True, 4, "template"),
        '{"type":"prompt","id":1,"tokens":2,"digest":"ab","t_ns":3,"cached":0,"left_out":0,'
        '"merged_system":true,"rewritten":4,"rewritten_cause":"template"}',
    ),
    (
        p.TokensCounted(1, 9, 8, 6, 1, (2,)),
        '{"type":"tokens-counted","id":1,"tokens":9,"context":8,"least":6,"left_out":1,"texts":[2]}',
    ),
    (
        p.Chunk(1, (1,), (2,), "x", True, "ids"),
        '{"type":"chunk","id":1,"token_ids":[1],"t_ns":[2],"text":"x","thought":true,"unit":"ids"}',
    ),
    (p.KV(1, KV_USAGE), '{"type":"kv","id":1,"usage":' + USAGE + "}"),
    (
        p.Memory(1, p.MemoryUsage(weights=1)),
        '{"type":"memory","id":1,"usage":{"weights":1,"kv":null,"other":null,"peak":null}}',
    ),
    (
        p.Done(
            1,
            "stop",
            "x",
            (1,),
            None,
            "y",
            p.ServerAnswer(5, "server", 4, 3, 0.5, 2.5, 1.5, 0.25, ("seed",), "running"),
        ),
        '{"type":"done","id":1,"reason":"stop","text":"x","token_ids":[1],"cached":null,"thought":"y","server":'
        '{"tokens":5,"counted_by":"server","prompt_tokens":4,"thought_tokens":3,"ttft":0.5,"prefill_rate":2.5,'
        '"decode_rate":1.5,"load_seconds":0.25,"ignored_sampling":["seed"],"cancelled":"running"}}',
    ),
    (
        p.Scored(1, (-1.5,), ((1, 2),), ((-1.5, -2.0),), (0,), (0.25,)),
        '{"type":"scored","id":1,"logprobs":[-1.5],"top_ids":[[1,2]],"top_logprobs":[[-1.5,-2.0]],'
        '"ranks":[0],"kl":[0.25]}',
    ),
    (p.Heartbeat(), '{"type":"heartbeat","id":0}'),
    (
        p.Error(1, "c", "m", "h", "d"),
        '{"type":"error","id":1,"code":"c","message":"m","hint":"h","detail":"d"}',
    ),
]


def read(line: bytes) -> object:
    """Decode an event or a command."""
    return p.decode_event(line) or p.decode_command(line)


@pytest.mark.parametrize(("message", "line"), GOLDEN, ids=lambda value: getattr(value, "TYPE", ""))
def test_golden(message: p.Command | p.Event, line: str) -> None:
    assert p.encode(message).decode() == line + "\n"
    assert read(p.encode(message)) == message


def test_every_message_is_golden() -> None:
    from typing import get_args

    assert {type(message) for message, _ in GOLDEN} == {*get_args(p.Command), *get_args(p.Event)}


def test_messages_of_a_newer_version_are_accepted() -> None:
    assert p.decode_event(b'{"type":"log","id":1,"line":"x","colour":"green"}') == p.Log(1, "x")
    assert p.decode_event(b'{"type":"rumour","id":1}') is None
    assert p.decode_command(b'{"type":"dance","id":1}') is None


def test_infinity_is_preserved() -> None:
    event = p.decode_event(p.encode(p.Scored(1, (-math.inf,))))
    assert event == p.Scored(1, (-math.inf,))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"Loading\n", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"type":"log","id":1,"line":' + b"9" * 5000 + b"}", "not JSON"),
        (b"[1]", "not a message"),
        (b'{"id":1}', "not a message"),
        (b'{"type":["log"]}', "not a message"),
        (b'{"type":"log","id":1}', "missing 1 required"),
        (b'{"type":"log","id":"1","line":"x"}', "log.id: '1' is not int"),
        (b'{"type":"log","id":true,"line":"x"}', "log.id: 'True' is not int"),
        (b'{"type":"progress","id":1,"done":true,"total":1}', "is not float"),
        (b'{"type":"progress","id":1,"done":1' + b"0" * 400 + b',"total":1}', "too large"),
        (b'{"type":"chunk","id":1,"token_ids":5,"t_ns":[],"text":""}', "chunk.token_ids"),
        (b'{"type":"chunk","id":1,"token_ids":[1.5],"t_ns":[],"text":""}', "chunk.token_ids"),
        (b'{"type":"kv","id":1,"usage":null}', "kv.usage"),
        (b'{"type":"described","id":1,"available":true,"versions":{"a":1}}', "described.versions"),
    ],
)
def test_invalid_messages_are_rejected(line: bytes, words: str) -> None:
    with pytest.raises(p.ProtocolError, match=words):
        p.decode_event(line)


def test_the_id_of_an_invalid_command() -> None:
    assert p.command_id(b'{"type":"load","id":7}') == 7
    assert p.command_id(b'{"type":"load","id":"7"}') == 0
    assert p.command_id(b"nonsense") == 0
