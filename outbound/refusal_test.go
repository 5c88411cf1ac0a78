package outbound

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

func TestQ06Temporary(t *testing.T) {
	for _, stage := range []testbed.Stage{testbed.AtMail, testbed.AtRcpt, testbed.AtData, testbed.AtDot} {
		t.Run(string(stage), func(t *testing.T) {
			r := embeddedRig(t)
			r.sink.Script(testbed.Rule{At: stage, Times: 2, Reply: "451 4.3.0 later"})
			s := r.start()
			rows := r.mails(1)
			s.Queued(t.Context(), dues(rows))
			r.settled(store.Sent, rows...)
			attempts := r.attempts(rows[0].ID)
			if len(attempts) != 3 || attempts[0].Code != 451 || attempts[0].Enhanced != "4.3.0" || attempts[0].Text != "later" {
				t.Errorf("attempts: %+v", attempts)
			}
			var first []byte
			for _, m := range r.sink.Complete() {
				if first == nil {
					first = m.Data
				}
				if !bytes.Equal(first, m.Data) {
					t.Error("two attempts wrote different messages")
				}
			}
			r.once(rows...)
		})
	}
}

func TestQ07Permanent(t *testing.T) {
	for _, stage := range []testbed.Stage{testbed.AtMail, testbed.AtRcpt, testbed.AtData, testbed.AtDot} {
		t.Run(string(stage), func(t *testing.T) {
			r := embeddedRig(t)
			r.sink.Script(testbed.Rule{At: stage, Reply: "550 5.1.1 no such user here"})
			s := r.start()
			rows := r.mails(1)
			s.Queued(t.Context(), dues(rows))
			r.settled(store.Failure, rows...)
			d := r.delivery(rows[0].ID)
			if d.LastCode != 550 || !strings.Contains(d.LastText, "no such user here") || d.Attempts != 1 {
				t.Errorf("%+v", d)
			}
			if len(r.hooks.outcomes) != 1 || r.hooks.outcomes[0] != store.Failure {
				t.Errorf("outcomes: %v", r.hooks.outcomes)
			}
		})
	}
}

func TestReplies(t *testing.T) {
	for _, c := range []struct {
		rule  testbed.Rule
		state store.DeliveryState
		code  int
	}{
		{testbed.Rule{At: testbed.AtRcpt, Reply: "552 too many recipients"}, store.Deferred, 552},
		{testbed.Rule{At: testbed.AtRcpt, Reply: "452 4.5.3 too many"}, store.Deferred, 452},
		{testbed.Rule{At: testbed.AtDot, Reply: "552 5.3.4 too large"}, store.Failure, 552},
		{testbed.Rule{At: testbed.AtMail, Reply: "530 5.7.0 log in first"}, store.Deferred, 530},
		{testbed.Rule{At: testbed.AtMail, Reply: "535 5.7.8 not this one"}, store.Deferred, 535},
		{testbed.Rule{At: testbed.AtMail, Reply: "421 4.3.2 closing"}, store.Deferred, 421},
		{testbed.Rule{At: testbed.AtMail, Drop: true}, store.Deferred, 0},
		{testbed.Rule{At: testbed.AtData, Drop: true}, store.Deferred, 0},
		{testbed.Rule{At: testbed.AtDot, Reply: "what is this"}, store.Unknown, 0},
	} {
		t.Run(fmt.Sprint(c.rule.At, " ", c.rule.Reply), func(t *testing.T) {
			r := embeddedRig(t)
			r.sink.Script(c.rule)
			s := r.start(func(o *Options) { o.RetryBase, o.RouteRetry = time.Hour, time.Hour })
			rows := r.mails(1)
			s.Queued(t.Context(), dues(rows))
			r.settled(c.state, rows...)
			if d := r.delivery(rows[0].ID); d.LastCode != c.code || !d.NextAttemptAt.After(time.Now()) && c.state != store.Failure {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestRefusedLikeALogIn: a recipient's own policy that answers with a code of
// the log-in fails that delivery, and holds up no other.
func TestRefusedLikeALogIn(t *testing.T) {
	for _, stage := range []testbed.Stage{testbed.AtRcpt, testbed.AtData, testbed.AtDot} {
		for _, code := range []string{"530", "534", "535", "538"} {
			t.Run(string(stage)+code, func(t *testing.T) {
				r := embeddedRig(t)
				r.sink.Script(testbed.Rule{At: stage, Times: 1, Reply: code + " 5.7.1 senders must be authenticated"})
				s := r.start(func(o *Options) { o.Workers, o.RouteRetry, o.RouteMax = 1, time.Hour, time.Hour })
				rows := r.mails(1)
				s.Queued(t.Context(), dues(rows))
				r.settled(store.Failure, rows...)
				if !s.Status(t.Context()).SmarthostOK {
					t.Error("the next hop is held for broken")
				}
				more := r.mail(nil, "next@example.net")
				s.Queued(t.Context(), dues(more))
				r.settled(store.Sent, more...)
			})
		}
	}
}

func TestQ08TwoRecipients(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtRcpt, Address: "bad@example.net", Reply: "550 5.1.1 unknown"})
	s := r.start()
	rows := r.mail(nil, "good@example.net", "bad@example.net")
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows[0])
	r.settled(store.Failure, rows[1])
	r.once(rows[0])
}

func TestQ09Closing(t *testing.T) {
	r := embeddedRig(t)
	s := r.start(func(o *Options) { o.Workers = 1 })
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	r.sink.Script(testbed.Rule{At: testbed.AtRcpt, Times: 1, Reply: "421 4.3.2 going down"})
	more := r.mail(nil, "later@example.net")
	s.Queued(t.Context(), dues(more))
	r.settled(store.Sent, more...)
	if n := r.sink.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	r.once(append(rows, more...)...)
}

func TestQ10LostAfterTheDot(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtDot, Times: 1, Drop: true})
	s := r.start()
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	if got := r.hooks.outcomes; len(got) != 2 || got[0] != store.Unknown || got[1] != store.Sent {
		t.Errorf("outcomes: %v", got)
	}
	all := r.sink.Messages()
	if len(all) != 2 || !bytes.Equal(all[0].Data, all[1].Data) {
		t.Errorf("%d messages", len(all))
	}
}

func TestQ10StallAfterTheDot(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtDot, Times: 1, Stall: true})
	s := r.start(func(o *Options) { o.smtp.dot = 50 * time.Millisecond })
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	if got := r.hooks.outcomes; got[0] != store.Unknown {
		t.Errorf("outcomes: %v", got)
	}
}

func TestQ18Envelope(t *testing.T) {
	r := embeddedRig(t)
	s := r.start()
	var rows []store.Delivery
	for _, bad := range []string{"a@example.net>\r\nRCPT TO:<b@example.net", "a b@example.net", "a>@example.net", "no address"} {
		rows = append(rows, r.mail(func(m *store.Mail, d []store.Delivery) {
			m.To = []store.Address{{Address: "x@example.net"}}
		}, bad)...)
	}
	rows = append(rows, r.mail(func(m *store.Mail, d []store.Delivery) { m.Subject = "a\r\nBcc: b" }, "c@example.net")...)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Failure, rows...)
	if n := len(r.sink.Complete()); n != 0 {
		t.Errorf("%d mails left", n)
	}
	if _, err := (&session{}).command("NOOP\r\nQUIT"); err == nil {
		t.Error("two commands in one")
	}
}

func TestQ26OwnAddress(t *testing.T) {
	r := embeddedRig(t)
	r.accountRow(func(a *store.MailAccount) {
		a.Aliases, a.AliasKeys = []string{"help@example.org"}, []string{"help@example.org"}
	})
	s := r.start()
	var rows []store.Delivery
	for _, own := range []string{"Support@example.org", "support+tag@example.org", "help@example.org"} {
		rows = append(rows, r.mail(nil, own)...)
	}
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Failure, rows...)
	if n := len(r.sink.Complete()); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

func TestQ27UTF8(t *testing.T) {
	t.Run("offered", func(t *testing.T) {
		r := embeddedRig(t)
		s := r.start()
		rows := r.mail(nil, "jürgen@bücher.example", "plain@bücher.example")
		s.Queued(t.Context(), dues(rows))
		r.settled(store.Sent, rows...)
		for _, m := range r.sink.Messages() {
			utf8 := strings.HasPrefix(m.To[0], "jürgen")
			if strings.Contains(m.MailParams, "SMTPUTF8") != utf8 || isASCII(string(m.Data)) == utf8 || !strings.HasSuffix(m.To[0], "@xn--bcher-kva.example") {
				t.Errorf("%s with %q", m.To, m.MailParams)
			}
		}
	})
	t.Run("not offered", func(t *testing.T) {
		r := embeddedRig(t)
		r.sink = testbed.SMTPSink(t, testbed.SinkOptions{Extensions: []string{"PIPELINING"}})
		s := r.start()
		rows := r.mail(nil, "jürgen@example.net", "plain@example.net")
		s.Queued(t.Context(), dues(rows))
		r.settled(store.Failure, rows[0])
		r.settled(store.Sent, rows[1])
		if a := r.attempts(rows[0].ID); len(a) != 1 || a[0].Enhanced != "5.6.7" {
			t.Errorf("%+v", a)
		}
	})
}
