package carddav

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ticketgate/store"
	"ticketgate/store/sqlite"
	"ticketgate/threading"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a desk that reads address books.
type rig struct {
	t    *testing.T
	path string
	db   *store.DB
	desk *threading.Service
	now  time.Time
	seen []string // what Observe was told
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "desk.db"), now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	r.db = r.open()
	var err error
	r.desk, err = threading.New(threading.Options{DB: r.db, Secrets: []string{"a secret for tests"}, Hostname: "desk.example.test", Now: r.clock})
	if err == nil {
		_, _, err = r.desk.Setup(t.Context(), "admin@example.test")
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open gives a handle on the store, as good as another node's.
func (r *rig) open() *store.DB {
	r.t.Helper()
	db, err := sqlite.Open(context.Background(), r.path, store.Options{Now: r.clock})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (r *rig) clock() time.Time { return r.now }

// source makes a node's Source.
func (r *rig) source(opt ClientOptions) *Source {
	r.t.Helper()
	client, err := NewClient(opt)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	return NewSource(Options{Client: client, DB: r.db, Threading: r.desk, Now: r.clock, Observe: func(done threading.Imported, err error) {
		text := fmt.Sprintf("%d added, %d changed, %d unchanged", done.Added, done.Changed, done.Unchanged)
		for _, refusal := range done.Refused {
			text += "; " + refusal.Reason
		}
		if err != nil {
			text += "; failed"
			r.seen = append(r.seen, text+": "+err.Error())
			return
		}
		r.seen = append(r.seen, text)
	}})
}

// round lets a source read, and tells what became of it; "" where it did not.
func (r *rig) round(s *Source) string {
	r.t.Helper()
	r.seen = nil
	if err := s.Round(r.t.Context()); err != nil && !errors.Is(err, context.Canceled) {
		r.t.Fatal(err)
	}
	return strings.Join(r.seen, " | ")
}

// later is a round when the next one is due.
func (r *rig) later(s *Source) string {
	r.t.Helper()
	r.now = r.now.Add(time.Hour)
	return r.round(s)
}

// wantRound compares what became of a round.
func (r *rig) wantRound(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("a round: %q, want %q", got, want)
	}
}

// contacts tells who is there, oldest first: name <addresses> phones @company.
func (r *rig) contacts() string {
	r.t.Helper()
	var all []string
	err := r.db.View(r.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		found, _, err := tx.Contacts(ctx, store.ContactFilter{Limit: 200})
		for _, c := range found {
			line := c.Name
			for _, e := range c.Emails {
				line += " <" + e.Address + ">"
			}
			line = strings.Join(append([]string{line}, c.Phones...), " ")
			if c.CompanyID != "" {
				company, err := tx.Company(ctx, c.CompanyID)
				if err != nil {
					return err
				}
				line += " @" + company.Name
			}
			all = append([]string{line}, all...)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Join(all, ", ")
}

// wantContacts compares in no order: a server gives cards in any.
func (r *rig) wantContacts(want string) {
	r.t.Helper()
	sorted := func(all string) []string { return slices.Sorted(slices.Values(strings.Split(all, ", "))) }
	if got := r.contacts(); !slices.Equal(sorted(got), sorted(want)) {
		r.t.Errorf("there are %s\nwant %s", got, want)
	}
}

// vcard is a card's text; more are whole lines.
func vcard(name string, more ...string) string {
	lines := append([]string{"BEGIN:VCARD", "VERSION:3.0", "UID:" + name, "FN:" + name, "N:;" + name + ";;;"}, more...)
	return strings.Join(append(lines, "END:VCARD", ""), "\n")
}
