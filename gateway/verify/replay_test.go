package verify

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/threading/message"
)

// K17: one signature that comes to ever more of our addresses.
func TestReplay(t *testing.T) {
	to := func(value string) string {
		return strings.Replace(plainMail, "To: support@desk.example", value, 1)
	}
	stranger := to("To: friend@elsewhere.example")
	ours := func(key string) bool { return strings.HasSuffix(key, "@desk.example") }
	reject := func(z *zone) *zone { return z.with("_dmarc.example.org", "v=DMARC1; p=reject") }
	recipient := func(i int) string { return fmt.Sprintf("Box%d@Desk.Example", i) }

	type judge func(raw string, explain bool, recipients ...string) Auth
	begin := func(t *testing.T, z *zone, change ...func(*Options)) judge {
		opt := Options{Resolver: z, Now: func() time.Time { return noon }, MaxReplays: 3}
		for _, f := range change {
			f(&opt)
		}
		v := New(opt)
		return func(raw string, explain bool, recipients ...string) Auth {
			return v.Verify(t.Context(), Request{
				Raw: []byte(raw), Message: message.Parse([]byte(raw)), Known: ours, Ours: ours, Recipients: recipients, Explain: explain,
			})
		}
	}
	replayed := func(t *testing.T, a Auth, verdict string) {
		t.Helper()
		wantVerdict(t, a, verdict)
		if d := a.DKIM[0]; d.Result != "policy" || d.Reason != "replayed" || a.AlignedPass {
			t.Errorf("%+v", a)
		}
	}

	t.Run("K17 the fourth recipient", func(t *testing.T) {
		verify := begin(t, reject(usualZone()))
		raw := forgery{}.signed(t, stranger)
		for i := range 3 {
			wantVerdict(t, verify(raw, false, recipient(i)), "verified")
		}
		replayed(t, verify(raw, false, recipient(3)), "failed")
		replayed(t, verify(raw, false, recipient(0)), "failed")
		wantVerdict(t, verify(forgery{}.signed(t, to("To: other@elsewhere.example")), false, recipient(4)), "verified")
	})
	t.Run("K17 nothing is published", func(t *testing.T) {
		verify := begin(t, usualZone())
		replayed(t, verify(forgery{}.signed(t, stranger), false, recipient(0), recipient(1), recipient(2), recipient(3)), "unverified")
	})
	t.Run("K17 ten by default", func(t *testing.T) {
		verify := begin(t, usualZone(), func(o *Options) { o.MaxReplays = 0 })
		raw := forgery{}.signed(t, stranger)
		for i := range 10 {
			wantVerdict(t, verify(raw, false, recipient(i)), "verified")
		}
		replayed(t, verify(raw, false, recipient(10)), "unverified")
	})
	t.Run("K17 the same recipients again", func(t *testing.T) {
		verify := begin(t, usualZone())
		raw := forgery{}.signed(t, stranger)
		for range 10 {
			wantVerdict(t, verify(raw, false, "a@desk.example", "A@DESK.example", "b@desk.example."), "verified")
		}
	})
	t.Run("K17 the extensions of one account", func(t *testing.T) {
		verify := begin(t, usualZone())
		raw := forgery{}.signed(t, stranger)
		for i := range 10 {
			wantVerdict(t, verify(raw, false, fmt.Sprintf("support+t%d@desk.example", i)), "verified")
		}
		wantVerdict(t, verify(raw, false, "Support@desk.example", "sales@desk.example"), "verified")
	})
	t.Run("K17 written to us", func(t *testing.T) {
		for _, field := range []string{"To: x@elsewhere.example, support@desk.example", "To: a@b.example\r\nCc: Support@DESK.example"} {
			verify := begin(t, usualZone())
			raw := forgery{h: "from:to:cc:subject"}.signed(t, to(field))
			for i := range 10 {
				wantVerdict(t, verify(raw, false, recipient(i)), "verified")
			}
		}
	})
	t.Run("K17 written to us, unsigned", func(t *testing.T) {
		verify := begin(t, usualZone())
		raw := "Cc: support@desk.example\r\n" + forgery{}.signed(t, stranger)
		replayed(t, verify(raw, false, recipient(0), recipient(1), recipient(2), recipient(3)), "unverified")
	})
	t.Run("K17 explain doesn't count", func(t *testing.T) {
		verify := begin(t, usualZone())
		raw := forgery{}.signed(t, stranger)
		for i := range 10 {
			wantVerdict(t, verify(raw, true, recipient(i)), "verified")
		}
		verify(raw, false, recipient(0), recipient(1), recipient(2))
		replayed(t, verify(raw, true, recipient(3)), "unverified")
		wantVerdict(t, verify(raw, true), "verified")
	})
	t.Run("K17 what doesn't pass or align doesn't count", func(t *testing.T) {
		verify := begin(t, usualZone().with("sel._domainkey.mailer.example", keyRecord(rsaKey())))
		for _, f := range []forgery{{breakValue: true}, {d: "mailer.example"}} {
			raw := f.signed(t, stranger)
			if a := verify(raw, false, recipient(0), recipient(1), recipient(2), recipient(3)); a.DKIM[0].Reason == "replayed" {
				t.Errorf("%+v", a)
			}
		}
	})
	t.Run("K17 another signature that is new", func(t *testing.T) {
		verify := begin(t, reject(usualZone()))
		raw := forgery{}.signed(t, stranger)
		verify(raw, false, recipient(0), recipient(1), recipient(2), recipient(3))
		a := verify(forgery{s: "ed", key: ed25519Key()}.field(t, stranger)+raw, false, recipient(0))
		wantResults(t, a, "pass policy")
		wantVerdict(t, a, "verified")
	})
	t.Run("K17 nobody else's word makes up for it", func(t *testing.T) {
		z := relays()
		verify := begin(t, z, trustRelays)
		raw := sealer{}.on(t, "Authentication-Results: mx.example; "+passedThere+"\r\n"+forgery{}.signed(t, stranger))
		a := verify(raw, false, recipient(0), recipient(1), recipient(2), recipient(3))
		replayed(t, a, "failed")
		wantARC(t, a, "pass", "")
	})
	t.Run("K17 an agent's address", func(t *testing.T) {
		verify := begin(t, usualZone().with("sel._domainkey.desk.example", keyRecord(rsaKey())))
		raw := forgery{d: "desk.example"}.signed(t, strings.Replace(stranger, "joe@example.org", "ann@desk.example", 1))
		replayed(t, verify(raw, false, recipient(0), recipient(1), recipient(2), recipient(3)), "failed")
	})
}

func TestReplaysAreBounded(t *testing.T) {
	r := newReplays(2)
	value := func(i int) []byte { return fmt.Append(nil, i) }
	for i := range 3 * maxReplays {
		r.tooMany(value(i), []string{"a", "b", "c", "d", "e"}, true)
		if len(r.young)+len(r.old) > maxReplays {
			t.Fatalf("%d are remembered", len(r.young)+len(r.old))
		}
	}
	last := value(3*maxReplays - 1)
	if !r.tooMany(last, nil, true) || r.tooMany(value(0), []string{"a"}, false) {
		t.Error("the newest was forgotten, or the oldest was not")
	}
	for _, seen := range r.young {
		if len(seen) != 3 {
			t.Fatalf("%d recipients are remembered", len(seen))
		}
	}
}

func TestReplaysTogether(t *testing.T) {
	r := newReplays(50)
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			for j := range 100 {
				r.tooMany([]byte("x"), []string{fmt.Sprint(i, j%3)}, true)
			}
		})
	}
	wait.Wait()
	if !r.tooMany([]byte("x"), nil, false) {
		t.Error("recipients were lost")
	}
}
