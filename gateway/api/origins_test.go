package api_test

import (
	"strings"
	"testing"
	"time"

	"ticketgate/gateway/api"
)

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
