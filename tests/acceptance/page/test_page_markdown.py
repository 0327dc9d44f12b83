"""What the model writes, on the page: drawn as markdown, never as markup, in time, however it arrives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.page.answers import END, event, words
from tests.acceptance.page.reader import Reader, expect, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser


MODULES = """async () => {
    const { MarkdownView } = await import("/static/waldur_chat/markdown/view.js");
    const { EventParser } = await import("/static/waldur_chat/net/sse.js");
    window.draw = (...pieces) => {
        const root = document.createElement("div");
        const view = new MarkdownView(root);
        for (const piece of pieces) { view.write(piece); view.draw(); }
        view.draw({ done: true });
        return root.innerHTML;
    };
    window.read = (...pieces) => {
        const parser = new EventParser();
        return JSON.stringify(pieces.flatMap((piece) => [...parser.feed(piece)]));
    };
}"""


@pytest.fixture(scope="module")
def loaded(chromium: Browser) -> Iterator[Reader]:
    """One page for all who only try its modules, as `draw(...pieces)` and `read(...pieces)`."""
    with serving() as server:
        reader = Reader(page=chromium.new_page(), server=server).open()
        reader.page.evaluate(MODULES)
        yield reader
        reader.page.close()
    assert reader.misdeeds == []


HOSTILE = """
# <script>alert(1)</script>

<script>alert(2)</script> <img src=x onerror=alert(3)> <svg onload=alert(4)> <iframe src="https://evil.example/1"></iframe>
<a href="javascript:alert(5)">a</a> <style>@import url(https://evil.example/2)</style> <base href="https://evil.example/">
<form action="https://evil.example/3"><input autofocus onfocus=alert(6)></form> <details open ontoggle=alert(7)>
<link rel="prefetch" href="https://evil.example/4"> <meta http-equiv="refresh" content="0;url=https://evil.example/5">

[x](javascript:alert(8)) [x](JaVaScRiPt:alert(9)) [x](  javascript:alert(10)) [x](java\tscript:alert(11))
[x](<javascript:alert(12)>)
[x](data:text/html,<script>alert(13)</script>) [x](vbscript:alert(14)) [x](blob:https://evil.example/x) [x](file:///etc/passwd)
[x](//evil.example/6) [x](\\x01javascript:alert(15)) [x](&#106;avascript:alert(16)) <javascript:alert(17)>
[x](https://good.example/" onmouseover="alert(18)) [x](https://good.example/ "title" onclick=alert(19))

![t](https://evil.example/7.png) ![t](data:image/svg+xml,<svg onload=alert(20)>) ![](//evil.example/8.png) ![x][y]
[![t](https://evil.example/9.png)](https://good.example/)

[y]: https://evil.example/10.png

| <script>alert(21)</script> | ![t](https://evil.example/11.png) |
|---|---|
| <img src=https://evil.example/12> | [x](javascript:alert(22)) |

> <script>alert(23)</script>

- <img src=x onerror=alert(24)>

```"><img src=x onerror=alert(25)>
</code></pre><script>alert(26)</script>
```

`<img src=x onerror=alert(27)>` **<script>alert(28)</script>** {{ constructor }} ${alert(29)}
"""


class TestHostileAnswer:
    def test_nothing_runs_and_nothing_is_loaded(self, reader: Reader) -> None:
        reader.ask_and_wait("Attack", words(HOSTILE, event("reasoning", reasoning=HOSTILE), END))
        nodes = reader.answer.evaluate("root => [...root.querySelectorAll('*')].map(node => node.localName)")
        links = reader.answer.locator("a").evaluate_all("nodes => nodes.map(a => [a.protocol, a.rel, a.target])")

        assert set(nodes) <= {
            "a", "blockquote", "br", "code", "div", "figcaption", "figure", "h3", "h4", "h5", "h6", "li", "ol", "p",
            "pre", "span", "strong", "em", "table", "tbody", "td", "th", "thead", "tr", "ul", "button", "hr", "del",
        }  # fmt: skip
        assert {tuple(link) for link in links} == {("https:", "noopener noreferrer nofollow", "_blank")}
        for attribute in ("src", "srcset", "style", "onerror", "onload", "onclick", "onmouseover", "id", "name"):
            expect(reader.answer.locator(f"[{attribute}]")).to_have_count(0)
        reader.page.wait_for_timeout(300)  # whatever might load or run later; the fixture looks

    def test_markup_is_shown_as_it_was_written(self, reader: Reader) -> None:
        reader.ask_and_wait("Attack", words("<img src=x> [a](javascript:b) &lt;", END))

        expect(reader.answer).to_have_text("<img src=x> [a](javascript:b) &lt;")

    def test_an_image_is_a_link(self, reader: Reader) -> None:
        reader.ask_and_wait("Show", words("![A cat](https://example.com/cat.png)", END))

        expect(reader.answer.get_by_role("link", name="A cat")).to_have_attribute("href", "https://example.com/cat.png")

    def test_the_policy_refuses_what_would_slip_through(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open()
        refused = reader.page.evaluate("""async () => {
            const violations = [];
            addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
            const image = document.createElement("img");
            image.src = "https://evil.example/x.png";
            document.body.append(image);
            const script = document.createElement("div");
            try { script.innerHTML = "<b></b>"; } catch { violations.push("innerHTML"); }
            await new Promise((resolve) => setTimeout(resolve, 300));
            return violations;
        }""")
        reader.misdeeds.clear()  # the browser tells the console of what it refused

        assert {"img-src", "innerHTML"} <= set(refused)


CORPUS = """# Title #

Text with **bold**, *it*, ***both***, `co*de`, ~~gone~~, snake_case_name, 2 * 3 and a\\*b.
Second line with [a *link*](https://example.com/a_(b) "t") and https://example.com/x_y.

1. one
   - deep `x`

     more
   - deep 2
2. two
lazy

3) three

* * *

> quote
> - in quote
>
> > inner

| a | b |
|:--|--:|
| 1 | `2 \\| 3` |
| only

```python
def f():
\treturn "*"

```
text
a|b
-|-
1|2
after

~~~
open 🐢
- end
"""


class TestMarkdown:
    def test_markdown_is_the_same_however_it_arrives(self, loaded: Reader) -> None:
        found = loaded.page.evaluate(
            """(text) => {
                const results = new Set([draw(text), draw(...text), draw(...text.replaceAll("\\n", "\\r\\n"))]);
                for (let a = 0; a <= text.length; a += 1)
                    for (let b = a; b <= text.length; b += 37)
                        results.add(draw(text.slice(0, a), text.slice(a, b), text.slice(b)));
                return [...results];
            }""",
            CORPUS,
        )

        assert len(found) == 1

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("a **b** *c* ~~d~~", "<p>a <strong>b</strong> <em>c</em> <del>d</del></p>"),
            ("***a***", "<p><strong><em>a</em></strong></p>"),
            ("**a *b***", "<p><strong>a <em>b</em></strong></p>"),
            ("*a **b***", "<p><em>a <strong>b</strong></em></p>"),
            ("*a**b**c*", "<p><em>a<strong>b</strong>c</em></p>"),
            ("**a*b**", "<p><strong>a*b</strong></p>"),
            ("**强调「注」**后", "<p><strong>强调「注」</strong>后</p>"),
            ("snake_case_name 2 * 3 * 4 **open", "<p>snake_case_name 2 * 3 * 4 **open</p>"),
            ("`` a`b `` `c", "<p><code>a`b</code> `c</p>"),
            (r"\*a\* \[b\](c)", "<p>*a* [b](c)</p>"),
            ("a\nb<br>c", "<p>a<br>b<br>c</p>"),
            ("## a *b* ##", "<h4>a <em>b</em></h4>"),
            ("####### a", "<p>####### a</p>"),
            ("---", "<hr>"),
            ("- a\n  - b\n    - c\n- d", "<ul><li><p>a</p><ul><li><p>b</p><ul><li><p>c</p></li></ul></li></ul></li>"
             "<li><p>d</p></li></ul>"),
            ("3. a\n4. b", '<ol start="3"><li><p>a</p></li><li><p>b</p></li></ol>'),
            ("1. a\n  - b\n\n2. c", "<ol><li><p>a</p><ul><li><p>b</p></li></ul></li><li><p>c</p></li></ol>"),
            ("Then:\n- a", "<p>Then:</p><ul><li><p>a</p></li></ul>"),
            ("in\n1986. a", "<p>in<br>1986. a</p>"),
            ("> a\n> > b", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>"),
            ("a|b\n:-:|-:\n1|2|3\n4", '<div class="table" tabindex="0"><table>'
             '<thead><tr><th class="middle" scope="col">a</th><th class="end" scope="col">b</th></tr></thead>'
             '<tbody><tr><td class="middle">1</td><td class="end">2</td></tr>'
             '<tr><td class="middle">4</td></tr></tbody></table></div>'),
            ("```py\n a\n\nb", '<figure class="code"><figcaption><span>py</span></figcaption>'
             '<pre tabindex="0"><code> a\n\nb</code></pre></figure>'),
        ],
    )  # fmt: skip
    def test_each_kind(self, loaded: Reader, text: str, html: str) -> None:
        assert loaded.page.evaluate("text => draw(text)", text) == html

    @pytest.mark.parametrize(
        "unit",
        ["[", "![", "[a](", "[a](b (", "[a](b \"", "*", "*a ", "**a *b ", "_a", "`", "`a``b", "~~a", "> ", ">", "- ",
         "1. ", "- a\n", "  - a\n", "#", "# \n", "|", "a|b\n-|-\n", "|\n|-|\n", "\\", "<", "<http://", "http://a.",
         "((", "\t", " ", "\r\n", "***a", "- + ", "> - ", "~~~\n", "```a\n", "`" * 3 + " " * 9, "-" * 9 + " ", ":-|",
         ".", "&#"],
    )  # fmt: skip
    def test_no_repetition_makes_it_slow(self, loaded: Reader, unit: str) -> None:
        """A rule that looks back or ahead without bounds would need minutes for these."""
        session = loaded.page.context.new_cdp_session(loaded.page)
        text = unit * (100_000 // len(unit))
        for whole in (text, f"{text}x", f"a\n{text}\nb|c"):
            drawing = {"expression": f"draw({json.dumps(whole)})", "timeout": 10_000}  # milliseconds
            assert "exceptionDetails" not in session.send("Runtime.evaluate", drawing)


class TestEventParser:
    def test_events_are_the_same_however_the_bytes_are_cut(self, loaded: Reader) -> None:
        stream = (
            "\ufeffid: 1\nevent: start\ndata: {}\n\n: hello\r\n\r\ndata: a🐢\r\ndata:b\rdata:  c\r\r"
            "event: lone\n\ndata\n\nid:2\nid: x\0\nretry: 5\nnonsense\ndata: ż\r\n\r\ndata: never ended\n"
        )
        found = loaded.page.evaluate(
            """(stream) => {
                const bytes = new TextEncoder().encode(stream);
                const results = new Set([read(bytes), read(...Array.from(bytes, (byte) => Uint8Array.of(byte)))]);
                for (let a = 0; a <= bytes.length; a += 1)
                    for (let b = a; b <= bytes.length; b += 7)
                        results.add(read(bytes.slice(0, a), bytes.slice(a, b), bytes.slice(b)));
                return [...results];
            }""",
            stream,
        )

        assert [json.loads(result) for result in found] == [
            [
                {"type": "start", "data": "{}", "id": "1"},
                {"type": "message", "data": "a🐢\nb\n c", "id": "1"},
                {"type": "message", "data": "", "id": "1"},
                {"type": "message", "data": "ż", "id": "2"},
            ]
        ]
