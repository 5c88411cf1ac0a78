package outbound

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/store/blob"
	"ticketgate/store/postgres"
	"ticketgate/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// rig is a store, a queue, an SMTP sink, and services over them.
type rig struct {
	t     testing.TB
	db    *store.DB
	seal  *store.Sealer
	queue Queue
	sink  *testbed.Sink
	redis *testbed.RedisServer // nil with the queue in the process
	hooks *hooks
}

// hooks keeps what the service told.
type hooks struct {
	mu       sync.Mutex
	outcomes []store.DeliveryState
	late     []string
}

func newRig(t testing.TB, db *store.DB, url string) *rig {
	t.Helper()
	r := &rig{t: t, db: db, seal: testSealer(t), queue: openTestQueue(t, url), hooks: &hooks{}}
	r.sink = testbed.SMTPSink(t, testbed.SinkOptions{})
	return r
}

// embeddedRig is on SQLite and the queue in the process.
func embeddedRig(t testing.TB) *rig {
	t.Helper()
	return newRig(t, openSQLite(t), "embedded")
}

// redisRig is on SQLite and a Redis of its own.
func redisRig(t testing.TB, options ...testbed.RedisOption) *rig {
	t.Helper()
	server := testbed.Redis(t, options...)
	r := newRig(t, openSQLite(t), server.URL())
	r.redis = server
	return r
}

func storeOptions(t testing.TB) store.Options {
	t.Helper()
	blobs, err := blob.Open("file:" + t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store.Options{Blobs: blobs, Log: quietLog(), Now: time.Now}
}

func openSQLite(t testing.TB) *store.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), storeOptions(t))
	return opened(t, db, err)
}

func openPostgres(t testing.TB) *store.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), testbed.SharedPostgres(t).NewDatabase(t), storeOptions(t))
	return opened(t, db, err)
}

func opened(t testing.TB, db *store.DB, err error) *store.DB {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// options is a service with short spans, over the sink.
func (r *rig) options() Options {
	return Options{
		DB: r.db, Queue: r.queue, Keyring: NewKeyring(r.db, r.seal, nil), Log: quietLog(),
		Smarthost: "smtp://" + r.sink.Addr(), Hostname: "desk.example.org",
		RetryBase: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond, Grace: time.Millisecond, Reconcile: 100 * time.Millisecond,
		Poll: 50 * time.Millisecond, RouteRetry: 20 * time.Millisecond, RouteMax: 100 * time.Millisecond,
		Outcome: r.hooks.outcome, Late: r.hooks.tellLate,
		smtp: smtpLimits{dial: 5 * time.Second, command: 5 * time.Second, write: 5 * time.Second, dot: 5 * time.Second, idle: time.Second, uses: 100},
	}
}

func (h *hooks) outcome(_ context.Context, _ *store.Tx, _ store.Delivery, o store.Outcome) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outcomes = append(h.outcomes, o.State)
	return nil
}

func (h *hooks) tellLate(_ context.Context, _ *store.Tx, d store.Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = append(h.late, d.ID)
	return nil
}

// start runs a service to the end of the test.
func (r *rig) start(change ...func(*Options)) *Service {
	r.t.Helper()
	opt := r.options()
	for _, f := range change {
		f(&opt)
	}
	s, err := New(opt)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			r.t.Errorf("Stop: %v", err)
		}
	})
	return s
}

func (r *rig) update(f func(ctx context.Context, tx *store.Tx) error) {
	r.t.Helper()
	if err := r.db.Update(context.Background(), f); err != nil {
		r.t.Fatal(err)
	}
}

// mail adds a mail with a delivery for each recipient to the ledger, and to
// nothing else.
func (r *rig) mail(change func(*store.Mail, []store.Delivery), recipients ...string) []store.Delivery {
	r.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	m := sampleMail()
	m.ID, m.Ticket, m.AccountID, m.CreatedAt = store.NewID(), 0, "acc", now
	m.MessageID = m.ID + "@example.org"
	m.To = nil
	var rows []store.Delivery
	for _, recipient := range recipients {
		m.To = append(m.To, store.Address{Address: recipient})
		rows = append(rows, store.Delivery{
			ID: store.NewID(), MailID: m.ID, Kind: m.Kind, AccountID: m.AccountID, Recipient: recipient,
			RecipientKey: strings.ToLower(recipient), Domain: "example.net", ReturnPath: "support@example.org",
			MessageID: m.MessageID, State: store.Queued, NextAttemptAt: now, CreatedAt: now, UpdatedAt: now,
		})
	}
	if change != nil {
		change(&m, rows)
	}
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.AddMail(ctx, m, rows) })
	return rows
}

// mails adds n mails to one recipient each.
func (r *rig) mails(n int) []store.Delivery {
	r.t.Helper()
	var all []store.Delivery
	for i := range n {
		all = append(all, r.mail(nil, fmt.Sprintf("c%d@example.net", i))...)
	}
	return all
}

func dues(rows []store.Delivery) []store.Due {
	var list []store.Due
	for _, d := range rows {
		list = append(list, d.Due())
	}
	return list
}

func (r *rig) delivery(id string) store.Delivery {
	r.t.Helper()
	var d store.Delivery
	err := r.db.View(context.Background(), func(ctx context.Context, tx *store.Tx) (err error) {
		d, err = tx.Delivery(ctx, id)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *rig) attempts(id string) []store.Attempt {
	r.t.Helper()
	var list []store.Attempt
	err := r.db.View(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Attempts(ctx, id)
		list = all[id]
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// until polls what only the store or another program can tell.
func (r *rig) until(what string, done func() bool) {
	r.t.Helper()
	for begun := time.Now(); !done(); {
		if time.Since(begun) > patience {
			r.t.Fatalf("waited in vain for %s", what)
		}
		_ = waitFor(context.Background(), nil, 10*time.Millisecond)
	}
}

// settled waits until each delivery is in the wanted state.
func (r *rig) settled(state store.DeliveryState, rows ...store.Delivery) {
	r.t.Helper()
	for _, row := range rows {
		last := store.Delivery{}
		for begun := time.Now(); last.State != state; {
			if last = r.delivery(row.ID); time.Since(begun) > patience {
				r.t.Fatalf("%s is %s (%s: %d %s), want %s", row.Recipient, last.State, last.Reason, last.LastCode, last.LastText, state)
			}
			if last.State != state {
				_ = waitFor(context.Background(), nil, 5*time.Millisecond)
			}
		}
	}
}

// once checks that each delivery's mail arrived, and no more than that.
func (r *rig) once(rows ...store.Delivery) {
	r.t.Helper()
	got := map[string]int{}
	for _, m := range r.sink.Messages() {
		got[strings.Join(m.To, ",")]++
	}
	for _, row := range rows {
		if got[row.Recipient] != 1 {
			r.t.Errorf("%s got %d mails", row.Recipient, got[row.Recipient])
		}
	}
	if n := len(r.sink.Messages()); n != len(rows) {
		r.t.Errorf("%d mails arrived, %d were to", n, len(rows))
	}
}

func (r *rig) key(domain, algorithm string, change func(*store.DKIMKey)) store.DKIMKey {
	r.t.Helper()
	k := activeKey(r.t, r.seal, domain, "s-"+algorithm, algorithm)
	if change != nil {
		change(&k)
	}
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutDKIMKey(ctx, k) })
	return k
}

func (r *rig) accountRow(change func(*store.MailAccount)) {
	r.t.Helper()
	a := store.MailAccount{
		ID: "acc", Name: "Support", Type: store.AccountSystem, Address: "support@example.org", Key: "support@example.org",
		Active: true, State: "ok", Sign: true, CreatedAt: time.Now(),
	}
	change(&a)
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, a) })
}

func readFiles(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}
