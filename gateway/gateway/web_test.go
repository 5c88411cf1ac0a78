package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"ticketgate/gateway/login"
	"ticketgate/store"
)

// Whatever a browser gets, be it a page, an error or a document, says how far it
// is to be trusted.
func TestW19EveryAnswerHasItsHeaders(t *testing.T) {
	for _, public := range []string{"https://desk.example.test", "http://desk.example.test"} {
		d := testDaemon(t, testConfig(t, "HTTP_PUBLIC_URL="+public), Options{})
		base := "http://" + d.Addr(FaceHTTP).String()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for _, c := range []struct {
			method, path string
			status       int
			html         bool
		}{
			{"GET", "/", 200, true}, {"GET", "/login?token=secret-token", 200, true}, {"GET", "/tickets/10001", 200, true},
			{"POST", "/", 405, false}, {"GET", "/nothing", 404, false}, {"GET", "/api/docs", 200, true}, {"GET", "/api/v1/nothing", 401, false},
			{"GET", "/api/v1/openapi.json", 200, false}, {"GET", "/healthz", 200, false}, {"POST", "/healthz", 404, false},
			{"GET", "/debug/pprof/", 404, false}, {"GET", "/metrics", 404, false},
		} {
			req, err := http.NewRequestWithContext(t.Context(), c.method, base+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || res.Body.Close() != nil {
				t.Fatal(err)
			}
			h := res.Header
			if html := strings.HasPrefix(h.Get("Content-Type"), "text/html"); res.StatusCode != c.status || html != c.html {
				t.Errorf("%s %s: %s, %s", c.method, c.path, res.Status, h.Get("Content-Type"))
			}
			policy := h.Get("Content-Security-Policy")
			if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
				t.Errorf("%s %s: policy %q", c.method, c.path, policy)
			}
			if c.html != strings.Contains(policy, "style-src 'sha256-") {
				t.Errorf("%s %s: the style is not allowed: %q", c.method, c.path, policy)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
				"Strict-Transport-Security": map[bool]string{true: "max-age=15552000"}[strings.HasPrefix(public, "https:")],
			} {
				if got := h.Get(name); got != want {
					t.Errorf("%s %s: %s: %q, want %q", c.method, c.path, name, got, want)
				}
			}
			if strings.Contains(string(body), "secret-token") || strings.Contains(string(body), "<script") {
				t.Errorf("%s %s shows what it must not", c.method, c.path)
			}
		}
	}
}

// A log-in with the real hash, which outlives the daemon that gave it.
func TestALogInOutlivesARestart(t *testing.T) {
	c := testConfig(t)
	d := New(c, Options{})
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	desk, err := d.core.DB.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.core.SetPassword(t.Context(), &desk.Agents[0], "correct horse"); err != nil {
		t.Fatal(err)
	}
	ask := func(d *Daemon, method, path, body, cookie string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.Addr(FaceHTTP).String()+"/api/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Cookie", cookie)
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return res
	}
	email := desk.Agents[0].Email
	if res := ask(d, "POST", "/login", `{"email": "`+email+`", "password": "wrong horse"}`, ""); res.StatusCode != 401 {
		t.Errorf("a wrong password: %s", res.Status)
	}
	res := ask(d, "POST", "/login", `{"email": "`+email+`", "password": "correct horse"}`, "")
	if res.StatusCode != 200 || len(res.Cookies()) != 1 {
		t.Fatalf("a right password: %s", res.Status)
	}
	cookie := res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
	stop(t, d)
	d = testDaemon(t, c, Options{})
	if res := ask(d, "GET", "/me", "", cookie); res.StatusCode != 200 {
		t.Errorf("after a restart: %s", res.Status)
	}
	if err := d.core.SetPassword(t.Context(), &desk.Agents[0], "another horse"); err != nil {
		t.Fatal(err)
	}
	if res := ask(d, "GET", "/me", "", cookie); res.StatusCode != 401 {
		t.Errorf("after a password was set at the shell: %s", res.Status)
	}
	if err := d.core.SetPassword(t.Context(), &desk.Agents[0], "short"); err == nil {
		t.Error("a short password is taken")
	}
}

// A secret of ours that is put in front of the old one opens what that sealed.
func TestSecondFactorsOutliveTheMasterSecret(t *testing.T) {
	first, second := strings.Repeat("a", 40), strings.Repeat("b", 40)
	c := testConfig(t, "SECRET="+first)
	totp := store.TOTP{AgentID: "anna"}
	core, err := OpenCore(t.Context(), c, CoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	totp.Secret = login.SealTOTP(core.Seal, "anna", []byte("shared"))
	put := func(ctx context.Context, tx *store.Tx) error { return tx.PutTOTP(ctx, totp) }
	if err := errors.Join(core.DB.Update(t.Context(), put), core.Close()); err != nil {
		t.Fatal(err)
	}
	for _, secrets := range [][]Secret{{NewSecret(second), NewSecret(first)}, {NewSecret(second)}} {
		c.Secrets = secrets
		core, err := OpenCore(t.Context(), c, CoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		err = core.DB.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			kept, err := tx.TOTP(ctx, "anna")
			if err != nil {
				return err
			}
			plain, err := login.OpenTOTP(core.Seal, kept)
			if string(plain) != "shared" {
				t.Errorf("under %d secrets it is %q", len(secrets), plain)
			}
			return err
		})
		if err := errors.Join(err, core.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
