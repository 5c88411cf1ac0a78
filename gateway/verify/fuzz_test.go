package verify

import (
	"strings"
	"testing"
	"time"

	"ticketgate/threading/message"
)

// Whatever a mail holds, Verify gives one of the verdicts, and a header that our
// own reader reads back with the same results.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(forgery{}.signed(f, plainMail)))
	f.Add([]byte("Authentication-Results: mx.example; dmarc=pass header.from=example.org\r\n" + plainMail))
	f.Add([]byte("From: a@b\nDKIM-Signature: v=1; a=rsa-sha256; d=b; s=s; h=from; bh=; b=\n"))
	f.Add([]byte(" \r\n\r\r\n:\n=;=\x00"))
	z := usualZone().with("_dmarc.example.org", "v=DMARC1; p=reject; sp=none; np=quarantine")
	v := New(Options{Hostname: "desk.example", TrustedAuthserv: []string{"mx.example"}, Resolver: z, Now: func() time.Time { return noon }})
	f.Fuzz(func(t *testing.T, raw []byte) {
		z.asked = nil
		before := string(raw)
		a := v.Verify(t.Context(), Request{Raw: raw, Message: message.Parse(raw)})
		switch a.Verdict {
		case "verified", "unverified", "failed":
		default:
			t.Errorf("verdict %q", a.Verdict)
		}
		if string(raw) != before {
			t.Error("the mail was changed")
		}
		if len(a.DKIM) > 5 || len(z.asked) > 5+maxWalked {
			t.Errorf("%d signatures, %d questions", len(a.DKIM), len(z.asked))
		}
		_, value, _ := strings.Cut(a.Header("desk.example"), ":")
		r, ok := readReport(value)
		if !ok || len(r.results) < 2 || r.server != "desk.example" {
			t.Fatalf("our header is not read back: %q", value)
		}
		for i, d := range a.DKIM {
			if r.results[i].method != "dkim" || r.results[i].result != d.Result {
				t.Errorf("%+v is read back as %+v", d, r.results[i])
			}
		}
	})
}

// Nothing inside quotes or comments ever becomes a result, and what was read
// can be written and read again.
func FuzzReadReport(f *testing.F) {
	f.Add(`mx.example; dkim=fail reason="x; dmarc=pass" (; dmarc=pass) header.d=a; spf=pass`)
	f.Add("(a(b)\\)) x 1; a/1=b c.d=\"e\"f;")
	f.Fuzz(func(t *testing.T, value string) {
		r, ok := readReport(value)
		if !ok {
			return
		}
		var w strings.Builder
		w.WriteString(quoteAll(r.server))
		for _, res := range r.results {
			w.WriteString("; " + res.method + "=" + quoteAll(res.result))
			for _, p := range res.props {
				w.WriteString(" " + p.name + "=" + quoteAll(p.value))
			}
		}
		again, ok := readReport(w.String())
		if len(w.String()) > maxReportBytes {
			return
		}
		if !ok || again.server != r.server || len(again.results) != len(r.results) {
			t.Fatalf("%q was read as %+v, and again as %+v", value, r, again)
		}
		for i := range r.results {
			if r.results[i].method != again.results[i].method || r.results[i].result != again.results[i].result {
				t.Errorf("%+v became %+v", r.results[i], again.results[i])
			}
		}
	})
}

func quoteAll(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "\\\r", "\n", "\\\n").Replace(s) + `"`
}
