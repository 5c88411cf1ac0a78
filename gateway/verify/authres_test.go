package verify

import (
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

func TestReadReport(t *testing.T) {
	for value, want := range map[string]string{
		"mx.example; none":      "mx.example:",
		"mx.example 1; none":    "mx.example:",
		"mx.example":            "mx.example:",
		"MX.Example.; spf=pass": "mx.example: spf=pass",
		`"mx.example"; dmarc=pass header.from=a.example`:                                                                    "mx.example: dmarc=pass header.from=a.example",
		"mx.example; spf=pass smtp.mailfrom=a@b.example; dkim=fail;":                                                        "mx.example: spf=pass smtp.mailfrom=a@b.example dkim=fail",
		"(c (n\\) ) ) mx.example (d) 1 (e);\r\n (f) dmarc (g) = (h) pass (i) header (j) . (k) from (l) = (m) a.example (n)": "mx.example: dmarc=pass header.from=a.example",
		`mx.example; dkim=fail reason="x; dkim=pass header.d=v.example"`:                                                    "mx.example: dkim=fail reason=x; dkim=pass header.d=v.example",
		"mx.example; dkim=fail (x; dmarc=pass header.from=v.example)":                                                       "mx.example: dkim=fail",
		`mx.example; spf=pass smtp.mailfrom="x; dmarc=pass header.from=v"@evil.example`:                                     "mx.example: spf=pass smtp.mailfrom=x; dmarc=pass header.from=v@evil.example",
		`mx.example; spf=pass smtp.mailfrom="a\"; dmarc=pass"@evil.example`:                                                 `mx.example: spf=pass smtp.mailfrom=a"; dmarc=pass@evil.example`,
		"mx.example; dmarc/1=pass": "mx.example: dmarc=pass",
		"mx.example; spf=pass (sender is 1.2.3.4) smtp.mailfrom=b.example; dmarc=pass action=none header.from=b.example; compauth=pass reason=100": "mx.example: spf=pass smtp.mailfrom=b.example dmarc=pass action=none header.from=b.example compauth=pass reason=100",
		`mx.example; dkim=pass header.b="ab+/c==" header.i=@b.example`:                                                                             "mx.example: dkim=pass header.b=ab+/c== header.i=@b.example",
		"mx.example; dkim=pass header.b=ab+/c==":                                                                                                   "mx.example: dkim=pass header.b=ab+/c==",
		`mx.example; dkim=fail reason=""`:                                                                                                          "mx.example: dkim=fail reason=",

		"":                              "broken",
		";":                             "broken",
		".; dmarc=pass":                 "broken",
		"mx.example 2; dmarc=pass":      "broken",
		"mx.example other; dmarc=pass":  "broken",
		"mx.example; dmarc":             "broken",
		"mx.example; =pass":             "broken",
		"mx.example; dmarc/2=pass":      "broken",
		"mx.example; (dmarc=pass":       "broken",
		`mx.example; dkim="pass`:        "broken",
		"mx.example; dkim=pass ) x=y":   "broken",
		"mx.example; dkim=pass \"x\"":   "broken",
		"mx.example; dkim=pass x\\;y=z": "broken",
		"mx.example, dmarc=pass":        "broken",
		"mx.example; none dmarc=pass":   "broken",
		strings.Repeat("(", 20) + strings.Repeat(")", 20) + "mx.example; none": "broken",
		"mx.example; a=b" + strings.Repeat(" c=d", 300):                        "broken",
		"mx.example" + strings.Repeat("; a=b", 100):                            "broken",
	} {
		r, ok := readReport(value)
		got := "broken"
		if ok {
			got = r.server + ":"
			for _, res := range r.results {
				got += " " + res.method + "=" + res.result
				for _, p := range res.props {
					got += " " + p.name + "=" + p.value
				}
			}
		}
		if got != want {
			t.Errorf("%q\n got  %q\n want %q", value, got, want)
		}
	}
}

func TestTrustedResults(t *testing.T) {
	const ours = "Authentication-Results: desk.example; dmarc=pass header.from=example.org\r\n"
	const pass = "Authentication-Results: mx.example; dmarc=pass header.from=example.org\r\n"
	const fail = "Authentication-Results: mx.example; dmarc=fail header.from=example.org\r\n"
	reject := []string{"v=DMARC1; p=reject"}
	for name, c := range map[string]struct {
		top, raw, want string
	}{
		"believed":                           {top: pass, want: "verified"},
		"case and From in other letters":     {top: "authentication-RESULTS : MX.Example.; DMARC=Pass header.From=EXAMPLE.org\r\n", want: "verified"},
		"folded":                             {top: "Authentication-Results:\r\n mx.example;\r\n\tdmarc=pass (p=reject)\r\n  header.from=example.org\r\n", want: "verified"},
		"with other methods":                 {top: "Authentication-Results: mx.example; spf=fail; dkim=none; dmarc=pass header.from=example.org\r\n", want: "verified"},
		"T10 ours is forged":                 {top: ours, want: "failed"},
		"T10 a stranger's":                   {top: strings.Replace(pass, "mx.example", "mx.evil.example", 1), want: "failed"},
		"T10 forged below the real one":      {top: fail + pass, want: "failed"},
		"T10 forged below a real one of spf": {top: "Authentication-Results: mx.example; spf=pass\r\n" + pass, want: "failed"},
		"a stranger's above":                 {top: strings.Replace(fail, "mx.example", "mx.evil.example", 1) + pass, want: "verified"},
		"another domain":                     {top: strings.Replace(pass, "=example.org", "=evil.example", 1), want: "failed"},
		"a subdomain":                        {top: strings.Replace(pass, "=example.org", "=a.example.org", 1), want: "failed"},
		"no domain":                          {top: strings.Replace(pass, " header.from=example.org", "", 1), want: "failed"},
		"two domains":                        {top: strings.Replace(pass, "\r\n", " header.from=evil.example\r\n", 1), want: "failed"},
		"two results":                        {top: strings.Replace(pass, "\r\n", "; dmarc=fail header.from=example.org\r\n", 1), want: "failed"},
		"D15 in a reason":                    {top: "Authentication-Results: mx.example; dkim=fail reason=\"x; dmarc=pass header.from=example.org\"\r\n", want: "failed"},
		"K15 in a comment":                   {top: "Authentication-Results: mx.example; dkim=fail (; dmarc=pass header.from=example.org)\r\n", want: "failed"},
		"spf alone":                          {top: "Authentication-Results: mx.example; spf=pass smtp.mailfrom=joe@example.org\r\n", want: "failed"},
		"K18 arc alone":                      {top: "Authentication-Results: mx.example; arc=pass\r\n", want: "failed"},
		"dkim alone":                         {top: "Authentication-Results: mx.example; dkim=pass header.d=example.org\r\n", want: "failed"},
		"two From fields":                    {top: pass + "From: x@evil.example\r\n", want: "failed"},
		"repeated Subject":                   {top: pass + "Subject: x\r\n", want: "unverified"},
	} {
		t.Run(name, func(t *testing.T) {
			a := verifyMail(t, usualZone().with("_dmarc.example.org", reject...), c.top+plainMail, func(o *Options) {
				o.TrustedAuthserv = []string{"other.example", "Mx.Example"}
			})
			wantVerdict(t, a, c.want)
			if c.want == "verified" && (a.DMARC.Result != "pass" || !a.Trusts("Subject") || a.AlignedPass) {
				t.Errorf("%+v", a)
			}
		})
	}
	t.Run("nothing is trusted by default", func(t *testing.T) {
		wantVerdict(t, verifyMail(t, usualZone(), pass+ours+plainMail), "unverified")
	})
	t.Run("our own id, when it is trusted", func(t *testing.T) {
		wantVerdict(t, verifyMail(t, usualZone(), ours+plainMail, func(o *Options) { o.TrustedAuthserv = []string{"desk.example"} }), "verified")
	})
	t.Run("SPF and ARC are recorded", func(t *testing.T) {
		a := verifyMail(t, usualZone(), "Authentication-Results: mx.example; spf=softfail smtp.mailfrom=<joe@Bounce.Example.org>;\r\n arc=pass (i=2) header.oldest-pass=1\r\n"+plainMail,
			func(o *Options) { o.TrustedAuthserv = []string{"mx.example"} })
		if a.SPF == nil || a.SPF.Result != "softfail" || a.SPF.Domain != "bounce.example.org" {
			t.Errorf("spf: %+v", a.SPF)
		}
		if a.ARC == nil || *a.ARC != (store.MethodResult{Result: "pass"}) {
			t.Errorf("arc: %+v", a.ARC)
		}
	})
	t.Run("DNS fails, the server in front knew", func(t *testing.T) {
		a := verifyMail(t, usualZone().fails("_dmarc.example.org"), pass+plainMail, func(o *Options) { o.TrustedAuthserv = []string{"mx.example"} })
		wantVerdict(t, a, "verified")
	})
}

func TestHeader(t *testing.T) {
	a := verifyMail(t, usualZone().with("_dmarc.example.org", "v=DMARC1; p=reject"),
		"Authentication-Results: mx.example; spf=pass smtp.mailfrom=joe@example.org\r\n"+
			forgery{breakValue: true}.field(t, plainMail)+forgery{s: "ed", key: ed25519Key()}.signed(t, plainMail),
		func(o *Options) { o.TrustedAuthserv = []string{"mx.example"} })
	const want = "Authentication-Results: desk.example;\r\n" +
		" dkim=fail reason=\"the header was changed or the key is another one\"\r\n" +
		" header.d=example.org header.s=sel header.a=rsa-sha256;\r\n" +
		" dkim=pass header.d=example.org header.s=ed header.a=ed25519-sha256;\r\n" +
		" dmarc=pass (p=reject) header.from=example.org;\r\n" +
		" spf=pass smtp.mailfrom=example.org"
	if got := a.Header("desk.example"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := verifyMail(t, usualZone(), "\r\n").Header("x"); got != "Authentication-Results: x;\r\n dkim=none;\r\n dmarc=none" {
		t.Errorf("%q", got)
	}
}

// What a mail claims can't break out of our field, and our own reader reads it
// back as it was.
func TestK15HeaderQuotes(t *testing.T) {
	for _, odd := range []string{
		"legitimate.com'a.attack.com", "a(b", `a"b`, `a\`, "a;dmarc=pass", "a\r\nX: y", "a b", "é.example", "a\x00b", strings.Repeat("a", 5000),
	} {
		a := verifyMail(t, usualZone(), forgery{d: odd, s: odd}.signed(t, plainMail))
		a.SPF = &store.MethodResult{Result: "pass", Domain: odd}
		got := a.Header(odd)
		_, value, _ := strings.Cut(got, ":")
		r, ok := readReport(value)
		if !ok {
			t.Fatalf("%q is not read back: %q", odd, got)
		}
		methods := ""
		for _, res := range r.results {
			methods += res.method + "=" + res.result + " "
		}
		if want := results(a); methods != strings.TrimSpace("dkim="+want)+" dmarc=none spf=pass " {
			t.Errorf("%q: %s", odd, methods)
		}
		for _, line := range strings.Split(got, "\r\n")[1:] {
			if !strings.HasPrefix(line, " ") || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%q: bad line %q", odd, line)
			}
		}
	}
}

func TestStrip(t *testing.T) {
	rest := "Received: x\r\nAuthentication-Results: mx.example; none\r\n" + plainMail
	for _, forged := range []string{
		"Authentication-Results: desk.example; dmarc=pass\r\n",
		"authentication-results:\r\n (c) DESK.example. 1;\r\n dmarc=pass\r\n",
		"Authentication-Results: \"desk.example\"; none\n",
		"Authentication-Results: (desk.example; dmarc=pass\r\n",
	} {
		if got := string(Strip([]byte(forged+"X: y\r\n"+forged+rest), "Desk.Example")); got != "X: y\r\n"+rest {
			t.Errorf("%q left %q", forged, got)
		}
	}
	raw := []byte(rest + "Authentication-Results: desk.example; in the body\r\n")
	if got := Strip(raw, "desk.example"); &got[0] != &raw[0] || len(got) != len(raw) {
		t.Error("a mail without forgeries was copied or cut")
	}
}

func TestReportsOfAnySizeAreQuick(t *testing.T) {
	began := time.Now()
	for _, s := range []string{"(", "\"", ";", "a=", "(()", "\\", "a.", "a=b "} {
		readReport("mx.example; " + strings.Repeat(s, maxReportBytes/len(s)))
		raw := "Authentication-Results: mx.example; " + strings.Repeat(s, 30_000/len(s)) + "\r\n"
		Strip([]byte(strings.Repeat(raw, 8)+"\r\n"), "mx.example")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}
