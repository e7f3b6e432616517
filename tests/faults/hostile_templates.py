"""Hostile chat templates."""

from __future__ import annotations

from tests.faults.hostile_case import Case, both, content, delete, remove, update

TEMPLATE, SETTINGS = "chat_template.jinja", "tokenizer_config.json"
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}x{% endfor %}"
LOOP += "{% endfor %}{% endfor %}"
SILENT_LOOP = LOOP.replace("x{%", "{%")
DOUBLING = (
    "{% set ns = namespace(a='aaaaaaaa') %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}"
)
LIST = "{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}"


def _jinja(text: str) -> Case:
    return content(TEMPLATE, text)


TEMPLATES: dict[str, Case] = {
    "nested loops": _jinja(LOOP),
    "nested loops without output": _jinja(SILENT_LOOP),
    "3 GB of letters": _jinja("{{ 'a' * 3000000000 }}"),
    "200 MB of letters": _jinja("{{ 'a' * 200000000 }}"),
    "40 MB of letters": _jinja("{{ 'a' * 40000000 }}"),
    "doubling strings": _jinja(DOUBLING + "{{ ns.a }}"),
    "doubling lists": _jinja(LIST + "{{ ns.a }}"),
    "power of numbers": _jinja("{{ 9**9**9 }}"),
    "a long number": _jinja("{{ (10**4000000) | string }}"),
    "width of a format": _jinja("{{ '%2000000000d' % 1 }}"),
    "centred": _jinja("{{ 'a' | center(2000000000) }}"),
    "replaced": _jinja("{{ ('a' * 100000) | replace('a', 'b' * 100000) }}"),
    "join of a range": _jinja("{{ range(99999) | join('x' * 100000) }}"),
    "indent": _jinja("{{ ('\\n' * 100000) | indent(100000) }}"),
    "batch": _jinja("{{ [1] | batch(2000000000, 0) | list }}"),
    "lorem": _jinja("{{ lipsum(n=100000, max=100000) }}"),
    "recursive macro": _jinja("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}"),
    "branching macro": _jinja(
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}x{% endmacro %}{{ m(60) }}"
    ),
    "recursive loop": _jinja("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
    "tojson of a doubled list": _jinja(LIST.replace("60", "24") + "{{ ns.a | tojson(indent=2000) }}"),
    "sum": _jinja("{{ (range(99999) | map('string') | list * 2000) | join }}"),
    "urlize": _jinja("{{ ('http://a ' * 300000) | urlize(1, true) }}"),
    "striptags": _jinja("{{ ('<' * 300000) | striptags }}"),
    "wordwrap": _jinja("{{ ('a b ' * 300000) | wordwrap(1) }}"),
    "syntax error": _jinja("{% for %}"),
    "unclosed": _jinja("{{ messages"),
    "unknown filter": _jinja("{{ messages | nosuch }}"),
    "raises": _jinja("{{ raise_exception('no') }}"),
    "raises a megabyte": _jinja("{{ raise_exception('\x1b[31m' + 'a' * 1000000) }}"),
    "empty": _jinja(""),
    "without output": _jinja("{% set a = 1 %}"),
    "not utf-8": content(TEMPLATE, b"\xff\xfe{{ messages }}"),
    "zero bytes": content(TEMPLATE, b"\0" * 5000),
    "900 kB of text": _jinja("a" * 900_000),
    "900 kB of tags": _jinja("{{1}}" * 180_000),
    "deeply nested expression": _jinja("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"),
    "deeply nested blocks": _jinja("{% if 1 %}" * 3000 + "{% endif %}" * 3000),
    "2 MB": _jinja("a" * 2_000_000),
    "escape: mro": _jinja("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    "escape: globals": _jinja("{{ cycler.__init__.__globals__.os.system('true') }}"),
    "escape: format": _jinja("{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}"),
    "includes a file": _jinja("{% include '/etc/passwd' %}"),
    "imports": _jinja("{% import 'os' as os %}{{ os }}"),
    "undefined": _jinja("{{ nosuch.a.b }}"),
    "lone surrogates": _jinja("{{ '\\ud800' }}{{ messages[0].content }}"),
    "in the settings": both(delete(TEMPLATE), update(SETTINGS, chat_template=LOOP)),
    "a list in the settings": both(
        delete(TEMPLATE), update(SETTINGS, chat_template=[{"name": "default", "template": LOOP}])
    ),
    "a number in the settings": both(delete(TEMPLATE), update(SETTINGS, chat_template=7)),
    "a list of numbers in the settings": both(delete(TEMPLATE), update(SETTINGS, chat_template=[1, 2])),
    "none": both(delete(TEMPLATE), remove(SETTINGS, "chat_template")),
    "chat_template.json is broken": both(delete(TEMPLATE), content("chat_template.json", "{")),
}
