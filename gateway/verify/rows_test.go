package verify

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

// The rows of keys and DNS once more, with our resolver over a real server.
func TestRealDNS(t *testing.T) {
	const key = "sel._domainkey.example.org"
	raw := forgery{}.signed(t, plainMail)
	begin := func(t *testing.T, zone map[string][]string) (*testbed.DNSServer, func() Auth) {
		t.Helper()
		zone["_dmarc.example.org TXT"] = []string{"v=DMARC1; p=reject"}
		dns := testbed.DNS(t, zone)
		r := NewResolver(ResolverOptions{Server: dns.Addr(), Timeout: 300 * time.Millisecond})
		return dns, func() Auth { return verifyMail(t, r, raw) }
	}
	usual := func() map[string][]string { return map[string][]string{key + " TXT": {keyRecord(rsaKey())}} }
	again := func(t *testing.T, verify func() Auth) {
		t.Helper()
		a := verify()
		wantResults(t, a, "pass")
		wantVerdict(t, a, "verified")
	}

	t.Run("K01 a key of several strings", func(t *testing.T) {
		_, verify := begin(t, usual())
		again(t, verify)
	})
	t.Run("K06 CNAME chain", func(t *testing.T) {
		_, verify := begin(t, map[string][]string{
			key + " CNAME":             {"a.esp.example."},
			"a.esp.example CNAME":      {"B.esp.example."},
			"b.esp.example CNAME":      {"keys.other.example."},
			"keys.other.example TXT":   {keyRecord(rsaKey())},
			"_dmarc.example.org CNAME": {"d.other.example."},
			"d.other.example TXT":      {"v=DMARC1; p=reject"},
		})
		again(t, verify)
	})
	t.Run("K06 CNAME to nothing", func(t *testing.T) {
		_, verify := begin(t, map[string][]string{key + " CNAME": {"gone.example."}})
		a := verify()
		wantResults(t, a, "permerror")
		wantVerdict(t, a, "failed")
	})
	t.Run("K06 CNAME loop", func(t *testing.T) {
		_, verify := begin(t, map[string][]string{key + " CNAME": {"loop.example."}, "loop.example CNAME": {key + "."}})
		wantResults(t, verify(), "permerror")
	})
	t.Run("K06 two records", func(t *testing.T) {
		_, verify := begin(t, map[string][]string{key + " TXT": {keyRecord(rsaKey()), keyRecord(otherKey())}})
		a := verify()
		wantResults(t, a, "permerror")
		wantVerdict(t, a, "failed")
	})
	t.Run("K06 revoked", func(t *testing.T) {
		_, verify := begin(t, map[string][]string{key + " TXT": {"v=DKIM1; p="}})
		wantResults(t, verify(), "permerror")
	})
	t.Run("K07 no such name", func(t *testing.T) {
		dns, verify := begin(t, map[string][]string{})
		a := verify()
		wantResults(t, a, "permerror")
		wantVerdict(t, a, "failed")
		if n := dns.Queries(key); n != 1 {
			t.Errorf("%d questions: it must be said at once", n)
		}
	})
	t.Run("K07 a name without TXT", func(t *testing.T) {
		_, verify := begin(t, map[string][]string{key + " A": {"192.0.2.1"}})
		wantResults(t, verify(), "permerror")
	})
	for name, break_ := range map[string]func(*testbed.DNSServer, string){
		"SERVFAIL": (*testbed.DNSServer).Fail, "no answer": (*testbed.DNSServer).Hang,
	} {
		t.Run("K08 "+name+", and later an answer", func(t *testing.T) {
			dns, verify := begin(t, usual())
			break_(dns, key)
			a := verify()
			wantResults(t, a, "temperror")
			wantVerdict(t, a, "error")
			dns.Restore(key)
			again(t, verify)
		})
		t.Run("K08 "+name+" for all", func(t *testing.T) {
			dns, verify := begin(t, usual())
			break_(dns, "*")
			a := verify()
			wantResults(t, a, "temperror")
			wantVerdict(t, a, "error")
			if a.DMARC.Result != "temperror" || a.PolicyKnownNone {
				t.Errorf("%+v", a)
			}
			dns.Restore("*")
			again(t, verify)
		})
	}
	t.Run("K08 truncated over UDP", func(t *testing.T) {
		dns, verify := begin(t, usual())
		dns.Truncate("*")
		again(t, verify)
	})
	t.Run("K08 too long for UDP", func(t *testing.T) {
		_, verify := begin(t, map[string][]string{key + " TXT": {keyRecord(rsaKey()) + "; n=" + strings.Repeat("x", 2000)}})
		again(t, verify)
	})
}

// K13: the canonical bodies of RFC 6376, 3.4.3 and 3.4.4.
func TestK13Bodies(t *testing.T) {
	for name, c := range map[string]struct{ body, simple, relaxed string }{
		"empty":                     {"", "\r\n", ""},
		"one line end":              {"\r\n", "\r\n", ""},
		"only line ends":            {"\r\n\r\n\r\n", "\r\n", ""},
		"only blanks":               {" \t \r\n\t\r\n", " \t \r\n\t\r\n", ""},
		"no final line end":         {"a", "a\r\n", "a\r\n"},
		"no final line end, blanks": {"a \t", "a \t\r\n", "a\r\n"},
		"line ends behind":          {"a\r\n\r\n\r\n", "a\r\n", "a\r\n"},
		"line ends before":          {"\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		"blanks at the end":         {"a \t\r\nb\r\n", "a \t\r\nb\r\n", "a\r\nb\r\n"},
		"blanks inside":             {"a \t b\r\n", "a \t b\r\n", "a b\r\n"},
		"blanks before":             {" \ta\r\n", " \ta\r\n", " a\r\n"},
		"of the standard":           {" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
		"blank last line":           {"a\r\n \t", "a\r\n \t\r\n", "a\r\n"},
		"bare line feeds":           {"a\n\nb\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
		"carriage returns":          {"a\rb\r\n", "a\rb\r\n", "a\rb\r\n"},
	} {
		for relaxed, want := range map[bool]string{false: c.simple, true: c.relaxed} {
			h := bodyHasher{body: []byte(c.body)}
			got, err := h.sum(t.Context(), relaxed)
			if sum := sha256.Sum256([]byte(want)); err != nil || string(got) != string(sum[:]) {
				t.Errorf("%s, relaxed %v: not the hash of %q", name, relaxed, want)
			}
		}
	}
}

// K13: the canonical fields of RFC 6376, 3.4.1 and 3.4.2.
func TestK13Fields(t *testing.T) {
	for field, relaxed := range map[string]string{
		"A: X\r\n":                     "a:X\r\n",
		"B : Y\t\r\n\tZ  \r\n":         "b:Y Z\r\n",
		"Subject:\r\n":                 "subject:\r\n",
		"Subject: \t \r\n":             "subject:\r\n",
		"SUBJECT:a\r\n \r\n\tb\r\n":    "subject:a b\r\n",
		"Subject: a:  b : c\r\n":       "subject:a: b : c\r\n",
		"Subject: \xc3\xa4  \xff\r\n":  "subject:\xc3\xa4 \xff\r\n",
		"Subject: no line end":         "subject:no line end\r\n",
		"Subject: a\n b\n":             "subject:a b\r\n",
		"Subject:\r\n\tfolded at once": "subject:folded at once\r\n",
	} {
		if got := string(canonicalHeader(true, nil, []byte(field))); got != relaxed {
			t.Errorf("%q, relaxed: %q, want %q", field, got, relaxed)
		}
		simple := strings.ReplaceAll(strings.ReplaceAll(field, "\r\n", "\n"), "\n", "\r\n")
		simple = strings.TrimSuffix(simple, "\r\n") + "\r\n"
		if got := string(canonicalHeader(false, nil, []byte(field))); got != simple {
			t.Errorf("%q, simple: %q", field, got)
		}
	}
}
