package gateway

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

func TestContactsSettings(t *testing.T) {
	password := write(t, "password", "p/:@\n", 0o600)
	for name, c := range map[string]struct {
		text    string
		url     string
		refresh time.Duration
		warned  bool
	}{
		"none":            {"", "", time.Hour, false},
		"a file":          {"carddav = \"https://desk:${file:" + password + "}@dav.example/books/\"\nrefresh = \"5m\"\n", "https://desk:p%2F%3A%40@dav.example/books/", 5 * time.Minute, false},
		"on this machine": {"carddav = \"http://localhost:5232\"\n", "http://localhost:5232", time.Hour, false},
		"in the clear":    {"carddav = \"http://dav.example\"\n", "http://dav.example", time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := LoadConfig(write(t, "c.toml", "[contacts]\n"+c.text, 0o600), nil)
			if err != nil {
				t.Fatal(err)
			}
			warned := strings.Contains(strings.Join(got.Warnings, "\n"), "contacts.carddav is http")
			if got.Contacts.CardDAV.Reveal() != c.url || got.Contacts.Refresh != c.refresh || warned != c.warned {
				t.Errorf("%+v, warnings %q", got.Contacts, got.Warnings)
			}
		})
	}
}

// heard tells of each line of a log.
type heard chan string

func (h heard) Write(line []byte) (int, error) {
	h <- string(line)
	return len(line), nil
}

// A daemon reads the address books when it starts; the metrics tell of it, and
// check says whether they can be found.
func TestDaemonReadsAddressBooks(t *testing.T) {
	server := testbed.Radicale(t)
	server.Put(server.Book("people")+"carla.vcf", "BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:Carla\nEMAIL:carla@customer.example\nEND:VCARD\n")
	c := testConfig(t, "CONTACTS_CARDDAV="+server.Login())
	lines := make(heard, 1000)
	d := testDaemon(t, c, Options{Log: slog.New(slog.NewTextHandler(lines, nil))})
	for line := range lines {
		if strings.Contains(line, server.Password()) {
			t.Errorf("the log shows the password: %s", line)
		}
		if strings.Contains(line, "reading the address books failed") {
			t.Fatal(line)
		}
		if strings.Contains(line, "read the address books") {
			break
		}
	}
	err := d.core.DB.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ContactByKey(ctx, "carla@customer.example")
		return err
	})
	if err != nil {
		t.Error(err)
	}
	_, metrics := get(t, d, FaceMetrics, "/metrics")
	for _, line := range []string{
		`ticketgate_carddav_rounds_total{result="read"} 1`, `ticketgate_carddav_rounds_total{result="failed"} 0`,
		`ticketgate_carddav_cards_total{result="added"} 1`, `ticketgate_carddav_cards_total{result="refused"} 0`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	for i, want := range []string{"ok carddav: " + server.URL() + ", address books: 1", "warn carddav: the address books at " + server.URL() + " can't be read"} {
		if i > 0 {
			server.Stop()
		}
		found := ""
		for _, f := range Check(t.Context(), c) {
			if line := string(f.Level) + " " + f.Text; strings.Contains(line, " carddav: ") {
				found += line
			}
		}
		if !strings.HasPrefix(found, want) || strings.Contains(found, server.Password()) {
			t.Errorf("check says %q, want %q", found, want)
		}
	}
}
