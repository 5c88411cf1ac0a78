package message

import (
	"regexp"
	"strings"
	"testing"

	"github.com/microcosm-cc/bluemonday"
)

// hostileHTML are tricks of the kind that got through sanitisers.
var hostileHTML = []string{
	`<script>alert(1)</script>x`,
	`<scr<script>ipt>alert(1)</scr</script>ipt>`,
	`<img src=x onerror=alert(1)>`,
	`<img src="https://t.example/p.gif" srcset="https://t.example/2x 2x" width=1 height=1>`,
	`<a href="java&#10;script:alert(1)">x</a><a href=" &#1; javascript:alert(1)">y</a><a href="vbscript:x">z</a>`,
	`<a href="data:text/html;base64,PHNjcmlwdD4=">x</a><a href="//evil.example/x">y</a>`,
	`<svg><style><a title="</style><img src=x onerror=alert(1)>">`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>`,
	`<style>@import url(//evil)</style><p style="background:url(//e);color:red">x`,
	`<p style="color:\75 rl(//e);width:1px">x<p style="background:image-set('//e' 1x)">y<p style="position:fixed;top:0">z`,
	`<form action="https://evil"><input name=p><button>go</button></form>`,
	`<base href="https://evil/"><meta http-equiv=refresh content="0;url=//evil"><link rel=stylesheet href=//evil>`,
	`<iframe srcdoc="<script>alert(1)</script>"></iframe><object data=x></object><embed src=x>`,
	`<template><script>alert(1)</script></template><select><option><style></select><img src=x onerror=1>`,
	`<table background="//evil"><tr><td background="//evil">x`,
	`<!--[if mso]><img src=//evil><![endif]--><![CDATA[<img src=//evil>]]>`,
	`<a href="http://a" title="&quot;><script>alert(1)</script>">x</a>`,
	`<textarea></textarea><script>alert(1)</script></textarea>`,
	`<xmp><img src=x onerror=alert(1)></xmp><plaintext><b>x`,
	"<img src='cid:a\"onerror=alert(1)'><p title='a\x00b'>\x00",
	`</div></div></td></table></body></html><div>&#13;&#0;&lt;script&gt;`,
	`<p style="font-family:'a;color:red">x<p style='font-family:"Segoe UI", Arial;margin:-99px'>y`,
	`<video poster=//evil><source src=//evil></video><audio src=//evil>`,
	`<a href="https://аррӏе.com/">look</a>`,
}

func TestSanitizeHTMLHostile(t *testing.T) {
	gate := secondOpinion()
	for _, s := range hostileHTML {
		once := SanitizeHTML(s)
		checkHTML(t, once)
		if strings.Contains(once, "alert(1)") && strings.Contains(once, "<script") {
			t.Errorf("S01 %q gave %q", s, once)
		}
		if twice := SanitizeHTML(once); twice != once {
			t.Errorf("S01 not stable: %q then %q", once, twice)
		}
		if other := gate.Sanitize(once); other != once {
			t.Errorf("the second opinion differs:\n%q\n%q", once, other)
		}
	}
}

// secondOpinion is a bluemonday policy with the same elements and attributes.
func secondOpinion() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	for tag := range elements {
		p.AllowElements(tag.String())
		p.AllowNoAttrs().OnElements(tag.String())
	}
	for _, a := range attributeList[attrAlt+1:] {
		p.AllowAttrs(a.name).Globally()
	}
	p.AllowAttrs("title", "target", "rel", "style").Globally()
	p.AllowAttrs("alt").OnElements("img")
	p.AllowAttrs("data-remote-src").Matching(regexp.MustCompile(`^https?://`)).OnElements("img")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("src").Matching(regexp.MustCompile(`^(cid:|data:image/)`)).OnElements("img")
	p.AllowURLSchemes("http", "https", "mailto", "tel", "cid", "data")
	return p
}

func TestSanitizeHTML(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", `<p>Hi <b>you</b> &amp; me</p>`, `<p>Hi <b>you</b> &amp; me</p>`},
		{"remote picture", `<img src="http://x.example/a.png" alt="A">`, `<img data-remote-src="http://x.example/a.png" alt="A">`},
		{"protocol-relative picture", `<img src="//x.example/a.png">`, `<img data-remote-src="https://x.example/a.png">`},
		{"cid picture", `<img src=CID:a@b>`, `<img src="cid:a@b">`},
		{"S08 link", `<a href="HTTPS://x.example/?a=1&b=2" onclick=x>y</a>`, `<a href="https://x.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">y</a>`},
		{"S08 IDN", `<a href="https://bücher.example/ä">y</a>`, `<a href="https://xn--bcher-kva.example/%C3%A4" target="_blank" rel="noopener noreferrer">y</a>`},
		{"S02 style", `<p style="COLOR: red; position:fixed; background:url(x); margin: 1px  2px">x</p>`, `<p style="color:red;margin:1px 2px">x</p>`},
		{"balance", `<div><b>x`, `<div><b>x</b></div>`},
		{"stray end", `x</div></table>y`, `xy`},
		{"cell keeps its border", `<div><table><tr><td>a</div>b</td></tr></table></div>`, `<div><table><tr><td>ab</td></tr></table></div>`},
		{"paragraphs", `<p>a<p>b<ul><li>c<li>d</ul>`, `<p>a</p><p>b</p><ul><li>c</li><li>d</li></ul>`},
		{"head", `<html><head><title>T</title><style>x</style></head><body bgcolor=red>y</body></html>`, `y`},
		{"form", `<form><label>Name <input value=x></label></form>`, `Name `},
		{"escaped twice", `&amp;lt;b&amp;gt;`, `&amp;lt;b&amp;gt;`},
		{"M04 text stays text", `&lt;script&gt;alert(1)&lt;/script&gt;`, `&lt;script&gt;alert(1)&lt;/script&gt;`},
	} {
		if got := SanitizeHTML(c.in); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestTextFromHTML(t *testing.T) {
	for in, want := range map[string]string{
		`<p>Hi  there,</p><p>second<br>line</p>`: "Hi there,\n\nsecond\nline",
		`<div>a</div><div>b</div>`:               "a\nb",
		`<ul><li>x<li>y</ul>`:                    "- x\n- y",
		`see <a href="https://x.example/a">here</a> or <a href="https://x.y">x.y</a>`: "see here (https://x.example/a) or x.y",
		`<style>p{}</style><script>x</script>a&nbsp;&amp;&lt;b`:                       "a &<b",
		`reply<blockquote>old<br>text</blockquote>`:                                   "reply\n> old\n> text",
		`<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>`:             "a b\nc",
		"<pre>a\n  b</pre>": "a\n  b",
	} {
		if got := TextFromHTML(in); got != want {
			t.Errorf("%s:\n got %q\nwant %q", in, got, want)
		}
	}
}
