package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
)

func TestCRMSettings(t *testing.T) {
	token := write(t, "token", "tok-file\n", 0o600)
	for name, c := range map[string]struct {
		text    string
		token   string
		refresh time.Duration
		warned  string
	}{
		"none":               {"", "", 24 * time.Hour, ""},
		"a file":             {"url = \"https://crm.example/api?x=1\"\ntoken = \"file:" + token + "\"\nrefresh = \"1h\"\n", "tok-file", time.Hour, ""},
		"on this machine":    {"url = \"http://127.0.0.1:1/\"\ntoken = \"plain\"\n", "plain", 24 * time.Hour, ""},
		"in the clear":       {"url = \"http://crm.example/\"\n", "", 24 * time.Hour, "crm.url is http"},
		"a token for nobody": {"token = \"plain\"\n", "plain", 24 * time.Hour, "no crm.url"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := LoadConfig(write(t, "c.toml", "[crm]\n"+c.text, 0o600), nil)
			if err != nil {
				t.Fatal(err)
			}
			warnings := strings.Join(got.Warnings, "\n")
			if got.CRM.Token.Reveal() != c.token || got.CRM.Refresh != c.refresh || !strings.Contains(warnings, c.warned) || (warnings == "") != (c.warned == "") {
				t.Errorf("%+v, warnings %q", got.CRM, warnings)
			}
		})
	}
}

// A mail whose author the CRM knows is that contact's; the metrics tell of it,
// and check says whether the CRM answers.
func TestDaemonAsksTheCRM(t *testing.T) {
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case down.Load() || r.Header.Get("Authorization") != "Bearer tok-secret":
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Query().Get("email") == "carla@customer.example":
			_, _ = io.WriteString(w, `{"id":"E-1","name":"Carla Customer","emails":["carla@customer.example"],"phone":"1","company":null}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	c := testConfig(t, "CRM_URL="+server.URL+"/find?key=hidden", "CRM_TOKEN=tok-secret")
	d := testDaemon(t, c, Options{})
	applyText(t, d.core, deskText, ApplyOptions{})
	if code := deliver(t, d, "support@example.test", "From: carla@customer.example\r\nSubject: x\r\n\r\nHello\r\n"); code != 250 {
		t.Fatalf("answered %d", code)
	}
	err := d.core.DB.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		contact, err := tx.ContactByExternalID(ctx, "E-1")
		if contact.Name != "Carla Customer" || contact.Provisional {
			t.Errorf("contact %+v", contact)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	_, metrics := get(t, d, FaceMetrics, "/metrics")
	for _, line := range []string{
		`ticketgate_crm_lookups_total{result="found"} 1`, `ticketgate_crm_lookups_total{result="failed"} 0`,
		`ticketgate_crm_lookups_total{result="open"} 0`, `ticketgate_crm_lookups_total{result="cached"} 0`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	for _, want := range []Level{LevelOK, LevelWarn} {
		down.Store(want == LevelWarn)
		var found []Finding
		for _, f := range Check(t.Context(), c) {
			if strings.HasPrefix(f.Text, "crm:") {
				found = append(found, f)
			}
			if strings.Contains(f.Text, "tok-secret") || strings.Contains(f.Text, "hidden") {
				t.Errorf("check shows a secret: %s", f.Text)
			}
		}
		if len(found) != 1 || found[0].Level != want {
			t.Errorf("check says %v, want %s", found, want)
		}
	}
}
