package api_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/gateway/api"
	"ticketgate/store"
)

func TestAPOSTIsCarriedOutOnce(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path, body := f.ticketPath(number)+"/activities", m{"type": "outgoing", "text": "t"}
	first := f.do("standard", "POST", path, body, "Idempotency-Key", "k1").is(201)
	again := f.do("standard", "POST", path, body, "Idempotency-Key", "k1").is(201)
	if first.Body.String() != again.Body.String() || first.Header().Get("Location") != again.Header().Get("Location") ||
		again.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s\n%s\n%v", first.Body, again.Body, again.Header())
	}
	if n := len(f.do("standard", "GET", path, nil).items()); n != 2 {
		t.Errorf("%d activities", n)
	}
	f.do("standard", "POST", path, m{"type": "outgoing", "text": "other"}, "Idempotency-Key", "k1").is(422).refuses("Idempotency-Key")
	f.do("standard", "POST", path, body, "Idempotency-Key", "k2").is(201)
	f.do("informal", "POST", path, body, "Idempotency-Key", "k1").is(201) // of another caller
	f.do("standard", "POST", path, body, "Idempotency-Key", strings.Repeat("k", 201)).is(422)
	f.advance(24 * time.Hour)
	if late := f.do("standard", "POST", path, body, "Idempotency-Key", "k1").is(201); late.Body.String() == first.Body.String() {
		t.Error("the answer is given after a day")
	}
}

func TestARefusedPOSTMayBeTriedAgain(t *testing.T) {
	f := newFixture(t)
	for _, body := range []m{{"name": "x", "default_status_id": "none"}, {"name": "Support"}} {
		r := f.do("admin", "POST", "/channels", body, "Idempotency-Key", "k")
		r.is(r.Code)
	}
	f.do("admin", "POST", "/channels", m{"name": "x"}, "Idempotency-Key", "k").is(201)
	f.do("admin", "POST", "/channels", m{"name": "x"}, "Idempotency-Key", "k").is(201)
	f.do("admin", "POST", "/channels", m{"name": "x"}).is(409)
}

// What is shown once lies in the store only for its own caller's eyes.
func TestAKeptAnswerIsSealed(t *testing.T) {
	f := newFixture(t)
	first := f.do("standard", "POST", "/tokens", m{"name": "x"}, "Idempotency-Key", "k").is(201)
	again := f.do("standard", "POST", "/tokens", m{"name": "x"}, "Idempotency-Key", "k").is(201)
	if first.text("token") != again.text("token") {
		t.Error("another token")
	}
	f.must(f.db.View(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		tokens, err := tx.Tokens(ctx, f.agents["standard"])
		if err != nil {
			return err
		}
		kept, ok, err := tx.Idempotent(ctx, tokens[0].ID, "/api/v1/tokens", "k")
		if err == nil && (!ok || kept.Status != 201 || kept.Response == "" || strings.Contains(kept.Response, first.text("token"))) {
			t.Errorf("kept: %v %+v", ok, kept)
		}
		return err
	}))
}

func TestARunningPOSTIsNotRunTwice(t *testing.T) {
	f := newFixture(t)
	running, release := make(chan struct{}), make(chan struct{})
	f.serve(func(o *api.Options) {
		o.NewKey = func(domain, selector, algorithm string) (store.DKIMKey, error) {
			close(running)
			<-release
			return store.DKIMKey{ID: store.NewID(), Domain: domain, Selector: selector, Algorithm: algorithm, State: "new",
				Public: "cA==", Private: []byte("p"), CreatedAt: f.clock()}, nil
		}
	})
	body := m{"domain": "example.test", "selector": "s"}
	var first reply
	var group sync.WaitGroup
	group.Go(func() { first = f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "k") })
	<-running
	if r := f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "k").is(409); r.text("reason") != "running" {
		t.Errorf("meanwhile: %s", r.Body)
	}
	close(release)
	group.Wait()
	first.is(201)
	if r := f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "k").is(201); r.Body.String() != first.Body.String() {
		t.Errorf("afterwards: %s", r.Body)
	}
}

// A process that died in the middle leaves a note; after a while it stands in
// nobody's way.
func TestAnAbandonedPOSTIsRunAgain(t *testing.T) {
	f := newFixture(t)
	f.serve(func(o *api.Options) {
		o.NewKey = func(string, string, string) (store.DKIMKey, error) { panic("died") }
	})
	body := m{"domain": "example.test", "selector": "s"}
	f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "k").is(500)
	f.serve(nil)
	f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "k").is(201) // a panic is no crash: it was forgotten

	var caller string
	f.must(f.db.View(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		tokens, err := tx.Tokens(ctx, f.agents["admin"])
		if err == nil {
			caller = tokens[0].ID
		}
		return err
	}))
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, _, err := tx.Idempotent(ctx, caller, "/api/v1/dkim-keys", "k")
		if err != nil {
			return err
		}
		kept.Key, kept.Status, kept.At = "crashed", 0, f.clock()
		return tx.PutIdempotent(ctx, kept)
	}))
	body["selector"] = "s"
	f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "crashed").is(409)
	f.advance(3 * time.Minute)
	if r := f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "crashed").is(409); r.text("reason") != "duplicate" {
		t.Errorf("it was not run: %s", r.Body)
	}
}
