package message

import (
	"strings"
	"testing"
	"unicode/utf8"

	xhtml "golang.org/x/net/html"
)

func FuzzParse(f *testing.F) {
	f.Add(plainMail(300))
	f.Add(alternativeMail(600))
	f.Add([]byte("From : a\r\n\r\n"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=A; boundary*0=B\n\n--A\nContent-Type: message/rfc822\n\nSubject: x\n\n--A--"))
	f.Add([]byte("Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b.c\nAction: failed\nStatus: 5.1.1\n--b--\n"))
	f.Add([]byte("Content-Type: text/plain; format=flowed; delsp=yes\nContent-Transfer-Encoding: base64\n\nPiB4IA0KPiB5IA=\n-- \nfooter"))
	f.Add([]byte("Content-Disposition: attachment; filename*0*=utf-8''%2e%2e%2fx; filename*1=y\n\nbegin 644 a\n#86)C\n`\nend\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := Parse(raw)
		checkSafe(t, m)
		if a, ok := m.Author(); ok && !a.Valid() {
			t.Errorf("author %+v", a)
		}
	})
}

func FuzzParseAddressList(f *testing.F) {
	for _, s := range []string{
		`"Doe, Ann" <a@b.c>, x@y.z`, `Team: a@b.c, <"admin@legit.com"@attack.com>;`, `<@r:a@b.c>`, `(c(d)) a@b.c (e)`,
		`=?utf-8?Q?a,b?= <a@b.c>`, `"open <a@b.c`, `<<a@b.c>>`, "a\\,b@c", `"\"@x" <y@z.w>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, a := range ParseAddressList(s) {
			if !utf8.ValidString(a.String()+a.Name) || strings.ContainsAny(a.String()+a.Name, "\x00\r\n") {
				t.Fatalf("unclean: %+q", a)
			}
			if !a.Valid() {
				continue
			}
			again, err := ParseAddress(a.String())
			if err != nil || again.Key() != a.Key() {
				t.Fatalf("%q came back as %q: %v", a.String(), again.String(), err)
			}
			if key, err := ParseAddress(a.Key()); err == nil && key.Key() != a.Key() {
				t.Fatalf("key %q has the key %q", a.Key(), key.Key())
			}
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	for _, s := range []string{
		"=?utf-8?Q?a=C3=?= =?utf-8?Q?=A4b?=", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "=?x?q?=00=0D=0A?=", "a =?utf-7?Q?+AGE-?= b",
		"\xe9\xff", "=?utf-8*en?b?w6Q?=", "=?utf-8?q?a b?=",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := DecodeHeader(s)
		if !utf8.ValidString(out) || strings.ContainsAny(out, "\x00\r\n\u202e\u200b") {
			t.Fatalf("unclean: %q", out)
		}
	})
}

func FuzzSanitizeHTML(f *testing.F) {
	for _, s := range hostileHTML {
		f.Add(s)
	}
	f.Add(`<table><tr><td>a<td>b<tr><td><p>x<p>y</table><ul><li>a<li>b</ul>`)
	f.Add(`<a href="https://пример.рф/x?a=b&amp;c"><b><i>t</b></i></a>`)
	f.Fuzz(func(t *testing.T, s string) {
		once := SanitizeHTML(s)
		checkHTML(t, once)
		if twice := SanitizeHTML(once); twice != once {
			t.Fatalf("not stable:\n%q\n%q", once, twice)
		}
		if text := TextFromHTML(s); !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			t.Fatalf("unclean text: %q", text)
		}
	})
}

// checkHTML reads markup as a parser does and finds what must not be there.
func checkHTML(t testing.TB, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("broken UTF-8: %q", s)
	}
	z := xhtml.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case xhtml.ErrorToken:
			return
		case xhtml.CommentToken, xhtml.DoctypeToken:
			t.Fatalf("comment or doctype in %q", s)
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken, xhtml.EndTagToken:
			token := z.Token()
			if elements[token.DataAtom] == 0 {
				t.Fatalf("<%s> in %q", token.Data, s)
			}
			for _, a := range token.Attr {
				checkAttr(t, a, s)
			}
		}
	}
}

func checkAttr(t testing.TB, a xhtml.Attribute, s string) {
	t.Helper()
	lower := strings.ToLower(a.Val)
	switch {
	case strings.HasPrefix(a.Key, "on"), a.Key == "srcset", a.Key == "background", a.Key == "id", a.Key == "class", a.Key == "name", a.Key == "action":
		t.Fatalf("attribute %s in %q", a.Key, s)
	case a.Key == "src" && !strings.HasPrefix(lower, "cid:") && !strings.HasPrefix(lower, "data:image/"):
		t.Fatalf("remote src %q in %q", a.Val, s)
	case a.Key == "href" && !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") && !strings.HasPrefix(lower, "mailto:") && !strings.HasPrefix(lower, "tel:"):
		t.Fatalf("href %q in %q", a.Val, s)
	case a.Key == "style" && (strings.ContainsAny(lower, `\@<>{}`) || strings.Contains(lower, "url(") || strings.Contains(lower, "expression") || strings.Contains(lower, "position")):
		t.Fatalf("style %q in %q", a.Val, s)
	}
}
