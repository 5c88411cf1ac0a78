package message

import (
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

// The rows T13 to T22 and T30: whose mail is it, and what is shown of that?

// fromField parses a mail with that From field.
func fromField(t *testing.T, value string) (m *Message, a Address, sole bool) {
	t.Helper()
	m = Parse(mail("From: "+value, "x"))
	a, sole = m.Author()
	return m, a, sole
}

func TestT13OneAddressOneKey(t *testing.T) {
	for want, forms := range map[string][]string{
		"a@example.com":     {"a@example.com", "A@EXAMPLE.com", "a@example.com.", "<A@Example.Com.>", "Ann <a@example.com>", "a @ example.com", `"a"@example.com`},
		"a+tag@example.com": {"a+tag@example.com", "A+TAG@example.com"}, // whose tag it is decides the desk
		"jörg@xn--mller-kva.example": {
			"jörg@müller.example", "jo\u0308rg@mu\u0308ller.example", "JÖRG@MÜLLER.Example", "jörg@XN--MLLER-KVA.example.",
			"=?utf-8?q?J=C3=B6rg?= <jörg@müller.example>",
		},
		"x@xn--e1afmkfd.xn--p1ai": {"x@пример.рф", "x@ПРИМЕР.РФ", "x@xn--e1afmkfd.xn--p1ai", "x@пример.xn--p1ai", "x@xn--e1afmkfd.рф."},
	} {
		for _, form := range forms {
			if _, a, _ := fromField(t, form); a.Key() != want {
				t.Errorf("%q has the key %q, want %q", form, a.Key(), want)
			}
		}
	}
	if (Address{Local: "a", Domain: "example.com"}).Key() == (Address{Local: "a+tag", Domain: "example.com"}).Key() {
		t.Error("a tag is lost")
	}
}

func TestT14TheDomainIsWhatFollowsTheLastAt(t *testing.T) {
	for in, local := range map[string]string{
		`<"admin@legit.com"@attack.com>`:              "admin@legit.com",
		`"admin@legit.com"@attack.com`:                "admin@legit.com",
		`legit <"admin@legit.com> "@attack.com>`:      "admin@legit.com> ",
		`<"a\"@legit.com"@attack.com>`:                `a"@legit.com`,
		`"legit.com" <"admin@legit.com"@attack.com.>`: "admin@legit.com",
	} {
		_, a, sole := fromField(t, in)
		if !sole || a.Local != local || DomainKey(a.Domain) != "attack.com" || !strings.HasSuffix(a.Key(), "@attack.com") {
			t.Errorf("%s: %+v, sole %v", in, a, sole)
		}
		if again, err := ParseAddress(a.String()); err != nil || again.Key() != a.Key() {
			t.Errorf("%s is shown as %q, which is %+v", in, a.String(), again)
		}
	}
}

// Each is either the one mailbox that a strict reader finds, or nobody's; none is
// legit.com's.
func TestT15OneMailboxOrNone(t *testing.T) {
	for in, want := range map[string]string{
		`<@legit.com,@x.example:a@attack.com>`:        "",
		`<@legit.com:a@attack.com>`:                   "",
		`legit.com: a@attack.com;`:                    "",
		`legit: ;`:                                    "",
		`a@attack.com (admin@legit.com)`:              "a@attack.com",
		`(admin@legit.com) a@attack.com`:              "a@attack.com",
		`a@attack.com (x \) (admin@legit.com))`:       "a@attack.com",
		`"admin\@legit.com" <a@attack.com>`:           "a@attack.com",
		`=?utf-8?b?YWRtaW5AbGVnaXQuY29t?=`:            "",
		`=?utf-8?q?admin=40legit.com=2C?= a@b.com`:    "",
		`=?utf-8?q?a=40legit.com?= <a@attack.com>`:    "a@attack.com",
		`<=?utf-8?q?admin=40legit.com?=>`:             "",
		`<a@attack.com>@legit.com`:                    "",
		`admin@legit.com <a@attack.com>`:              "a@attack.com",
		`<admin@legit.com>, <a@attack.com>`:           "",
		`<admin@legit.com`:                            "",
		`a@attack.com\,admin@legit.com`:               "",
		`<a@attack.com, admin@legit.com>`:             "",
		`<a@attack.com>, "`:                           "",
		`"admin@legit.com"`:                           "",
		`=?utf-8?b?YWRtaW5AbGVnaXQuY29t?=@attack.com`: "",
		`<a@attack.com> legit`:                        "",
		`"a"b@attack.com`:                             "",
		`<admin@legit.com@attack.com>`:                "",
		`admin(x)@(y)legit.com@attack.com`:            "",
		`<admin@legit.com>` + "\r\n <a@attack.com>":   "",
	} {
		_, a, sole := fromField(t, in)
		if !sole && want != "" || sole && a.Key() != want {
			t.Errorf("%s: %+v, sole %v, want %q", in, a, sole, want)
		}
	}
}

func TestT16OnlyFromIsWhoWrote(t *testing.T) {
	const others = "Sender: x@evil.example\nReply-To: x@evil.example\nResent-From: x@evil.example\nResent-Sender: x@evil.example\nReturn-Path: <x@evil.example>"
	m := Parse(mail("From: a@b.example\n"+others, "x"))
	if a, ok := m.Author(); !ok || a.Key() != "a@b.example" {
		t.Errorf("%+v, %v", a, ok)
	}
	if a, ok := Parse(mail(others, "x")).Author(); ok || a.Key() != "" {
		t.Errorf("a mail without From is %q's", a.Key())
	}
}

func TestT17NoUsableFrom(t *testing.T) {
	for name, header := range map[string]string{
		"empty": "From:", "blank": "From: \t ", "missing": "X-From: a@b.example", "words": "From: MAILER-DAEMON", "junk": "From: @@@ <<>>, ;:",
		"null": "From: <>", "no domain": "From: <a@>", "no local": "From: <@b.example>", "broken domain": "From: <a@b..example>", "literal": "From: <a@[1 2]>",
	} {
		m := Parse(mail(header, "Hello."))
		if a, ok := m.Author(); ok {
			t.Errorf("%s: %+v", name, a)
		}
		if !hasDefect(m, "from_missing") && !hasDefect(m, "from_not_one_mailbox") {
			t.Errorf("%s: %q", name, m.Defects)
		}
		if !strings.Contains(m.Text, "Hello.") {
			t.Errorf("%s: the text is %q", name, m.Text)
		}
	}
}

func TestT18NoControlsInAnAddress(t *testing.T) {
	for _, in := range []string{
		"<a\x00@b.example>", "<a@b.example\x00.evil.example>", "a@b.example\x00", "<\x00a@b.example>",
		"=?utf-8?q?a=00=40b.example?=", "<=?utf-8?q?a=0D=0Ab?=@b.example>", "=?utf-8?b?YUBiLmV4YW1wbGUNClRvOiB4QHkueg==?=",
		"<\"a\\\r\nX: y\"@b.example>", "<a@b\x01.example>", "<\"a\x7f\"@b.example>", "<a\u202e@b.example>", "<a\u200b@b.example>", "<a@b\u200b.example>", "<a@b.example\xff>",
	} {
		m, a, sole := fromField(t, in)
		if sole {
			t.Errorf("%q is somebody's: %+v", in, a)
		}
		for _, f := range m.From {
			if strings.ContainsAny(f.String()+f.Key()+f.Name, "\x00\r\n\x01\x7f") {
				t.Errorf("%q gives %+v", in, f)
			}
		}
	}
}

func TestT19TwoFromFields(t *testing.T) {
	for _, header := range []string{
		"From: a@b.example\nFrom: c@d.example", "From: a@b.example\nfrom: a@b.example", "FROM : a@b.example\nX: y\nFrom: c@d.example",
		"From:\n a@b.example\nFrom: c@d.example", "From: a@b.example\nFrom:", "From: a@b.example\nFrom\t: c@d.example",
	} {
		m := Parse(mail(header, "x"))
		if a, ok := m.Author(); ok {
			t.Errorf("%q is %+v's", header, a)
		}
		if strings.Join(m.Duplicated, " ") != "From" {
			t.Errorf("%q: twice are %q", header, m.Duplicated)
		}
	}
}

func TestT20TwoAddressesInFrom(t *testing.T) {
	for _, in := range []string{
		"a@b.example, c@d.example", "a@b.example, c@b.example", "<a@b.example>; <c@d.example>", "a@b.example, Ann",
	} {
		if _, a, sole := fromField(t, in); sole {
			t.Errorf("%q is %+v's", in, a)
		}
	}
}

func TestT21ANameIsOnlyAName(t *testing.T) {
	for in, marked := range map[string]bool{
		`"ceo@legit.com" <x@evil.example>`:                        true,
		`ceo@legit.com <x@evil.example>`:                          true,
		`"The boss (ceo@legit.com)" <x@evil.example>`:             true,
		`"ceo＠legit.com" <x@evil.example>`:                        true,
		`=?utf-8?q?ceo=40legit=2Ecom?= <x@evil.example>`:          true,
		`=?utf-8?q?ceo=40=E2=80=8Blegit=2Ecom?= <x@evil.example>`: true,
		`x@evil.example (ceo@legit.com)`:                          true,
		`"x@evil.example via ceo@legit.com" <x@evil.example>`:     true,
		`"x@evil.example" <X@Evil.example>`:                       false,
		`"x@xn--mller-kva.example" <x@müller.example>`:            false,
		`"Ann @ Firm" <x@evil.example>`:                           false,
		`Ann <x@evil.example>`:                                    false,
	} {
		_, a, _ := fromField(t, in)
		if a.Key() != "x@evil.example" && a.Domain != "müller.example" {
			t.Errorf("%s has the address %q", in, a.String())
		}
		if a.NameHoldsAddress != marked {
			t.Errorf("%s: marked %v, the name is %q", in, a.NameHoldsAddress, a.Name)
		}
	}
}

func TestT22NothingHiddenIsShown(t *testing.T) {
	const hidden = "\u202e\u2066\u2069\u200b\u200e\u2060\ufeff\u00ad\x00"
	encoded := "=?utf-8?q?" + quotedPrintable("a"+hidden+"b") + "?="
	header := "From: " + encoded + " <x@y.example>\nSubject: " + encoded +
		"\nContent-Type: text/plain\nContent-Disposition: attachment; filename*=utf-8''" + percent("a"+hidden+"b.txt")
	raw := mail(header, "x")
	m := Parse(raw)
	if m.Subject != "ab" || m.From[0].Name != "ab" || names(m) != "ab.txt" {
		t.Errorf("subject %q, name %q, file %q", m.Subject, m.From[0].Name, names(m))
	}
	if got := m.Header.Get("Subject"); !strings.Contains(got, "=E2=80=AE") {
		t.Errorf("the raw field is %q", got)
	}
}

func quotedPrintable(s string) string { return strings.ReplaceAll(percent(s), "%", "=") }

func percent(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c > ' ' && c < 127 {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + string(digits[c>>4]) + string(digits[c&15]))
	}
	return b.String()
}

func TestT30LookAlikes(t *testing.T) {
	for domain, marked := range map[string]bool{
		"аррӏе.com":               true, // all Cyrillic
		"xn--80ak6aa92e.com":      true, // the same
		"XN--80AK6AA92E.Com.":     true,
		"аpple.com":               true, // one letter
		"mail.аррӏе.com":          true,
		"аррӏе-2.com":             true,
		"раураӏ.com":              true,
		"ɡοοɡle.com":              true, // Greek among Latin
		"ορασα.com":               true, // all Greek
		"օռսհ.com":                true, // all Armenian
		"ᎪᎳᎬ.com":                 true, // all Cherokee
		"ցoogle.com":              true, // Armenian among Latin
		"пример.xn--pple-43d.com": true,

		"apple.com":             false,
		"müller.de":             false,
		"xn--mller-kva.de":      false,
		"пример.рф":             false,
		"xn--e1afmkfd.xn--p1ai": false,
		"пример.com":            false,
		"ооо.рф":                false, // letters that look Latin, and no Latin claimed
		"xn--n1aa.xn--p1ai":     false,
		"παράδειγμα.gr":         false,
		"հայաստան.հայ":          false,
		"例え.jp":                 false,
		"xn--.com":              false,
		"xn--80ak6aa92e!.com":   false,
		"":                      false,
	} {
		a := Address{Local: "x", Domain: domain}
		if a.mark(); a.MixedScript != marked {
			t.Errorf("%s: marked %v", domain, a.MixedScript)
		}
	}
	if _, a, sole := fromField(t, "почта@пример.рф"); !sole || a.MixedScript || a.Key() != "почта@xn--e1afmkfd.xn--p1ai" {
		t.Errorf("%+v, sole %v", a, sole)
	}
	if _, a, sole := fromField(t, "x@xn--80ak6aa92e.com"); !sole || !a.MixedScript {
		t.Errorf("%+v, sole %v", a, sole)
	}
	apple, fake := DomainKey("apple.com"), DomainKey("аррӏе.com")
	if apple == fake || fake != "xn--80ak6aa92e.com" || DomainKey("XN--80AK6AA92E.com.") != fake {
		t.Errorf("%q and %q", apple, fake)
	}
	for _, label := range []string{"bücher", "例え", "пример", "παράδειγμα", "faß", "straße"} {
		ascii, err := idna.Lookup.ToASCII(label)
		if err != nil {
			t.Fatal(err)
		}
		if DomainKey(label+".example") != DomainKey(strings.ToUpper(ascii)+".example.") {
			t.Errorf("%s and %s are two domains", label, ascii)
		}
	}
}
