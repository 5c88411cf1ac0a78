package api_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/gateway/api"
)

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
