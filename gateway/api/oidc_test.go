package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

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
