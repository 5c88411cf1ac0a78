package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
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

func TestW09ASessionIsFresh(t *testing.T) {
	f := newFixture(t)
	f.logIn("standard")
	for _, planted := range []string{"ticketgate=planted", "ticketgate=" + f.tokens["standard"], f.logIn("informal").cookie} {
		b := f.logIn("standard", "Cookie", planted)
		if b.cookie == planted {
			t.Errorf("%s is taken over", planted)
		}
		f.do("nobody", "GET", "/me", nil, "Cookie", planted).is(401) // also the one that was good before
	}
	f.do("nobody", "GET", "/me", nil, "Authorization", "Bearer "+strings.TrimPrefix(f.logIn("standard").cookie, "ticketgate=")).is(401)
}

func TestW09APasswordChangeEndsTheOthers(t *testing.T) {
	f := newFixture(t)
	b, other, whose := f.logIn("standard"), f.logIn("standard"), f.logIn("informal")
	b.do("POST", "/me/password", m{"password": "another horse"}).is(422).refuses("current")
	b.do("POST", "/me/password", m{"current": "wrong horse", "password": "another horse"}).is(422).refuses("current")
	for _, bad := range []string{"short", mailOf("standard")} {
		b.do("POST", "/me/password", m{"current": correct, "password": bad}).is(422).refuses("password")
	}
	other.do("GET", "/me", nil).is(200)
	b.do("POST", "/me/password", m{"current": correct, "password": "another horse"}).is(200)
	b.do("GET", "/me", nil).is(200)
	other.do("GET", "/me", nil).is(401)
	whose.do("GET", "/me", nil).is(200)
	f.tries("standard", correct).is(401)
	f.tries("standard", "another horse").is(200)
}

func TestW09CookieFlags(t *testing.T) {
	f := newFixture(t)
	f.knows("standard")
	for _, c := range []struct {
		url, name string
		origins   []string
		secure    bool
		site      http.SameSite
	}{
		{"http://desk.example.test", "ticketgate", nil, false, http.SameSiteLaxMode},
		{"https://desk.example.test", "__Host-ticketgate", nil, true, http.SameSiteLaxMode},
		{"https://desk.example.test", "__Host-ticketgate", []string{"https://ui.example.test"}, true, http.SameSiteLaxMode},
		{"https://desk.example.test", "__Host-ticketgate", []string{"https://ui.example.org"}, true, http.SameSiteNoneMode},
		{"http://desk.example.test", "ticketgate", []string{"https://ui.example.org"}, false, http.SameSiteLaxMode},
	} {
		f.serve(func(o *api.Options) { o.PublicURL, o.AllowedOrigins = c.url, c.origins })
		r := f.tries("standard", correct).is(200)
		got := r.cookie("ticketgate")
		if got.Name != c.name || got.Secure != c.secure || got.SameSite != c.site || !got.HttpOnly || got.Path != "/" || got.Domain != "" || got.MaxAge != 7*24*3600 {
			t.Errorf("%s with %v: %v", c.url, c.origins, got)
		}
		if hsts := r.Header().Get("Strict-Transport-Security") != ""; hsts != c.secure {
			t.Errorf("%s: HSTS %v", c.url, hsts)
		}
		f.do("nobody", "GET", "/me", nil, "Cookie", got.Name+"="+got.Value).is(200)
	}
	f.secure(nil)
	b := f.logIn("standard")
	f.do("nobody", "GET", "/me", nil, "Cookie", strings.TrimPrefix(b.cookie, "__Host-")).is(401) // which a neighbour may have set
}

func TestW09ForeignPagesDoNothing(t *testing.T) {
	f := newFixture(t)
	f.serve(func(o *api.Options) { o.AllowedOrigins = []string{"https://ui.example.org"} })
	b := f.logIn("standard")
	number, _ := f.mailIn(customersMail)
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"a program", nil, 200},
		{"our page", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://desk.example.test"}, 200},
		{"our page, in an old browser", []string{"Origin", "http://desk.example.test"}, 200},
		{"our page, by another name of this host", []string{"Origin", "http://example.com"}, 200},
		{"a connected UI", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://ui.example.org"}, 200},
		{"a foreign page", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"a neighbour's page", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.example.test"}, 403},
		{"a foreign page, in an old browser", []string{"Origin", "https://evil.example"}, 403},
		{"a page without an origin", []string{"Sec-Fetch-Site", "cross-site", "Origin", "null"}, 403},
		{"one that begins like ours", []string{"Origin", "http://desk.example.test.evil.example"}, 403},
	} {
		t.Log(c.name)
		b.do("PATCH", f.ticketPath(number), m{"priority": "high"}, c.header...).is(c.status)
		f.tries("standard", correct, c.header...).is(c.status)
		if len(c.header) == 2 || c.status == 403 && c.header[3] != "null" {
			origin := c.header[len(c.header)-1]
			b.do("GET", "/me", nil, "Origin", origin).is(c.status)
		}
		f.do("standard", "PATCH", f.ticketPath(number), m{"priority": "high"}, c.header...).is(200) // a token is no cookie
	}
}

// Of attempts at the same moment no more count than one after the other, and an
// address that claims to be others stays the one that it is.
func TestW09GuessingIsBounded(t *testing.T) {
	f := newFixture(t)
	f.knows("standard")
	guess := func(attempts int, who func(i int) string) (tried, refused int64) {
		var right, wrong atomic.Int64
		var wg sync.WaitGroup
		for i := range attempts {
			wg.Go(func() {
				switch r := f.tries(who(i), fmt.Sprint("guess number ", i), "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i)); r.Code {
				case 401:
					right.Add(1)
				case 429:
					wrong.Add(1)
					if r.Header().Get("Retry-After") == "" {
						t.Error("a 429 that doesn't say when to come again")
					}
				default:
					t.Errorf("%d %s", r.Code, r.Body)
				}
			})
		}
		wg.Wait()
		return right.Load(), wrong.Load()
	}
	if tried, refused := guess(25, func(int) string { return "standard" }); tried != 10 || refused != 15 {
		t.Errorf("one account: %d tried, %d refused", tried, refused)
	}
	if checks := f.hashes.checks.Load(); checks != 10 {
		t.Errorf("%d passwords were checked", checks)
	}
	f.tries("standard", correct).is(429)
	f.tries("unknown", "x").is(401) // it is one account that is bounded
	if tried, refused := guess(40, func(i int) string { return fmt.Sprint("nobody", i) }); tried != 19 || refused != 21 {
		t.Errorf("one address: %d tried, %d refused", tried, refused)
	}
	f.advance(2 * time.Minute) // one more for the account, six for the address
	f.tries("standard", correct).is(200)
	for range 9 {
		f.tries("standard", correct).is(200) // who knows the password is not bounded by it
	}
}

func TestW24ForwardedAddressesOfOthersAreNothing(t *testing.T) {
	f := newFixture(t)
	f.knows("standard")
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		trusted []netip.Prefix
		header  []string
		want    string
	}{
		{nil, []string{"X-Forwarded-For", "203.0.113.9", "CF-Connecting-IP", "203.0.113.8", "X-Real-IP", "203.0.113.7"}, "192.0.2.1"},
		{proxies, nil, "192.0.2.1"},
		{proxies, []string{"X-Forwarded-For", "203.0.113.9"}, "203.0.113.9"},
		{proxies, []string{"X-Forwarded-For", "6.6.6.6, 203.0.113.9"}, "203.0.113.9"},
		{proxies, []string{"X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.1.1.1"}, "203.0.113.9"},
		{proxies, []string{"X-Forwarded-For", "203.0.113.9, \x1b[2J<script>"}, "192.0.2.1"},
		{proxies, []string{"X-Forwarded-For", "203.0.113.9, "}, "192.0.2.1"},
		{proxies, []string{"X-Forwarded-For", "::ffff:203.0.113.9"}, "203.0.113.9"},
		{proxies, []string{"CF-Connecting-IP", "203.0.113.8", "Forwarded", "for=203.0.113.7"}, "192.0.2.1"},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, []string{"X-Forwarded-For", "203.0.113.9"}, "192.0.2.1"},
	} {
		f.serve(func(o *api.Options) { o.TrustedProxies = c.trusted })
		if got := f.tries("standard", correct, c.header...).is(200).text("address"); got != c.want {
			t.Errorf("%v from %v: %s, want %s", c.header, c.trusted, got, c.want)
		}
		if line := f.audit("&action=login")[0]; line["address"] != c.want {
			t.Errorf("the audit log says %v, want %s", line["address"], c.want)
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
