package api_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
