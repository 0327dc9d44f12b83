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
    const button = document.createElement("button");
    window.draw = (...pieces) => drawWith(null, pieces);
    window.drawWithButton = (...pieces) => drawWith(button, pieces);
    window.drawWith = (button, pieces) => {
        const root = document.createElement("div");
        const view = new MarkdownView(root, button);
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
        assert {tuple(link[1:]) for link in links} == {("noopener noreferrer nofollow", "_blank")}
        assert {link[0] for link in links} == {"https:", "http:"}
        for attribute in ("src", "srcset", "style", "onerror", "onload", "onclick", "onmouseover", "id", "name"):
            expect(reader.answer.locator(f"[{attribute}]")).to_have_count(0)
        reader.page.wait_for_timeout(300)  # whatever might load or run later; the fixture looks

    def test_markup_is_shown_as_it_was_written(self, reader: Reader) -> None:
        reader.ask_and_wait("Attack", words("<img src=x> [a](javascript:b) &lt;", END))

        expect(reader.answer).to_have_text("<img src=x> [a](javascript:b) &lt;")

    def test_an_image_is_a_link(self, reader: Reader) -> None:
        reader.ask_and_wait("Show", words("![A cat](https://example.com/cat.png)", END))

        expect(reader.answer.get_by_role("link", name="A cat")).to_have_attribute("href", "https://example.com/cat.png")

    @pytest.mark.parametrize(
        ("address", "leads_to"),
        [
            ("/projects/1/?a=b#c", "{own}/projects/1/?a=b#c"),
            ("./x", "{own}/x"),
            ("../x", "{own}/x"),
            ("x.html", "{own}/x.html"),
            ("#a", "{own}/#a"),
            ("?page=2", "{own}/?page=2"),
            ("//evil.example/", "http://evil.example/"),
            ("/\\evil.example/", "http://evil.example/"),
            ("mailto:help@example.com", "mailto:help@example.com"),
        ],
    )
    def test_a_relative_link_leads_into_the_own_site(self, loaded: Reader, address: str, leads_to: str) -> None:
        html = loaded.page.evaluate("text => draw(text)", f"[a]({address})")

        assert f'<a href="{leads_to.format(own=loaded.server.url)}" target="_blank"' in html

    @pytest.mark.parametrize("address", ["", "javascript:x", "data:x", "/#token=key", "#a=b&token=key", "http://["])
    def test_what_must_not_be_a_link_is_shown_as_it_was_written(self, loaded: Reader, address: str) -> None:
        assert (
            loaded.page.evaluate("text => draw(text)", f"[a]({address})")
            == f"<p>[a]({address.replace('&', '&amp;')})</p>"
        )

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

Then \\(a_1 * b_2 * c\\), \\,dx and
\\[
- x \\\\
# y
\\] so
$$ a

\\begin{align}
1. x
2. y
\\end{align}

> - ```
>   in
> - \\[ z

\\[1] one
\\[2] two

~~~
open 🐢
- end
"""


class TestMarkdown:
    def test_markdown_is_the_same_however_it_arrives(self, loaded: Reader) -> None:
        found = loaded.page.evaluate(
            """(text) => {
                const draw = drawWithButton;
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
            ("- a\n  - b\n    - c\n- d", '<ul dir="ltr"><li><p>a</p><ul dir="ltr"><li><p>b</p>'
             '<ul dir="ltr"><li><p>c</p></li></ul></li></ul></li>'
             '<li><p>d</p></li></ul>'),
            ("3. a\n4. b", '<ol start="3" dir="ltr"><li><p>a</p></li><li><p>b</p></li></ol>'),
            ("1. a\n  - b\n\n2. c", '<ol dir="ltr"><li><p>a</p><ul dir="ltr"><li><p>b</p></li></ul></li>'
             '<li><p>c</p></li></ol>'),
            ("Then:\n- a", '<p>Then:</p><ul dir="ltr"><li><p>a</p></li></ul>'),
            ("in\n1986. a", "<p>in<br>1986. a</p>"),
            ("> a\n> > b", '<blockquote dir="ltr"><p>a</p><blockquote dir="ltr"><p>b</p></blockquote></blockquote>'),
            ("a|b\n:-:|-:\n1|2|3\n4", '<div class="table" tabindex="0" dir="ltr"><table>'
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
        ("text", "html"),
        [
            (r"\(a^2\) and \,dx", r"<p><m>\(a^2\)</m> and \,dx</p>"),
            (r"\(a_1 * b_2 * c\)", r"<p><m>\(a_1 * b_2 * c\)</m></p>"),
            (r"$x_1 * y_1$, $$a *b* c$$", r"<p><m>$x_1 * y_1$</m>, <m>$$a *b* c$$</m></p>"),
            ("\\[\n- a \\\\\n# b\n\\]", "<p><m>\\[\n- a \\\\\n# b\n\\]</m></p>"),
            ("a\n$$\n1. b\n$$\nc", "<p>a</p><p><m>$$\n1. b\n$$</m></p><p>c</p>"),
            (r"\begin{a*}x_1 *y*\end{a*} *z*", r"<p><m>\begin{a*}x_1 *y*\end{a*}</m> <em>z</em></p>"),
            (r"open \[ a \\ b \; \{ \| \%", r"<p>open \[ a \\ b \; \{ \| \%</p>"),
            (r"\[1] a", r"<p>\[1] a</p>"),
            (r"`\(` *a* `\)`", r"<p><code>\(</code> <em>a</em> <code>\)</code></p>"),
            (r"\$5 and $6 *or* $7_000", "<p>$5 and $6 <em>or</em> $7_000</p>"),
            ("- \\[\n  - a\n  \\]\n- b", '<ul dir="ltr"><li><p><m>\\[\n- a\n\\]</m></p></li><li><p>b</p></li></ul>'),
        ],
    )  # fmt: skip
    def test_formulas_stay_as_they_were_written(self, loaded: Reader, text: str, html: str) -> None:
        drawn = loaded.page.evaluate("text => draw(text)", text)

        assert drawn == html.replace("<m>", '<span class="math">').replace("</m>", "</span>")

    @pytest.mark.parametrize(
        ("head", "line"),
        [
            ("", "- item *{}* and more\n"),
            ("|a|b|\n|-|-|\n", "|cell {}|*b*|\n"),
            ("", "> - quoted {}\n"),
            ("```\n", "{}\n"),
        ],
    )
    def test_what_does_not_change_is_not_drawn_again(self, loaded: Reader, head: str, line: str) -> None:
        """While a list of 500 items is written, in pieces of four characters."""
        text = head + "".join(line.format(number) for number in range(500))
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
        made = loaded.page.evaluate(
            """(pieces) => {
                const create = document.createElement;
                let made = 0;
                document.createElement = (tag) => (made += 1, create.call(document, tag));
                draw(...pieces);
                delete document.createElement;
                return made;
            }""",
            pieces,
        )

        assert 0 < made < 8 * len(pieces)

    @pytest.mark.parametrize(
        "unit",
        ["[", "![", "[a](", "[a](b (", "[a](b \"", "*", "*a ", "**a *b ", "_a", "`", "`a``b", "~~a", "> ", ">", "- ",
         "1. ", "- a\n", "  - a\n", "#", "# \n", "|", "a|b\n-|-\n", "|\n|-|\n", "\\", "<", "<http://", "http://a.",
         "((", "\t", " ", "\r\n", "***a", "- + ", "> - ", "~~~\n", "```a\n", "`" * 3 + " " * 9, "-" * 9 + " ", ":-|",
         ".", "&#", "\\[", "\\(", "\\[\n", "\\(a\\)", "$", "$a ", "$a_", "$$", "$$\n", "a\n$$ ", "\\begin{a}",
         "\\begin{a}\n", "\\\\"],
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
