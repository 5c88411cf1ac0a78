package message

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ in, str, key string }{
		{"a@b.example", "a@b.example", "a@b.example"},
		{"A@EXAMPLE.com.", "A@EXAMPLE.com.", "a@example.com"},
		{`"admin@legit.com"@attack.com`, `"admin@legit.com"@attack.com`, `"admin@legit.com"@attack.com`},
		{`"plain"@b.example`, "plain@b.example", "plain@b.example"},
		{"first.last.@docomo.ne.jp", "first.last.@docomo.ne.jp", "first.last.@docomo.ne.jp"},
		{"jo\u0308rg@mu\u0308ller.example", "jörg@müller.example", "jörg@xn--mller-kva.example"},
		{"JÖRG@MÜLLER.example", "JÖRG@MÜLLER.example", "jörg@xn--mller-kva.example"},
		{"x@[192.0.2.1]", "x@[192.0.2.1]", "x@[192.0.2.1]"},
		{"agent@localhost", "agent@localhost", "agent@localhost"},
	} {
		a, err := ParseAddress(c.in)
		if err != nil || a.String() != c.str || a.Key() != c.key || !a.Valid() {
			t.Errorf("%q: %q %q %v", c.in, a.String(), a.Key(), err)
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%q does not survive its own String: %+v, %v", c.in, again, err)
		}
	}
	for _, bad := range []string{
		"", "a", "@b", "a@", "a b@c", "a@b c", "a@b\x00.c", "a@b\r\n.c", "<a@b>", "a@b@c", `"a@b`, `"a"b@c`, "a@-b",
		"a@b..c", "a\u202e@b.c", "a@b\xff", strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 256), "a@[1 2]", "=?utf-8?q?a?=",
	} {
		if a, err := ParseAddress(bad); err == nil {
			t.Errorf("%q was taken as %+v", bad, a)
		}
	}
}

func TestParseAddressList(t *testing.T) {
	for _, c := range []struct {
		name, in string
		plain    bool
		want     []string // name|address
	}{
		{"plain", "a@b.c", true, []string{"|a@b.c"}},
		{"name", `Ann Doe <a@b.c>`, true, []string{"Ann Doe|a@b.c"}},
		{"quoted", `"Doe, Ann" <a@b.c>, x@y.z`, true, []string{"Doe, Ann|a@b.c", "|x@y.z"}},
		{"comma in a bare name", `John, Doe <a@b.c>`, false, []string{"John, Doe|a@b.c"}},
		{"semicolons", `a@b.c; c@d.e`, false, []string{"|a@b.c", "|c@d.e"}},
		{"group", `Team: a@b.c, Ann <x@y.z>;`, false, []string{"|a@b.c", "Ann|x@y.z"}},
		{"empty group", `undisclosed-recipients:;`, false, nil},
		{"daemon", `MAILER-DAEMON`, false, []string{"MAILER-DAEMON|"}},
		{"T14 quoted local", `<"admin@legit.com"@attack.com>`, true, []string{`|"admin@legit.com"@attack.com`}},
		{"T15 route", `<@legit.com,@x.y:a@attack.com>`, false, []string{"|a@attack.com"}},
		{"T15 comment", `a@b.c (Ann (the) Doe)`, true, []string{"Ann (the) Doe|a@b.c"}},
		{"T15 encoded address", `=?utf-8?b?YWRtaW5AbGVnaXQuY29t?=`, false, []string{"admin@legit.com|"}},
		{"encoded comma", `=?utf-8?Q?Doe,_Ann?= <a@b.c>`, true, []string{"Doe, Ann|a@b.c"}},
		{"two in one item", `<a@legit.com> <b@evil.com>`, false, []string{"|a@legit.com", "|b@evil.com"}},
		{"two bare words", `a@legit.com b@evil.com`, false, []string{"|a@legit.com", "|b@evil.com"}},
		{"address as name", `a@legit.com <b@evil.com>`, true, []string{"a@legit.com|b@evil.com"}},
		{"unclosed angle", `Ann <a@b.c, x@y.z`, false, []string{"Ann|a@b.c", "|x@y.z"}},
		{"double angle", `<<a@b.c>>`, false, []string{"|a@b.c"}},
		{"unclosed quote", `"Ann <a@b.c>, x@y.z`, false, []string{"Ann|a@b.c", "|x@y.z"}},
		{"one bad item", `@@@, a@b.c`, false, []string{`|"@@"`, "|a@b.c"}},
		{"raw latin-1", "J\xf6rg <j@b.c>", true, []string{"Jörg|j@b.c"}},
		{"docomo", `<first.last.@docomo.ne.jp>`, true, []string{"|first.last.@docomo.ne.jp"}},
		{"T18 NUL", "<a\x00@b.c>", false, []string{"|a@b.c"}},
		{"T17 empty", "", true, nil},
		{"mailto", "<mailto:a@b.c>", false, []string{"|a@b.c"}},
		{"apostrophes", "'a@b.c'", false, []string{"|a@b.c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, plain := parseAddressList(c.in)
			var got []string
			for _, a := range list {
				got = append(got, a.Name+"|"+a.String())
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") || plain != c.plain {
				t.Errorf("got %q, plain %v", got, plain)
			}
		})
	}
}

func TestAddressMarks(t *testing.T) {
	for in, want := range map[string][2]bool{
		`"ceo@legit.com" <x@evil.example>`:  {true, false},
		`"x@evil.example" <X@Evil.example>`: {false, false},
		`"ceo＠legit.com" <x@evil.example>`:  {true, false},
		`Ann <a@b.c>`:                       {false, false},
		`x@аррӏе.com`:                       {false, true},
		`Раypal <x@y.z>`:                    {false, true},
		`Анна Иванова <x@пример.example>`:   {false, false},
	} {
		a := ParseAddressList(in)[0]
		if got := [2]bool{a.NameHoldsAddress, a.MixedScript}; got != want {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}
