package webhook

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ticketgate/store"
	"ticketgate/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback is what a test has to allow.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// rig is a store with what sends from it, and a receiver.
type rig struct {
	t        *testing.T
	path     string
	db       *store.DB
	seal     *store.Sealer
	receiver *receiver
	mu       sync.Mutex
	now      time.Time
	disabled []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	seal, err := store.NewSealer([]string{"a secret for tests"})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, seal: seal, path: filepath.Join(t.TempDir(), "desk.db"), now: time.Now().UTC().Truncate(time.Microsecond), receiver: newReceiver(t)}
	r.db = r.open()
	return r
}

// open gives a handle on the store, as good as another node's.
func (r *rig) open() *store.DB {
	r.t.Helper()
	db, err := sqlite.Open(context.Background(), r.path, store.Options{Now: r.clock})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { db.Close() })
	return db
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// service makes a node that allows loopback, unless change says otherwise.
func (r *rig) service(change func(*Options)) *Service {
	r.t.Helper()
	opt := Options{
		DB: r.db, Seal: r.seal, Reference: func(n int64) string { return "T#" + strconv.FormatInt(n, 10) }, Allow: loopback,
		Roots: r.receiver.roots(), Poll: 5 * time.Millisecond, Now: r.clock, Jitter: func() float64 { return 0.5 }, Version: "test",
		Disable: func(_ context.Context, id string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.disabled = append(r.disabled, id)
			return nil
		},
	}
	if change != nil {
		change(&opt)
	}
	s, err := New(opt)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Close)
	return s
}

// run runs a node until the test ends, or stop is called.
func (r *rig) run(s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) update(fn func(ctx context.Context, tx *store.Tx) error) {
	r.t.Helper()
	if err := r.db.Update(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

// hook makes an active webhook that is told of everything, and gives its secret.
func (r *rig) hook(id, url string, change func(*store.Webhook)) string {
	r.t.Helper()
	plain := NewSecret()
	w := store.Webhook{ID: id, Name: id, URL: url, Events: store.WebhookEvents(), Active: true,
		Secrets: []store.WebhookSecret{SealSecret(r.seal, id, plain)}}
	if change != nil {
		change(&w)
	}
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutWebhook(ctx, w) })
	return plain
}

// ticket makes a ticket, and so an event.
func (r *rig) ticket(channel string) int64 {
	r.t.Helper()
	var number int64
	r.update(func(ctx context.Context, tx *store.Tx) (err error) {
		if number, err = tx.NextNumber(ctx); err != nil {
			return err
		}
		return tx.InsertTicket(ctx, store.Ticket{
			Number: number, ID: store.NewID(), Kind: store.KindEmail, Subject: "a secret subject", Priority: store.PriorityNormal,
			ChannelID: channel, StatusID: "new", Version: 1, CreatedAt: r.clock(), UpdatedAt: r.clock(),
		})
	})
	return number
}

// changed writes an event of a ticket.
func (r *rig) changed(ticket int64, field string) {
	r.t.Helper()
	r.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{Kind: store.EventActivityChanged, Ticket: ticket, ActivityID: "a1", At: r.clock(),
			Data: store.EventData{Fields: []string{field}, Text: "a secret text", Verdict: store.Verified}})
	})
}

// messages gives what there is for a webhook, oldest first.
func (r *rig) messages(webhook string) []store.WebhookDelivery {
	r.t.Helper()
	var all []store.WebhookDelivery
	err := r.db.View(r.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		rows, _, err := tx.WebhookDeliveries(ctx, webhook, "", "", 200)
		for i := range rows {
			all = append(all, rows[len(rows)-1-i])
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// received is a message as a receiver has it.
type received struct {
	header http.Header
	body   string
	payload
}

// receiver is a server of HTTPS that answers as it is told.
type receiver struct {
	*httptest.Server
	got    chan received
	mu     sync.Mutex
	answer func(http.ResponseWriter, *http.Request)
}

func newReceiver(t *testing.T) *receiver {
	rec := &receiver{got: make(chan received, 10000), answer: func(http.ResponseWriter, *http.Request) {}}
	rec.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m := received{header: r.Header, body: string(body)}
		if err := json.Unmarshal(body, &m.payload); err != nil {
			t.Errorf("no JSON: %s", body)
		}
		rec.mu.Lock()
		answer := rec.answer
		rec.mu.Unlock()
		rec.got <- m
		answer(w, r)
	}))
	t.Cleanup(rec.Close)
	return rec
}

func (rec *receiver) answers(answer func(http.ResponseWriter, *http.Request)) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.answer = answer
}

func (rec *receiver) status(code int) {
	rec.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func (rec *receiver) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(rec.Certificate())
	return pool
}

// next waits for a message.
func (rec *receiver) next(t *testing.T) received {
	t.Helper()
	select {
	case m := <-rec.got:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no message came")
		return received{}
	}
}

// wait waits until something that is not signalled holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 4000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond) // the store is asked: nothing tells of it
	}
	t.Fatalf("it never holds that %s", what)
}
