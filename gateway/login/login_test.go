package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

func TestPasswordHashes(t *testing.T) {
	hash := HashPassword("correct horse")
	if !PasswordMatches(hash, "correct horse") || PasswordMatches(hash, "correct Horse") {
		t.Error("the hash does not tell passwords apart")
	}
	if HashPassword("correct horse") == hash {
		t.Error("two hashes share their salt")
	}
	if !PasswordMatches(HashPassword("Gr\u00fc\u00dfe an alle"), "Gru\u0308\u00dfe an alle") {
		t.Error("what looks the same is not the same")
	}
	for _, broken := range []string{
		"", "plain", "$argon2id$v=19$m=x$a$b", "$argon2id$v=19$m=9999999999,t=1,p=1$YQ$YQ", "$argon2id$v=19$m=65536,t=0,p=0$YQ$YQ",
		"$argon2id$v=19$m=8,t=4000000000,p=1$YQ$YQ", "$argon2id$v=19$m=8,t=1,p=1$YQ$",
	} {
		if PasswordMatches(broken, "") {
			t.Errorf("%q matches", broken)
		}
	}
}

func TestPasswordsAreChecked(t *testing.T) {
	p := NewPasswords()
	cheap := costs{memory: 64, passes: 1, lanes: 1}
	old := hashed{costs: cheap, salt: []byte("salt"), sum: cheap.sum("correct horse", []byte("salt"), 32)}.String()
	fresh, err := p.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, hash, plain string
		matches, stale    bool
	}{
		{"right", fresh, "correct horse", true, false},
		{"wrong", fresh, "wrong horse", false, false},
		{"right, of other costs", old, "correct horse", true, true},
		{"wrong, of other costs", old, "wrong horse", false, false},
		{"none is set", "", "", false, false},
		{"none is set", "", "correct horse", false, false},
	} {
		if matches, stale, err := p.Check(t.Context(), c.hash, c.plain); matches != c.matches || stale != c.stale || err != nil {
			t.Errorf("%s: %v, stale %v, %v", c.name, matches, stale, err)
		}
	}
}

// Who finds all places taken waits, and is told to come again.
func TestPasswordsAreCheckedAFewAtATime(t *testing.T) {
	p := NewPasswords()
	p.patience = time.Millisecond
	for range cap(p.slots) {
		if err := p.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := p.Check(t.Context(), "", "x"); store.CodeOf(err) != store.CodeUnavailable {
		t.Errorf("one too many: %v", err)
	}
	if _, err := p.Hash(t.Context(), "x"); store.CodeOf(err) != store.CodeUnavailable {
		t.Errorf("one too many: %v", err)
	}
	p.leave()
	p.patience = time.Minute
	if _, _, err := p.Check(t.Context(), "", "x"); err != nil {
		t.Error(err)
	}
}

// The vectors of RFC 6238, appendix B, cut to six digits.
func TestTOTPCodes(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		for off, want := range map[int64]bool{-90: false, -30: true, 0: true, 30: true, 60: false} {
			step, ok := MatchTOTP(secret, code, time.Unix(at+off, 0))
			if ok != want || ok && step != at/30 {
				t.Errorf("code of %d at %+d: step %d, %v", at, off, step, ok)
			}
		}
	}
	for _, code := range []string{"", "28708", "2870820", "abcdef"} {
		if _, ok := MatchTOTP(secret, code, time.Unix(59, 0)); ok {
			t.Errorf("%q is taken", code)
		}
	}
	if _, ok := MatchTOTP(secret, "287 082", time.Unix(59, 0)); !ok {
		t.Error("a code in two groups is refused")
	}
}

func TestTOTPAddress(t *testing.T) {
	u, err := url.Parse(TOTPURL("desk: one", "anna@desk.example", []byte("12345678901234567890")))
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/desk  one:anna@desk.example" ||
		u.Query().Get("secret") != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" || u.Query().Get("issuer") != "desk: one" {
		t.Errorf("%s, %v", u, err)
	}
}

func TestRecoveryCodes(t *testing.T) {
	codes := NewRecoveryCodes()
	seen := map[string]bool{}
	for _, code := range codes {
		seen[RecoveryHash(code)] = true
		if RecoveryHash(strings.ToUpper(strings.ReplaceAll(code, "-", " "))) != RecoveryHash(code) {
			t.Errorf("%s must be typed in one way alone", code)
		}
	}
	if len(seen) != 10 || len(codes[0]) != 19 {
		t.Errorf("codes: %v", codes)
	}
}

// visit goes to the provider as a browser would, and gives what it sends back.
func visit(t *testing.T, address string) OIDCAnswer {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	back, err := res.Location()
	if err != nil {
		t.Fatalf("%s: %v", res.Status, err)
	}
	q := back.Query()
	return OIDCAnswer{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss")}
}

type claims = map[string]any

func TestOIDC(t *testing.T) {
	p := testbed.OIDC(t)
	o := NewOIDC(OIDCOptions{Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: "http://desk.example/back"})
	good := claims{"email": "anna@desk.example", "email_verified": true}
	for _, c := range []struct {
		name     string
		id, info claims
		change   func(*OIDCFlow, *OIDCAnswer)
		email    string
	}{
		{name: "verified", id: good, email: "anna@desk.example"},
		{name: "verified, in words", id: claims{"email": "anna@desk.example", "email_verified": "true"}, email: "anna@desk.example"},
		{name: "told by user info", info: claims{"sub": "somebody", "email": "anna@desk.example", "email_verified": true}, email: "anna@desk.example"},
		{name: "user info of somebody else", info: claims{"sub": "other", "email": "anna@desk.example", "email_verified": true}},
		{name: "not verified", id: claims{"email": "anna@desk.example", "email_verified": false}},
		{name: "verified is not said", id: claims{"email": "anna@desk.example"}},
		{name: "no address", id: claims{}, info: claims{"sub": "somebody"}},
		{name: "another client's token", id: claims{"email": "anna@desk.example", "email_verified": true, "aud": "other"}},
		{name: "another provider's token", id: claims{"email": "anna@desk.example", "email_verified": true, "iss": "https://evil.example"}},
		{name: "past its time", id: claims{"email": "anna@desk.example", "email_verified": true, "exp": time.Now().Add(-time.Hour).Unix()}},
		{name: "another nonce", id: claims{"email": "anna@desk.example", "email_verified": true, "nonce": "other"}},
		{name: "another state", id: good, change: func(_ *OIDCFlow, a *OIDCAnswer) { a.State = "other" }},
		{name: "no state at all", id: good, change: func(f *OIDCFlow, a *OIDCAnswer) { f.State, a.State = "", "" }},
		{name: "another verifier", id: good, change: func(f *OIDCFlow, _ *OIDCAnswer) { f.Verifier = "other" }},
		{name: "another code", id: good, change: func(_ *OIDCFlow, a *OIDCAnswer) { a.Code = "other" }},
		{name: "an answer of another provider", id: good, change: func(_ *OIDCFlow, a *OIDCAnswer) { a.Issuer = "https://evil.example" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.As(c.id, c.info)
			address, flow, err := o.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			answer := visit(t, address)
			if c.change != nil {
				c.change(&flow, &answer)
			}
			email, err := o.Finish(t.Context(), flow, answer)
			if email != c.email || (err == nil) != (c.email != "") || errors.Is(err, ErrProvider) {
				t.Errorf("%q, %v", email, err)
			}
			if _, err := o.Finish(t.Context(), flow, answer); err == nil {
				t.Error("the same answer counts twice")
			}
		})
	}
}

func TestOIDCOfAProviderThatIsOut(t *testing.T) {
	p := testbed.OIDC(t)
	p.As(claims{"email": "anna@desk.example", "email_verified": true}, nil)
	p.Down(true)
	o := NewOIDC(OIDCOptions{Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: "http://desk.example/back"})
	if _, _, err := o.Begin(t.Context()); !errors.Is(err, ErrProvider) || o.Ping(t.Context()) == nil {
		t.Errorf("while it is out: %v", err)
	}
	p.Down(false)
	address, flow, err := o.Begin(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	answer := visit(t, address)
	p.Down(true)
	if _, err := o.Finish(t.Context(), flow, answer); !errors.Is(err, ErrProvider) {
		t.Errorf("out in the middle: %v", err)
	}
	p.Down(false)
	if email, err := o.Finish(t.Context(), flow, answer); email != "anna@desk.example" || err != nil {
		t.Errorf("back again: %q, %v", email, err)
	}
}
