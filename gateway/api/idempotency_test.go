package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
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
		kept, ok, err := tx.Idempotent(ctx, f.agents["standard"], "/api/v1/tokens", "k")
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

	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, _, err := tx.Idempotent(ctx, f.agents["admin"], "/api/v1/dkim-keys", "k")
		if err != nil {
			return err
		}
		kept.Status, kept.At = 0, f.clock()
		return tx.PutIdempotent(ctx, kept)
	}))
	body["selector"] = "s"
	f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "k").is(409)
	f.advance(3 * time.Minute)
	if r := f.do("admin", "POST", "/dkim-keys", body, "Idempotency-Key", "k").is(409); r.text("reason") != "duplicate" {
		t.Errorf("it was not run: %s", r.Body)
	}
}

// W23: one key is one answer, whichever node is asked, and however often at once.
func TestW23OneKeyOverTwoNodes(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	nodes := []*fixture{onPostgres(t, url), onPostgres(t, url)}
	nodes[0].people()
	nodes[1].tokens = nodes[0].tokens
	for _, f := range nodes {
		f.serve(nil)
	}
	number, _ := nodes[0].mailIn(customersMail)
	path, body := nodes[0].ticketPath(number)+"/activities", m{"type": "outgoing", "text": "t"}
	answers := make([]reply, 10)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = nodes[i%2].do("standard", "POST", path, body, "Idempotency-Key", "k") })
	}
	group.Wait()
	first := nodes[0].do("standard", "POST", path, body, "Idempotency-Key", "k").is(201)
	made := 0
	for _, r := range answers {
		switch r.Code {
		case 201:
			made++
			if r.Body.String() != first.Body.String() {
				t.Errorf("another answer: %s", r.Body)
			}
		case 409:
			if r.is(409).text("reason") != "running" {
				t.Errorf("refused: %s", r.Body)
			}
		default:
			t.Errorf("%d %s", r.Code, r.Body)
		}
	}
	sent := nodes[1].do("standard", "GET", path+"/"+first.text("id")+"/deliveries", nil).items()
	if all := nodes[1].do("standard", "GET", path, nil).items(); made == 0 || len(all) != 2 || len(sent) != 1 {
		t.Errorf("%d answers, %d activities, %d deliveries", made, len(all), len(sent))
	}
	if r := nodes[1].do("standard", "POST", path, body, "Idempotency-Key", "k").is(201); r.Body.String() != first.Body.String() {
		t.Errorf("the other node answers %s", r.Body)
	}
	nodes[1].do("standard", "POST", path, m{"type": "note", "text": "t"}, "Idempotency-Key", "k").is(422).refuses("Idempotency-Key")
}

// W23: a caller is an agent, not a token: who logs in anew and repeats a request
// whose answer was lost doubles nothing.
func TestW23AKeyIsTheAgents(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path, body := f.ticketPath(number)+"/activities", m{"type": "outgoing", "text": "t"}
	one, other := f.logIn("standard"), f.logIn("standard")
	first := one.do("POST", path, body, "Idempotency-Key", "k").is(201)
	for who, again := range map[string]reply{
		"another session": other.do("POST", path, body, "Idempotency-Key", "k"),
		"a token":         f.do("standard", "POST", path, body, "Idempotency-Key", "k"),
	} {
		if again.is(201).Body.String() != first.Body.String() {
			t.Errorf("%s is answered %s", who, again.Body)
		}
	}
	if all := f.do("standard", "GET", path, nil).items(); len(all) != 2 {
		t.Errorf("%d activities", len(all))
	}
	other.do("POST", path, m{"type": "note", "text": "t"}, "Idempotency-Key", "k").is(422).refuses("Idempotency-Key")
}

// An answer may hold what may do more than who asks for it again.
func TestAKeyGivesATokenNoWiderOne(t *testing.T) {
	f := newFixture(t)
	f.tokens["reader"] = f.do("standard", "POST", "/tokens", m{"name": "r", "scopes": []string{"desk"}}).is(201).text("token")
	body := m{"name": "all"}
	f.do("standard", "POST", "/tokens", body, "Idempotency-Key", "k").is(201)
	f.do("reader", "POST", "/tokens", body, "Idempotency-Key", "k").is(403)
	narrow := m{"name": "narrow", "scopes": []string{"desk"}}
	made := f.do("reader", "POST", "/tokens", narrow, "Idempotency-Key", "n").is(201)
	if again := f.do("standard", "POST", "/tokens", narrow, "Idempotency-Key", "n").is(201); again.text("token") != made.text("token") {
		t.Errorf("again: %s", again.Body)
	}
}

// A body may hold a password, which the store keeps behind argon2id alone.
func TestABodysHashIsSealed(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard")
	body := `{"current":"` + correct + `","password":"another horse"}`
	for range 2 {
		b.do("POST", "/me/password", body, "Idempotency-Key", "k").is(200)
	}
	bare := sha256.Sum256([]byte("\x00" + body))
	f.must(f.db.View(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, ok, err := tx.Idempotent(ctx, f.agents["standard"], "/api/v1/me/password", "k")
		for _, text := range []string{hex.EncodeToString(bare[:]), base64.StdEncoding.EncodeToString(bare[:])} {
			if !ok || strings.Contains(kept.BodyHash, text) {
				t.Errorf("kept: %v %+v", ok, kept)
			}
		}
		return err
	}))
}

// A key that stood on one log-out does not spare another session.
func TestALogOutIsOfItsOwnSession(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		s := f.logIn("standard")
		s.do("POST", "/logout", nil, "Idempotency-Key", "k").is(204)
		s.do("GET", "/me", nil).is(401)
	}
}

// What the query asks for belongs to what a key stands for.
func TestAKeyIsGoodForOneQuery(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	mail := strings.ReplaceAll(customersMail, "one@", "two@")
	post := func(query string) reply {
		return f.do("standard", "POST", "/messages?account_id="+f.account+query, mail, "Content-Type", "message/rfc822", "Idempotency-Key", "k")
	}
	first := post("").is(201)
	if again := post("").is(201); again.Body.String() != first.Body.String() {
		t.Errorf("again: %s", again.Body)
	}
	post("&ticket=" + strconv.FormatInt(number, 10)).is(422).refuses("Idempotency-Key")
}
