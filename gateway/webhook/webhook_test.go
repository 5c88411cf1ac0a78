package webhook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"ticketgate/store"
)

func itoa(n int) string { return strconv.Itoa(n) }

// verified checks a message's signature as a receiver does.
func verified(t *testing.T, m received, secret string) {
	t.Helper()
	if err := verifies(m, secret); err != nil {
		t.Errorf("not verified: %v", err)
	}
}

func verifies(m received, secret string) error {
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return wh.Verify([]byte(m.body), m.header)
}

// W14: a message is signed as the specification says, names what happened, and
// tells nothing of what was said.
func TestW14Message(t *testing.T) {
	r := newRig(t)
	secret := r.hook("a", r.receiver.URL+"/hook", func(w *store.Webhook) { w.ChannelIDs = []string{"support"} })
	r.run(r.service(nil))
	r.ticket("sales")
	number := r.ticket("support")
	m := r.receiver.next(t)
	verified(t, m, secret)
	if verifies(m, NewSecret()) == nil {
		t.Error("any secret verifies it")
	}
	if ct := m.header.Get("Content-Type"); ct != "application/json" || m.header.Get("User-Agent") != "ticketgate/test" {
		t.Errorf("headers: %v", m.header)
	}
	want := data{EventID: m.Data.EventID, Ticket: number, Reference: fmt.Sprintf("T#%d", number), ChannelID: "support"}
	if m.Type != "ticket.created" || fmt.Sprint(m.Data) != fmt.Sprint(want) || m.Timestamp.IsZero() || m.Data.EventID == "" {
		t.Errorf("message: %s", m.body)
	}
	r.changed(number, "auth")
	m = r.receiver.next(t)
	if m.Type != "activity.changed" || m.Data.ActivityID != "a1" || !slices.Equal(m.Data.Fields, []string{"auth"}) || strings.Contains(m.body, "secret") {
		t.Errorf("message: %s", m.body)
	}
}

// W14: what fails is sent again, as the same message, when its time has come.
func TestW14Retries(t *testing.T) {
	r := newRig(t)
	secret := r.hook("a", r.receiver.URL, nil)
	r.receiver.status(500)
	r.run(r.service(nil))
	number := r.ticket("support")
	first := r.receiver.next(t)
	r.changed(number, "later") // waits for the first one
	failed := func(n int) func() bool {
		return func() bool { all := r.messages("a"); return len(all) == 2 && all[0].Tries == n }
	}
	wait(t, "the failure is written", failed(1))
	if d := r.messages("a")[0]; d.Attempts[0].Code != 500 || d.Attempts[0].Error != "refused" || !d.NextAttemptAt.Equal(d.Attempts[0].At.Add(5*time.Second)) {
		t.Errorf("first attempt: %+v", d)
	}
	r.advance(5 * time.Second)
	second := r.receiver.next(t)
	wait(t, "the second failure is written", failed(2))
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(429)
	})
	r.advance(5 * time.Minute)
	third := r.receiver.next(t)
	wait(t, "the third failure is written", failed(3))
	if d := r.messages("a")[0]; !d.NextAttemptAt.Equal(d.Attempts[2].At.Add(time.Hour)) {
		t.Errorf("it asked for an hour: %+v", d)
	}
	r.receiver.status(204)
	r.advance(time.Hour)
	last := r.receiver.next(t)
	for _, m := range []received{first, second, third, last} {
		if m.body != first.body || m.header.Get("webhook-id") != first.header.Get("webhook-id") {
			t.Errorf("another message: %v %s", m.header, m.body)
		}
	}
	if last.header.Get("webhook-timestamp") == first.header.Get("webhook-timestamp") || verifiesIgnoringTime(last, secret) != nil {
		t.Errorf("signed at %s: %v", last.header.Get("webhook-timestamp"), verifiesIgnoringTime(last, secret))
	}
	if m := r.receiver.next(t); !slices.Equal(m.Data.Fields, []string{"later"}) {
		t.Errorf("then comes %s", m.body)
	}
	wait(t, "both arrived", func() bool {
		all := r.messages("a")
		return all[0].State == store.WebhookDelivered && all[1].State == store.WebhookDelivered
	})
}

func verifiesIgnoringTime(m received, secret string) error {
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return wh.VerifyIgnoringTimestamp([]byte(m.body), m.header)
}

// W14: ten attempts within a little over three days; then the message is given
// up, and with it a webhook that nobody has answered since.
func TestW14GivesUp(t *testing.T) {
	r := newRig(t)
	r.hook("a", r.receiver.URL, nil)
	r.receiver.status(503)
	s := r.service(nil)
	begin := r.clock()
	r.ticket("support")
	for i := range len(delays) + 1 {
		if err := s.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.senders.Wait()
		d := r.messages("a")[0]
		if d.Tries != i+1 {
			t.Fatalf("attempt %d: %+v", i+1, d)
		}
		if d.State == store.WebhookFailed {
			break
		}
		r.advance(d.NextAttemptAt.Sub(r.clock()))
	}
	d := r.messages("a")[0]
	if took := r.clock().Sub(begin); d.State != store.WebhookFailed || took < giveUp || took > 80*time.Hour {
		t.Errorf("after %s it is %+v", took, d)
	}
	if !slices.Equal(r.disabled, []string{"a"}) {
		t.Errorf("switched off: %v", r.disabled)
	}
}

// W14: a receiver that says 410 wants nothing more.
func TestW14Gone(t *testing.T) {
	r := newRig(t)
	r.hook("a", r.receiver.URL, nil)
	r.receiver.status(410)
	s := r.service(nil)
	r.ticket("support")
	if err := s.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.senders.Wait()
	if d := r.messages("a")[0]; d.State != store.WebhookFailed || !slices.Equal(r.disabled, []string{"a"}) {
		t.Errorf("%+v, switched off %v", d, r.disabled)
	}
}

// W14: a receiver that does not answer costs a bounded time.
func TestW14Timeout(t *testing.T) {
	r := newRig(t)
	r.hook("a", r.receiver.URL, nil)
	// It waits for the end of the test, and not for that of the request: an
	// answer to a request that is being given up could still be read as one.
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	r.receiver.answers(func(http.ResponseWriter, *http.Request) { <-ended })
	d, err := r.service(func(o *Options) { o.Timeout = 50 * time.Millisecond }).Test(t.Context(), "a")
	if err != nil || d.State != store.WebhookFailed || d.Attempts[0].Error != "no answer in time" {
		t.Errorf("%+v, %v", d, err)
	}
	if s := r.service(nil); s.opt.Timeout != 10*time.Second {
		t.Errorf("the limit is %s", s.opt.Timeout)
	}
}

// W14: an answer is read to 64 KiB and no further, so one without end is none.
func TestW14EndlessAnswer(t *testing.T) {
	r := newRig(t)
	r.hook("a", r.receiver.URL, nil)
	sent := make(chan int, 1)
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for {
			k, err := w.Write(make([]byte, 4096))
			if n += k; err != nil {
				sent <- n
				return
			}
		}
	})
	d, err := r.service(nil).Test(t.Context(), "a")
	if err != nil || d.State != store.WebhookDelivered {
		t.Errorf("%+v, %v", d, err)
	}
	if n := <-sent; n > 64<<20 { // what lies in buffers on the way is not ours to say
		t.Errorf("%d octets were taken", n)
	}
}

// After a rotation both secrets sign, until the old one has ended.
func TestRotation(t *testing.T) {
	r := newRig(t)
	old := r.hook("a", r.receiver.URL, nil)
	s := r.service(nil)
	fresh, sealed := s.NewSecret("a")
	desk, err := r.db.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := *desk.Webhook("a")
	Rotate(&w, sealed, r.clock(), time.Hour)
	r.hook("a", r.receiver.URL, func(hook *store.Webhook) { hook.Secrets = w.Secrets })
	send := func() received {
		if _, err := s.Test(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		return r.receiver.next(t)
	}
	m := send()
	verified(t, m, old)
	verified(t, m, fresh)
	if m.Type != KindTest || m.Data.WebhookID != "a" {
		t.Errorf("message: %s", m.body)
	}
	r.advance(time.Hour)
	if m := send(); verifiesIgnoringTime(m, old) == nil || verifiesIgnoringTime(m, fresh) != nil {
		t.Error("the old secret still signs, or the new one doesn't")
	}
	for range 8 {
		_, sealed := s.NewSecret("a")
		Rotate(&w, sealed, r.clock(), time.Hour)
	}
	if len(w.Secrets) != keepSecrets || !w.Secrets[0].Until.IsZero() || w.Secrets[1].Until.IsZero() {
		t.Errorf("%d secrets are kept", len(w.Secrets))
	}
	Rotate(&w, sealed, r.clock(), 0)
	if len(w.Secrets) != 1 {
		t.Errorf("without an overlap %d secrets are kept", len(w.Secrets))
	}
}

func TestSecrets(t *testing.T) {
	plain := NewSecret()
	if err := CheckSecret(plain); err != nil || NewSecret() == plain {
		t.Errorf("our own: %v", err)
	}
	for _, bad := range []string{"", "whsec_", "whsec_c2hvcnQ=", strings.TrimPrefix(plain, "whsec_"), plain + "!", "whsec_" + strings.Repeat("QUFB", 22)} {
		if CheckSecret(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	older, err := store.NewSealer([]string{"an older secret"})
	if err != nil {
		t.Fatal(err)
	}
	both, err := store.NewSealer([]string{"a newer secret", "an older secret"})
	if err != nil {
		t.Fatal(err)
	}
	w := store.Webhook{ID: "a", Secrets: []store.WebhookSecret{SealSecret(older, "a", plain)}}
	shared := w.Secrets
	if changed, err := ResealSecrets(both, &w); err != nil || !changed || &shared[0] == &w.Secrets[0] {
		t.Errorf("brought under the newer one: %v, %v", changed, err)
	}
	if changed, err := ResealSecrets(both, &w); err != nil || changed {
		t.Errorf("once more: %v, %v", changed, err)
	}
	if got, err := OpenSecret(both, "a", w.Secrets[0]); err != nil || got != plain {
		t.Errorf("opened: %v", err)
	}
	if _, err := OpenSecret(both, "b", w.Secrets[0]); err == nil {
		t.Error("a secret opens for another webhook")
	}
}

// W14: over two nodes, one of which ends in the middle, every event arrives, of
// one ticket in its order, however often the receiver fails.
func TestW14TwoNodes(t *testing.T) {
	r := newRig(t)
	r.hook("a", r.receiver.URL, nil)
	answered := 0
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if answered++; answered%7 == 0 {
			w.WriteHeader(500)
		}
	})
	second := r.open()
	stop := r.run(r.service(nil))
	r.run(r.service(func(o *Options) { o.DB = second }))
	const tickets, changes = 6, 10
	var want int
	for range tickets {
		number := r.ticket("support")
		want++
		for i := range changes {
			r.changed(number, strconv.Itoa(i))
			want++
		}
	}
	stop()
	wait(t, "all arrived", func() bool {
		r.advance(time.Minute) // what failed is due
		all := r.messages("a")
		return len(all) == want && !slices.ContainsFunc(all, func(d store.WebhookDelivery) bool { return d.State != store.WebhookDelivered })
	})
	order, seen := map[int64][]string{}, map[string]bool{}
	for len(r.receiver.got) > 0 {
		m := <-r.receiver.got
		if id := m.header.Get("webhook-id"); !seen[id] {
			seen[id] = true
			order[m.Data.Ticket] = append(order[m.Data.Ticket], m.Type+strings.Join(m.Data.Fields, ""))
		}
	}
	if len(seen) != want || len(order) != tickets {
		t.Errorf("%d messages of %d tickets", len(seen), len(order))
	}
	for ticket, got := range order {
		for i, what := range got {
			if i == 0 && what != "ticket.created" || i > 0 && what != "activity.changed"+strconv.Itoa(i-1) {
				t.Errorf("ticket %d: %v", ticket, got)
				break
			}
		}
	}
}

// What a rule calls goes to the webhook that it names, whatever else that wants, and
// to no other.
func TestRuleMatched(t *testing.T) {
	r := newRig(t)
	r.hook("pager", r.receiver.URL, func(w *store.Webhook) {
		w.Events, w.ChannelIDs = []store.EventKind{store.EventDeliveryChanged}, []string{"sales"}
	})
	r.hook("other", r.receiver.URL+"/other", nil)
	number := r.ticket("support")
	r.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{Kind: store.EventRuleMatched, Ticket: number, ActivityID: "a1", At: r.clock(),
			Data: store.EventData{Rule: "fire", Webhook: "pager"}})
	})
	r.run(r.service(nil))
	seen := map[string]string{}
	for range 2 {
		m := r.receiver.next(t)
		seen[m.Type] = m.Data.RuleID
	}
	if seen["rule.matched"] != "fire" || len(seen) != 2 {
		t.Errorf("told was %v", seen)
	}
	for webhook, want := range map[string]string{"pager": "rule.matched", "other": "ticket.created"} {
		if told := r.messages(webhook); len(told) != 1 || told[0].Kind != want {
			t.Errorf("%s was told %+v", webhook, told)
		}
	}
}
