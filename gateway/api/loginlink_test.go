package api_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/gateway/api"
	"ticketgate/store"
)

// byLink logs in with a mailed token.
func (f *fixture) byLink(token string) reply {
	f.t.Helper()
	return f.do("nobody", "POST", "/login", m{"token": token})
}

func TestInvitations(t *testing.T) {
	f := newFixture(t)
	f.do("admin", "POST", "/agents/"+f.agents["inactive"]+"/invite", nil).is(409)
	f.do("admin", "POST", "/agents/"+f.agents["informal"]+"/invite", nil, "Host", "evil.example").is(200)
	mail := f.mails("informal")[0]
	if mail.From.Address != "support@example.test" || mail.Ticket != 0 || mail.AutoSubmitted != "auto-generated" ||
		!strings.HasSuffix(mail.MessageID, "@example.test") || strings.HasPrefix(mail.MessageID, ".") {
		t.Errorf("the mail: %+v", mail)
	}
	f.advance(7*24*time.Hour - time.Second)
	b := f.browser(f.byLink(f.mailedToken("informal")).is(200))
	b.do("POST", "/me/password", m{"password": "first horse"}).is(200) // who came by a link knows none
	f.tries("informal", "first horse").is(200)
	f.advance(30 * time.Minute)
	b.do("POST", "/me/password", m{"password": "second horse"}).is(422).refuses("current")
}

func TestAnInvitationNeedsAnAccountToSendIt(t *testing.T) {
	f := newFixture(t)
	f.do("admin", "PATCH", "/mail-accounts/"+f.account, m{"active": false}).is(200)
	if reason := f.do("admin", "POST", "/agents/"+f.agents["informal"]+"/invite", nil).is(409).text("reason"); reason != "no_account" {
		t.Errorf("reason %s", reason)
	}
	f.do("nobody", "POST", "/login/link", m{"email": mailOf("informal")}).is(202)
	if lines := f.audit("&action=mail-login-link"); len(lines) != 1 || lines[0]["reason"] != "no_account" {
		t.Errorf("audit: %v", lines)
	}
}

func TestW10ALinkCountsOnceAndAsItIs(t *testing.T) {
	f := newFixture(t)
	ask := func() string {
		t.Helper()
		f.advance(10 * time.Minute)
		f.do("nobody", "POST", "/login/link", m{"email": mailOf("informal")}, "Host", "evil.example", "X-Forwarded-Host", "evil.example").is(202)
		if link := f.mailedLink("informal"); !strings.HasPrefix(link, "http://desk.example.test/login?token=") {
			t.Errorf("the link leads to %s", link)
		}
		return f.mailedToken("informal")
	}
	token := ask()
	if len(token) != 43 {
		t.Errorf("token %q", token)
	}
	want := same(f.byLink("none").is(401))
	for _, bent := range []string{token + " ", " " + token, strings.ToLower(token), strings.ToUpper(token), token + "=", token[:42]} {
		if got := same(f.byLink(bent)); got != want && bent != token {
			t.Errorf("%q: %s", bent, got)
		}
	}
	f.byLink(token).is(200)
	if got := same(f.byLink(token)); got != want {
		t.Errorf("twice: %s", got)
	}
	token = ask()
	f.advance(30*time.Minute - time.Second)
	f.byLink(token).is(200)
	token = ask()
	f.advance(30 * time.Minute)
	if got := same(f.byLink(token)); got != want {
		t.Errorf("too late: %s", got)
	}
	token = ask()
	f.do("admin", "PATCH", "/agents/"+f.agents["informal"], m{"email": "moved@example.test"}).is(200)
	if got := same(f.byLink(token)); got != want {
		t.Errorf("to an address that is no longer his: %s", got)
	}
	f.do("admin", "PATCH", "/agents/"+f.agents["informal"], m{"email": mailOf("informal")}).is(200)
	token = ask()
	f.do("admin", "PATCH", "/agents/"+f.agents["informal"], m{"active": false}).is(200)
	f.do("admin", "PATCH", "/agents/"+f.agents["informal"], m{"active": true}).is(200)
	if got := same(f.byLink(token)); got != want {
		t.Errorf("from before he was switched off: %s", got)
	}
}

func TestW10OneOfManyAtOnceGetsIn(t *testing.T) {
	f := newFixture(t)
	f.do("nobody", "POST", "/login/link", m{"email": mailOf("informal")}).is(202)
	token := f.mailedToken("informal")
	var in atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if f.byLink(token).Code == 200 {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 {
		t.Errorf("%d got in", in.Load())
	}
}

func TestLinksAreBounded(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		f.do("nobody", "POST", "/login/link", m{"email": mailOf("informal")}).is(202)
	}
	f.do("nobody", "POST", "/login/link", m{"email": mailOf("informal")}).is(429)
	if mails := len(f.mails("informal")); mails != 3 {
		t.Errorf("%d mails", mails)
	}
}

func TestSecondFactor(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard")
	b.do("POST", "/me/totp/confirm", m{"totp": "000000"}).is(409)
	b.do("POST", "/me/totp", m{}).is(422).refuses("current")
	begun := b.do("POST", "/me/totp", m{"current": correct}).is(201)
	secret := begun.text("secret")
	if url := begun.text("url"); !strings.HasPrefix(url, "otpauth://totp/") || !strings.Contains(url, "secret="+secret) {
		t.Errorf("url %s", url)
	}
	f.tries("standard", correct).is(200) // not confirmed, not asked for
	b.do("POST", "/me/totp/confirm", m{"totp": f.typedCode(secret, 5)}).is(422).refuses("totp")
	codes := b.do("POST", "/me/totp/confirm", m{"totp": f.typedCode(secret, 0)}).is(200).json()["recovery_codes"].([]any)
	b.do("POST", "/me/totp", m{"current": correct}).is(409)

	with := func(totp string) reply {
		return f.do("nobody", "POST", "/login", m{"email": mailOf("standard"), "password": correct, "totp": totp})
	}
	if reason := with("").is(401).text("reason"); reason != "totp_required" {
		t.Errorf("reason %s", reason)
	}
	wrong := same(with("000000").is(401))
	if got := same(f.do("nobody", "POST", "/login", m{"email": mailOf("standard"), "password": "wrong horse", "totp": f.typedCode(secret, 1)})); got != wrong {
		t.Errorf("a wrong password with a right code: %s, want %s", got, wrong)
	}
	with(f.typedCode(secret, 0)).is(401) // it was used to confirm
	next := f.typedCode(secret, 1)
	with(next).is(200)
	with(next).is(401)
	f.advance(time.Minute)
	with(f.typedCode(secret, 0)).is(200)
	recovery := codes[0].(string)
	with(strings.ToUpper(recovery)).is(200)
	with(recovery).is(401)
	if left := b.do("GET", "/me/totp", nil).is(200).json()["recovery_codes_left"]; left != 9.0 {
		t.Errorf("%v codes are left", left)
	}
	f.advance(10 * time.Minute)

	f.do("nobody", "POST", "/login/link", m{"email": mailOf("standard")}).is(202)
	token := f.mailedToken("standard")
	f.byLink(token).is(401) // a link is one factor, and waits for the other
	f.do("nobody", "POST", "/login", m{"token": token, "totp": f.typedCode(secret, 0)}).is(200)

	b.do("POST", "/me/totp/remove", m{"current": "wrong horse"}).is(422).refuses("current")
	b.do("POST", "/me/totp/remove", m{"current": correct}).is(200)
	b.do("POST", "/me/totp/remove", m{"current": correct}).is(409)
	f.tries("standard", correct).is(200)
}

func TestAnAdminTakesALostFactorAway(t *testing.T) {
	f := newFixture(t)
	f.knows("standard")
	f.setTOTP("standard")
	f.tries("standard", correct).is(401)
	f.do("admin", "DELETE", "/agents/"+f.agents["standard"]+"/totp", nil).is(204)
	f.tries("standard", correct).is(200)
}

// visit sends a browser to the provider and back, and gives the answer of the
// way back; change may bend it.
func (f *fixture) visit(next string, change func(*http.Request)) reply {
	f.t.Helper()
	begun := f.do("nobody", "GET", "/login/oidc?next="+next, nil).is(302)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(f.ctx, "GET", begun.Header().Get("Location"), nil)
	f.must(err)
	res, err := client.Do(req)
	f.must(err)
	f.must(res.Body.Close())
	client.CloseIdleConnections()
	back, err := res.Location()
	f.must(err)
	req, err = http.NewRequestWithContext(f.ctx, "GET", back.String(), nil)
	f.must(err)
	flow := begun.cookie("ticketgate-oidc")
	req.AddCookie(&http.Cookie{Name: flow.Name, Value: flow.Value})
	if change != nil {
		change(req)
	}
	return f.do("nobody", "GET", back.Path+"?"+req.URL.RawQuery, nil, "Cookie", req.Header.Get("Cookie"), "Sec-Fetch-Site", "cross-site")
}

func TestOIDC(t *testing.T) {
	f := newFixture(t)
	p := testbed.OIDC(t)
	f.serveOIDC(p)
	as := func(who string, verified bool) {
		p.As(m{"email": mailOf(who), "email_verified": verified}, nil)
	}
	as("standard", true)
	r := f.visit("/tickets/10001%3Fa%3Db", nil).is(302)
	if to := r.Header().Get("Location"); to != "http://desk.example.test/tickets/10001?a=b" {
		t.Errorf("sent to %s", to)
	}
	c := r.cookie("ticketgate")
	if got := f.do("nobody", "GET", "/me", nil, "Cookie", c.Name+"="+c.Value).is(200).text("email"); got != mailOf("standard") {
		t.Errorf("logged in as %s", got)
	}
	f.visit("/", func(r *http.Request) { r.URL.RawQuery += "&session_state=what+providers+add" }).is(302)
	want := ""
	for _, c := range []struct {
		who      string
		verified bool
	}{{"standard", false}, {"inactive", true}, {"unknown", true}} {
		as(c.who, c.verified)
		if got := same(f.visit("/", nil).is(401)); want == "" {
			want = got
		} else if got != want {
			t.Errorf("%s: %s, want %s", c.who, got, want)
		}
	}
	as("standard", true)
	f.visit("/", func(r *http.Request) { r.Header.Del("Cookie") }).is(400)
	f.visit("/", func(r *http.Request) { r.Header.Set("Cookie", "ticketgate-oidc=forged") }).is(400)
	f.visit("/", func(*http.Request) { f.advance(10 * time.Minute) }).is(400)
	f.visit("/", func(r *http.Request) { r.URL.RawQuery = "error=access_denied" }).is(401)
	if all := f.do("admin", "GET", "/agents?limit=200", nil).items(); len(all) != 6 {
		t.Errorf("%d agents", len(all))
	}
	p.Down(true)
	f.serveOIDC(p)
	f.do("nobody", "GET", "/login/oidc", nil).is(503)
	f.serve(nil)
	f.do("admin", "GET", "/login/oidc", nil).is(404)
}

func TestW11NobodyIsSentElsewhere(t *testing.T) {
	f := newFixture(t)
	p := testbed.OIDC(t)
	f.serveOIDC(p)
	p.As(m{"email": mailOf("standard"), "email_verified": true}, nil)
	for next, want := range map[string]string{
		"": "/", "/tickets/1": "/tickets/1", "//evil.example": "/", "/%5Cevil.example": "/", "%5C%5Cevil.example": "/", "https:evil.example": "/",
		"https://evil.example/": "/", "javascript:alert(1)": "/", "evil.example": "/", "/%09/evil.example": "/", "///evil.example": "/",
		"/a%0d%0aX:%20y": "/", "http:///evil.example": "/", "/a%5Cb": "/",
	} {
		r := f.do("nobody", "GET", "/login/oidc?next="+next, nil)
		if strings.Contains(next, "%0") && r.Code == 422 {
			continue // control characters come in nowhere
		}
		if to := f.visit(next, nil).is(302).Header().Get("Location"); to != "http://desk.example.test"+want {
			t.Errorf("next=%s leads to %s", next, to)
		}
		f.advance(time.Minute)
	}
}

func TestW12OtherHostsGetNothing(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("standard")
	preflight := []string{"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "content-type,if-match", "Origin"}
	allowed := func(r reply) string { return r.Header().Get("Access-Control-Allow-Origin") }
	for _, c := range []struct {
		listed []string
		origin string
		want   string
	}{
		{nil, "https://evil.example", ""},
		{nil, "https://ui.example.org", ""},
		{[]string{"https://ui.example.org"}, "https://evil.example", ""},
		{[]string{"https://ui.example.org"}, "null", ""},
		{[]string{"https://ui.example.org"}, "https://ui.example.org.evil.example", ""},
		{[]string{"https://ui.example.org"}, "http://ui.example.org", ""},
		{[]string{"https://ui.example.org"}, "https://ui.example.org", "https://ui.example.org"},
	} {
		f.serve(func(o *api.Options) { o.AllowedOrigins = c.listed })
		r := f.do("nobody", "OPTIONS", "/tickets/10001", nil, append(preflight, c.origin)...)
		if allowed(r) != c.want || (r.Header().Get("Access-Control-Allow-Methods") != "") != (c.want != "") {
			t.Errorf("preflight from %s: %d %v", c.origin, r.Code, r.Header())
		}
		for _, r := range []reply{
			b.do("GET", "/me", nil, "Origin", c.origin), f.do("standard", "GET", "/me", nil, "Origin", c.origin),
			f.do("nobody", "GET", "/openapi.json", nil, "Origin", c.origin), f.do("nobody", "GET", "/me", nil, "Origin", c.origin),
		} {
			if allowed(r) != c.want || allowed(r) == "*" || (r.Header().Get("Access-Control-Allow-Credentials") == "true") != (c.want != "") {
				t.Errorf("from %s: %d %v", c.origin, r.Code, r.Header())
			}
		}
		if want := map[bool]int{true: 200, false: 403}[c.want != ""]; b.do("GET", "/me", nil, "Origin", c.origin).Code != want {
			t.Errorf("from %s the cookie counts", c.origin)
		}
	}
}

func TestW25AStreamByCookieOrTokenOfAMinute(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(nil)
	b := f.logIn("standard")
	open := func(query string, header ...string) int {
		res, cut := f.request(server, "nobody", query, append([]string{"Authorization", ""}, header...)...)
		defer cut()
		f.must(res.Body.Close())
		return res.StatusCode
	}
	token := b.do("POST", "/events/token", nil).is(201).text("token")
	for _, c := range []struct {
		name, query string
		header      []string
		want        int
	}{
		{"nobody", "", nil, 401},
		{"by cookie", "", []string{"Cookie", b.cookie}, 200},
		{"by cookie, from a foreign page", "", []string{"Cookie", b.cookie, "Origin", "https://evil.example"}, 403},
		{"by token", "?token=" + token, nil, 200},
		{"by token, again", "?token=" + token, nil, 200},
		{"by half a token", "?token=" + token[:len(token)-2], nil, 401},
		{"by an API token", "?token=" + f.tokens["standard"], nil, 401},
		{"by the cookie's value", "?token=" + strings.TrimPrefix(b.cookie, "ticketgate="), nil, 401},
	} {
		if got := open(c.query, c.header...); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	f.do("nobody", "GET", "/me", nil, "Authorization", "Bearer "+token).is(401)
	f.advance(time.Minute)
	if got := open("?token=" + token); got != 401 {
		t.Errorf("after a minute: %d", got)
	}
}

// What ends the right to a stream ends the stream, and no event comes between.
func TestW25AStreamEndsWithItsSession(t *testing.T) {
	for name, end := range map[string]func(*fixture, browser){
		"logged out":       func(_ *fixture, b browser) { b.do("POST", "/logout", nil).is(204) },
		"ended by another": func(f *fixture, b browser) { f.logIn("standard").do("DELETE", "/sessions/"+b.session, nil).is(204) },
		"ended by an admin": func(f *fixture, b browser) {
			f.do("admin", "DELETE", "/sessions/"+b.session, nil).is(204)
		},
		"password changed": func(f *fixture, _ browser) {
			f.logIn("standard").do("POST", "/me/password", m{"current": correct, "password": "another horse"}).is(200)
		},
		"switched off": func(f *fixture, _ browser) {
			f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{"active": false}).is(200)
		},
	} {
		for _, way := range []string{"by cookie", "by token"} {
			t.Run(name+", "+way, func(t *testing.T) {
				f := newFixture(t)
				server := f.serveEvents(func(o *api.Options) { o.Events.Check = time.Hour })
				b := f.logIn("standard")
				query, header := "", []string{"Authorization", "", "Cookie", b.cookie}
				if way == "by token" {
					query, header = "?token="+b.do("POST", "/events/token", nil).is(201).text("token"), []string{"Authorization", ""}
				}
				l := f.listen(server, "nobody", query, header...)
				end(f, b)
				f.internal(f.channel) // which nobody is told of
				l.ends()
			})
		}
	}
}

// Each change of the desk leaves one line, and no secret.
func TestWhatIsChangedIsAudited(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("admin", "User-Agent", "curl \x1b[31m")
	var want []string
	did := func(action, thing string) { want = append(want, action+" "+thing) }
	made := func(action, path string, body m) string {
		t.Helper()
		id := b.do("POST", path, body).is(201).text("id")
		did(action, path+"/"+id)
		return id
	}
	for _, c := range []struct {
		one, path   string
		body, patch m
	}{
		{"agent", "/agents", m{"email": "new@example.test"}, m{"name": "New"}},
		{"channel", "/channels", m{"name": "New"}, m{"name": "Newer"}},
		{"status", "/statuses", m{"name": "Odd"}, m{"name": "Odder"}},
		{"marker", "/markers", m{"name": "Red", "colour": "#ff0000"}, m{"name": "Redder"}},
		{"custom-field", "/custom-fields", m{"key": "serial", "name": "Serial"}, m{"name": "Number"}},
		{"template", "/templates", m{"name": "Hello", "text": "Hello"}, m{"name": "Hello again"}},
		{"mail-account", "/mail-accounts", m{"name": "x", "address": "new-account@example.test", "type": "system"}, m{"name": "y"}},
	} {
		id := made("create-"+c.one, c.path, c.body)
		b.do("PATCH", c.path+"/"+id, c.patch).is(200)
		did("patch-"+c.one, c.path+"/"+id)
		if c.one == "agent" {
			b.do("POST", c.path+"/"+id+"/invite", nil).is(200)
			did("invite-agent", c.path+"/"+id)
			f.agents["new"] = id
			f.setTOTP("new")
			b.do("DELETE", c.path+"/"+id+"/totp", nil).is(204)
			did("remove-agents-totp", c.path+"/"+id)
		}
		b.do("DELETE", c.path+"/"+id, nil).is(204)
		did("delete-"+c.one, c.path+"/"+id)
	}
	subscription := "/channels/" + f.channel + "/subscriptions/" + f.agents["outsider"]
	b.do("POST", "/channels/"+f.channel+"/subscriptions", m{"agent_id": f.agents["outsider"], "type": "standard"}).is(201)
	did("put-subscription", subscription)
	b.do("DELETE", subscription, nil).is(204)
	did("delete-subscription", subscription)
	key := made("create-dkim-key", "/dkim-keys", m{"domain": "example.test"})
	for _, action := range []string{"activate", "retire"} {
		b.do("POST", "/dkim-keys/"+key+"/"+action, nil).is(200)
		did(action+"-dkim-key", "/dkim-keys/"+key)
	}
	b.do("DELETE", "/dkim-keys/"+key, nil).is(204)
	did("delete-dkim-key", "/dkim-keys/"+key)
	contact := b.do("POST", "/contacts", m{"name": "c"}).is(201).text("id")
	b.do("DELETE", "/contacts/"+contact, nil).is(204)
	did("delete-contact", "/contacts/"+contact)
	company := b.do("POST", "/companies", m{"name": "c"}).is(201).text("id")
	b.do("DELETE", "/companies/"+company, nil).is(204)
	did("delete-company", "/companies/"+company)
	b.do("PATCH", "/channels/"+f.channel, m{"require_dkim": "quarantine"}).is(200)
	did("patch-channel", "/channels/"+f.channel)
	for _, action := range []string{"release", "delete"} {
		f.service.Take(f.ctx, f.incoming(strings.Replace(strangersMail, "Subject:", "Subject: "+action+" ", 1)))
		id := b.do("GET", "/quarantine", nil).items()[0]["id"].(string)
		b.do("POST", "/quarantine/"+id+"/"+action, nil).is(200)
		did(action+"-quarantined", "/quarantine/"+id)
	}
	token := made("create-token", "/tokens", m{"name": "x"})
	b.do("DELETE", "/tokens/"+token, nil).is(204)
	did("delete-token", "/tokens/"+token)
	b.do("POST", "/me/password", m{"current": correct, "password": "another horse"}).is(200)
	did("change-password", "/agents/"+f.agents["admin"])
	secret := b.do("POST", "/me/totp", m{"current": "another horse"}).is(201).text("secret")
	did("begin-totp", "/agents/"+f.agents["admin"])
	b.do("POST", "/me/totp/confirm", m{"totp": f.typedCode(secret, 0)}).is(200)
	did("confirm-totp", "/agents/"+f.agents["admin"])
	b.do("POST", "/me/totp/remove", m{"current": "another horse"}).is(200)
	did("remove-totp", "/agents/"+f.agents["admin"])
	other := f.browser(f.tries("admin", "another horse").is(200))
	b.do("DELETE", "/sessions/"+other.session, nil).is(204)
	did("end-session", "/sessions/"+other.session)
	b.do("PATCH", "/channels/"+f.channel, m{"name": ""}).is(422) // what was refused is no change
	f.do("standard", "POST", "/channels", m{"name": "x"}).is(403)
	b.do("POST", "/logout", nil).is(204)
	did("logout", "/sessions/"+b.session)

	var got []string
	lines := f.audit("&agent_id=" + f.agents["admin"])
	slices.Reverse(lines)
	for _, l := range lines {
		if l["action"] != store.AuditLogin {
			got = append(got, l["action"].(string)+" "+l["thing"].(string))
			if l["credential"] != b.session || l["address"] != "192.0.2.1" || l["request_id"] == "" {
				t.Errorf("%v lacks who and from where: %v", l["action"], l)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	all := f.do("admin", "GET", "/audit?limit=200", nil).Body.String()
	for _, plain := range []string{correct, "another horse", secret, b.cookie} {
		if strings.Contains(all, plain) {
			t.Errorf("the log holds %q", plain)
		}
	}
	f.everyChangeIsTried(want)
}

// everyChangeIsTried asks that each operation that is audited was.
func (f *fixture) everyChangeIsTried(done []string) {
	f.t.Helper()
	for route, kind := range matrix {
		method, _, _ := strings.Cut(route, " ")
		if kind != admins || method == "GET" {
			continue
		}
		id := f.operationID(route)
		if !slices.ContainsFunc(done, func(line string) bool { return strings.HasPrefix(line, id+" ") }) {
			f.t.Errorf("nobody tried %s (%s)", route, id)
		}
	}
}

func TestTheAuditLogIsReadByPagesAndFilters(t *testing.T) {
	f := newFixture(t)
	f.logIn("standard")
	f.advance(time.Minute)
	since := f.clock().Format(time.RFC3339)
	f.tries("standard", "wrong horse").is(401)
	f.tries("unknown", "wrong horse").is(401)
	var seen []string
	for cursor := ""; ; {
		r := f.do("admin", "GET", "/audit?limit=1&cursor="+cursor, nil)
		seen = append(seen, r.items()[0]["id"].(string))
		if cursor = r.text("next"); cursor == "" {
			break
		}
	}
	if slices.Sort(seen); len(slices.Compact(seen)) != 3 {
		t.Errorf("page by page: %v", seen)
	}
	for query, want := range map[string]int{
		"action=login": 1, "action=login-failed": 2, "agent_id=" + f.agents["standard"]: 1, "thing=/agents/" + f.agents["standard"]: 2,
		"since=" + since: 2, "until=" + since: 1, "action=none": 0,
	} {
		if got := len(f.do("admin", "GET", "/audit?"+query, nil).items()); got != want {
			t.Errorf("%s: %d lines, want %d", query, got, want)
		}
	}
	failed := f.do("admin", "GET", "/audit?action=login-failed", nil).items()
	if failed[0]["email"] != mailOf("unknown") || failed[0]["thing"] != "" || failed[0]["agent_id"] != nil || failed[1]["thing"] != "/agents/"+f.agents["standard"] {
		t.Errorf("failed: %v", failed)
	}
}
