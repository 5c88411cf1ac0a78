package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/gateway/api"
	"ticketgate/store"
	"ticketgate/threading"
)

func TestLogInAndOut(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard", "User-Agent", "Firefox")
	if got := b.do("GET", "/me", nil).is(200).text("email"); got != mailOf("standard") {
		t.Errorf("logged in as %s", got)
	}
	mine := b.do("GET", "/sessions", nil).items()
	if len(mine) != 1 || mine[0]["id"] != b.session || mine[0]["current"] != true || mine[0]["client"] != "Firefox" ||
		mine[0]["address"] != "192.0.2.1" || mine[0]["way"] != "password" {
		t.Errorf("sessions: %v", mine)
	}
	f.do("standard", "POST", "/logout", nil).is(409)
	if c := b.do("POST", "/logout", nil).is(204).cookie("ticketgate"); c.Value != "" || c.MaxAge >= 0 {
		t.Errorf("the cookie stays: %v", c)
	}
	b.do("GET", "/me", nil).is(401)
}

func TestWhatALogInAsksFor(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		body  m
		field string
	}{
		{m{}, "email"},
		{m{"email": "a@b.example"}, "password"},
		{m{"email": "no address", "password": "x"}, "email"},
		{m{"token": "x", "password": "y"}, "token"},
		{m{"email": "a@b.example", "password": "x", "remember": true}, "remember"},
	} {
		f.do("nobody", "POST", "/login", c.body).is(422).refuses(c.field)
	}
}

func TestSessionsSlideAndEnd(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard")
	for range 13 { // 13 times 12 hours but a minute: used, it goes on
		f.advance(12*time.Hour - time.Minute)
		b.do("GET", "/me", nil).is(200)
	}
	f.advance(12*time.Hour - time.Minute) // the 14th is after 7 days but 14 minutes
	b.do("GET", "/me", nil).is(200)
	f.advance(14 * time.Minute)
	b.do("GET", "/me", nil).is(401)

	b = f.logIn("standard")
	f.advance(12 * time.Hour)
	b.do("GET", "/me", nil).is(401)
	if all := f.do("standard", "GET", "/sessions", nil).items(); len(all) != 0 {
		t.Errorf("ended sessions are listed: %v", all)
	}
}

func TestSessionsAreSeenAndEnded(t *testing.T) {
	f := newFixture(t)
	first, second := f.logIn("standard"), f.logIn("standard")
	f.logIn("informal")
	f.do("informal", "GET", "/sessions?agent_id="+f.agents["standard"], nil).is(403)
	if all := f.do("admin", "GET", "/sessions?agent_id="+f.agents["standard"], nil).items(); len(all) != 2 {
		t.Errorf("an admin sees %v", all)
	}
	f.do("informal", "DELETE", "/sessions/"+first.session, nil).is(404)
	second.do("DELETE", "/sessions/"+first.session, nil).is(204)
	first.do("GET", "/me", nil).is(401)
	second.do("GET", "/me", nil).is(200)
	f.do("admin", "DELETE", "/sessions/"+second.session, nil).is(204)
	second.do("GET", "/me", nil).is(401)
}

func TestPasswordsOfOtherCostsAreHashedAnew(t *testing.T) {
	f := newFixture(t)
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.SetPassword(ctx, f.agents["standard"], "old hash of "+correct, "")
	}))
	f.logIn("standard")
	f.must(f.db.View(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		if hash, err := tx.AgentPassword(ctx, f.agents["standard"]); hash != "hash of "+correct || err != nil {
			t.Errorf("the hash is %q, %v", hash, err)
		}
		return nil
	}))
}

func TestW03NobodyMakesHimselfMore(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard")
	number, _ := f.mailIn(customersMail)
	for _, c := range []struct {
		method, path string
		body         m
		status       int
	}{
		{"PATCH", "/agents/" + f.agents["standard"], m{"role": "admin"}, 403},
		{"POST", "/me/password", m{"current": correct, "password": "another horse", "role": "admin"}, 422},
		{"POST", "/me/totp", m{"current": correct, "agent_id": f.agents["admin"]}, 422},
		{"POST", "/tokens", m{"name": "x", "agent_id": f.agents["admin"]}, 403},
		{"POST", "/tokens", m{"name": "x", "hash": "00"}, 422},
		{"POST", "/login", m{"email": mailOf("standard"), "password": correct, "agent_id": f.agents["admin"]}, 422},
		{"PATCH", f.ticketPath(number), m{"created_by": f.agents["admin"]}, 422},
		{"PATCH", f.ticketPath(number), m{"contact_id": f.agents["admin"], "is_admin": true}, 422},
	} {
		b.do(c.method, c.path, c.body).is(c.status)
	}
	for _, field := range []string{"password", "id", "key", "totp"} {
		f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{field: "x"}).is(422).refuses(field)
	}
	if role := b.do("GET", "/me", nil).text("role"); role != "agent" {
		t.Errorf("he is %s now", role)
	}
}

func TestW05TokensAtRestAndRevoked(t *testing.T) {
	f := newFixture(t)
	made := f.do("standard", "POST", "/tokens", m{"name": "CI"}).is(201)
	f.tokens["ci"] = made.text("token")
	b := f.logIn("standard")
	secret := b.do("POST", "/me/totp", m{"current": correct}).is(201).text("secret")
	codes := b.do("POST", "/me/totp/confirm", m{"totp": f.typedCode(secret, 0)}).is(200).json()["recovery_codes"].([]any)
	f.do("ci", "GET", "/me", nil).is(200)
	for _, query := range []string{"token", "access_token", "api_key"} {
		if code := f.do("nobody", "GET", "/me?"+query+"="+f.tokens["ci"], nil).Code; code != 401 {
			t.Errorf("?%s: %d", query, code)
		}
		f.do("nobody", "GET", "/events?"+query+"="+f.tokens["ci"], nil).is(401)
	}
	f.do("ci", "GET", "/events?token="+f.tokens["ci"], nil).is(401)
	var disk strings.Builder
	for _, end := range []string{"", "-wal"} {
		raw, err := os.ReadFile(f.file + end)
		f.must(err)
		disk.Write(raw)
	}
	_, cookie, _ := strings.Cut(b.cookie, "=")
	for _, plain := range []string{f.tokens["ci"], cookie, secret, codes[0].(string), strings.ReplaceAll(codes[0].(string), "-", "")} {
		if strings.Contains(disk.String(), plain) {
			t.Errorf("%.6s... stands in the store", plain)
		}
	}
	if !strings.Contains(disk.String(), threading.HashToken(f.tokens["ci"])) {
		t.Error("the store was not looked at")
	}
	f.do("ci", "DELETE", "/tokens/"+made.text("id"), nil).is(204)
	f.do("ci", "GET", "/me", nil).is(401)
}

// A token that was given for an hour is worth an hour, whatever is made with it.
func TestW05ATokenMakesNoneThatEndsLater(t *testing.T) {
	f := newFixture(t)
	hour := f.clock().Add(time.Hour).UTC()
	f.tokens["guest"] = f.do("standard", "POST", "/tokens", m{"name": "guest", "expires_at": hour}).is(201).text("token")
	for _, who := range []string{"guest", "heir"} {
		made := f.do(who, "POST", "/tokens", m{"name": "heir"}).is(201)
		f.tokens["heir"] = made.text("token")
		if end := made.text("expires_at"); end != hour.Format(time.RFC3339) {
			t.Errorf("it ends %s", end)
		}
		f.do(who, "POST", "/tokens", m{"name": "x", "expires_at": hour.Add(time.Second)}).is(403)
		f.do(who, "POST", "/tokens", m{"name": "x", "expires_at": hour.Add(-time.Second)}).is(201)
	}
	f.do("guest", "POST", "/me/password", m{"password": "a password that stays"}).is(403) // none is set
	f.do("standard", "POST", "/tokens", m{"name": "x"}, "Idempotency-Key", "k").is(201)
	f.do("guest", "POST", "/tokens", m{"name": "x"}, "Idempotency-Key", "k").is(403)
	f.advance(time.Hour)
	f.do("heir", "GET", "/me", nil).is(401)
	f.logIn("standard").do("POST", "/tokens", m{"name": "x"}).is(201)
}

func TestATokenWithScopesDoesNotTouchLogIns(t *testing.T) {
	f := newFixture(t)
	f.knows("standard")
	f.tokens["desk"] = f.do("standard", "POST", "/tokens", m{"name": "x", "scopes": []string{"desk"}}).is(201).text("token")
	b := f.logIn("standard")
	for _, c := range [][2]string{{"POST", "/me/password"}, {"POST", "/me/totp"}, {"POST", "/me/totp/remove"}, {"DELETE", "/sessions/" + b.session}} {
		f.do("desk", c[0], c[1], nil).is(403)
	}
	f.do("desk", "GET", "/sessions", nil).is(200)
}

func TestW08NobodyLearnsWhoIsThere(t *testing.T) {
	f := newFixture(t)
	f.knows("standard")
	f.knows("inactive")
	want, work := "", int64(0)
	for i, who := range []string{"standard", "inactive", "informal", "unknown"} { // wrong, off, without a password, not there
		before := f.hashes.checks.Load()
		got := same(f.tries(who, "wrong horse").is(401))
		checks := f.hashes.checks.Load() - before
		if i == 0 {
			want, work = got, checks
		}
		if got != want || checks != work || checks != 1 {
			t.Errorf("%s: %d checks, %s, want %d, %s", who, checks, got, work, want)
		}
	}
	if got := same(f.tries("inactive", correct).is(401)); got != want {
		t.Errorf("switched off, with the right password: %s", got)
	}
	if f.hashes.made.Load() != 0 {
		t.Error("hashes were made")
	}
	want = ""
	for _, who := range []string{"standard", "inactive", "unknown"} {
		got := same(f.do("nobody", "POST", "/login/link", m{"email": mailOf(who)}).is(202))
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("a link for %s: %s, want %s", who, got, want)
		}
		if mails := len(f.mails(who)); mails != map[string]int{"standard": 1}[who] {
			t.Errorf("%s gets %d mails", who, mails)
		}
	}
}

func TestSwitchingAnAgentOffOrDownWorksAtOnce(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard")
	f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{"role": "admin"}).is(200)
	b.do("GET", "/audit", nil).is(200)
	f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{"role": "agent"}).is(200)
	b.do("GET", "/audit", nil).is(403)
	f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{"active": false}).is(200)
	b.do("GET", "/me", nil).is(401)
	f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{"active": true}).is(200)
	b.do("GET", "/me", nil).is(401) // it ended, and does not wait for him
	f.do("standard", "GET", "/me", nil).is(200)
}

// What outsiders write comes into the log as a value of one line, and nothing of
// a password.
func TestW21TheLogIsOneLineEach(t *testing.T) {
	f := newFixture(t)
	f.serve(func(o *api.Options) {
		o.Log = slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	evil := "agent\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\x1b[2J\u2028\u202e\xff"
	f.do("nobody", "POST", "/login", m{"email": "a@b.example\n{\"level\":\"ERROR\"}", "password": "guess word"}).is(422)
	f.tries("standard", "guess word", "User-Agent", evil, "X-Forwarded-For", evil).is(401)
	f.do("nobody", "GET", "/tickets/"+url.PathEscape(evil), nil, "User-Agent", evil).is(401)
	failed := 0
	for line := range strings.Lines(f.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("no line of its own: %v: %q", err, line)
		}
		if entry["level"] == "ERROR" || entry["msg"] == "forged" || strings.ContainsAny(line, "\x1b\u2028\u202e") {
			t.Errorf("forged: %q", line)
		}
		if entry["msg"] == "a log-in failed" {
			failed++
		}
	}
	if failed != 1 || strings.Contains(f.log.String(), "guess word") {
		t.Errorf("%d failures are logged: %s", failed, f.log.String())
	}
	if client := f.audit("&action=login-failed")[0]["client"].(string); client != "agent{\"level\":\"ERROR\",\"msg\":\"forged\"}[2J\ufffd" {
		t.Errorf("the audit log shows %q", client)
	}
}

// What one node knows of a log-in, all know; and what is tried at two counts at
// both.
func TestLogInsHoldOverNodes(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	nodes := []*fixture{onPostgres(t, url), onPostgres(t, url)}
	nodes[0].people()
	nodes[1].tokens, nodes[1].agents, nodes[1].channel = nodes[0].tokens, nodes[0].agents, nodes[0].channel
	for _, f := range nodes {
		f.serve(nil)
	}
	b := nodes[0].logIn("standard")
	there := browser{f: nodes[1], cookie: b.cookie}
	there.do("GET", "/me", nil).is(200)
	b.do("POST", "/logout", nil).is(204)
	there.do("GET", "/me", nil).is(401)

	b = nodes[0].logIn("standard")
	l := nodes[1].listen(nodes[1].serveEvents(func(o *api.Options) { o.Events.Check = time.Hour }), "nobody", "", "Authorization", "", "Cookie", b.cookie)
	b.do("POST", "/logout", nil).is(204)
	l.ends()

	var tried atomic.Int64
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if nodes[i%2].tries("standard", "wrong horse").Code == 401 {
				tried.Add(1)
			}
		})
	}
	wg.Wait()
	if tried.Load() != 10 {
		t.Errorf("%d guesses were looked at", tried.Load())
	}
}
