package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/gateway/api"
	"ticketgate/gateway/webhook"
	"ticketgate/store"
	"ticketgate/store/sqlite"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

// fixture is a small desk behind the real handler: SQLite, the real threading
// service, one channel with its people and one mail account.
type fixture struct {
	t        *testing.T
	ctx      context.Context
	db       *store.DB
	service  *threading.Service
	seal     *store.Sealer
	file     string  // of the database
	hashes   *hashes // counts how often passwords are looked at; cheap
	handler  http.Handler
	metrics  *prometheus.Registry
	log      *lockedBuffer
	tokens   map[string]string // by person: admin, standard, informal, outsider, expired, inactive, nobody
	agents   map[string]string // ids
	channel  string            // Support
	sales    string            // a channel that only the admin sees
	account  string
	statuses map[string]string // ids by name
	mu       sync.Mutex
	now      time.Time
	hooks    *webhook.Service
	queued   []store.Due
	removed  []string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := emptyFixture(t)
	f.open()
	f.people()
	f.serve(nil)
	return f
}

// emptyFixture has no store yet.
func emptyFixture(t *testing.T) *fixture {
	return &fixture{
		t: t, ctx: t.Context(), metrics: prometheus.NewRegistry(), log: &lockedBuffer{},
		tokens: map[string]string{"nobody": ""}, agents: map[string]string{}, statuses: map[string]string{},
		now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), hashes: &hashes{},
	}
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func (f *fixture) open() {
	f.t.Helper()
	var err error
	f.file = filepath.Join(f.t.TempDir(), "desk.db")
	f.db, err = sqlite.Open(context.Background(), f.file, store.Options{Now: f.clock})
	f.must(err)
	f.t.Cleanup(func() {
		if err := f.db.Close(); err != nil {
			f.t.Error(err)
		}
	})
	f.found()
}

// found makes what stands on the store.
func (f *fixture) found() {
	f.t.Helper()
	var err error
	f.seal, err = store.NewSealer([]string{"a secret for tests"})
	f.must(err)
	f.service, err = threading.New(threading.Options{
		DB: f.db, Secrets: []string{"a secret for tests"}, Hostname: "desk.example.test",
		PublicURL: "http://desk.example.test", Now: f.clock,
	})
	f.must(err)
	f.webhooks()
}

// webhooks makes what sends to webhooks; it allows loopback, and nothing runs.
func (f *fixture) webhooks() {
	f.t.Helper()
	seal, err := store.NewSealer([]string{"a secret for tests"})
	f.must(err)
	f.hooks, err = webhook.New(webhook.Options{
		DB: f.db, Seal: seal, Reference: f.service.Reference, Disable: f.service.DisableWebhook, Now: f.clock,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	f.must(err)
	f.t.Cleanup(f.hooks.Close)
}

// people makes the desk and those who look at it.
func (f *fixture) people() {
	f.t.Helper()
	admin, _, err := f.service.Setup(f.ctx, "admin@example.test")
	f.must(err)
	f.tokens["admin"] = admin
	desk, err := f.db.Desk(f.ctx)
	f.must(err)
	f.channel, f.agents["admin"] = desk.Channels[0].ID, desk.Agents[0].ID
	for _, s := range desk.Statuses {
		f.statuses[s.Name] = s.ID
	}
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		sales := threading.DefaultChannel("Sales", f.statuses)
		f.sales = sales.ID
		if err := tx.PutChannel(ctx, sales); err != nil {
			return err
		}
		f.account = store.NewID()
		if err := tx.PutAccount(ctx, store.MailAccount{
			ID: f.account, Name: "Support", Type: store.AccountTicket, Address: "support@example.test",
			Key: "support@example.test", DefaultChannelID: f.channel, Active: true, State: "ok", Sign: true,
		}); err != nil {
			return err
		}
		for _, name := range []string{"standard", "informal", "outsider", "expired", "inactive"} {
			if err := f.person(ctx, tx, name); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (f *fixture) person(ctx context.Context, tx *store.Tx, name string) error {
	id := store.NewID()
	plain, hash := threading.NewToken()
	f.agents[name], f.tokens[name] = id, plain
	err := tx.PutAgent(ctx, store.Agent{
		ID: id, Name: name, Email: name + "@example.test", Key: name + "@example.test",
		Role: store.RoleAgent, Active: name != "inactive",
	})
	if err != nil {
		return err
	}
	kind := map[string]string{"standard": "standard", "expired": "standard", "inactive": "standard", "informal": "informal"}[name]
	if kind != "" {
		if err := tx.PutSubscription(ctx, store.Subscription{ChannelID: f.channel, AgentID: id, Type: kind}); err != nil {
			return err
		}
	}
	token := store.Token{ID: store.NewID(), Name: "test", AgentID: id, Hash: hash, CreatedAt: f.now}
	if name == "expired" {
		token.ExpiresAt = f.now.Add(-time.Second)
	}
	return tx.PutToken(ctx, token)
}

// serve builds the handler, with what change makes of its options.
func (f *fixture) serve(change func(*api.Options)) {
	f.t.Helper()
	opt := api.Options{
		DB: f.db, Desk: f.service, PublicURL: "http://desk.example.test", Version: "test", Now: f.clock,
		Log:     slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: f.metrics, Seal: f.seal, Passwords: f.hashes,
		Queued: func(_ context.Context, due []store.Due) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.queued = append(f.queued, due...)
		},
		Removed: func(_ context.Context, ids ...string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.removed = append(f.removed, ids...)
		},
		NewKey: func(domain, selector, algorithm string) (store.DKIMKey, error) {
			return store.DKIMKey{
				ID: store.NewID(), Domain: domain, Selector: selector, Algorithm: algorithm, State: store.DKIMNew,
				Public: "cHVibGlj", Private: []byte("secret half"), CreatedAt: f.clock(),
			}, nil
		},
		Webhooks: f.hooks,
		KeyRecord: func(k store.DKIMKey) string {
			return k.Selector + "._domainkey." + k.Domain + `. IN TXT "v=DKIM1; k=` + k.Algorithm + "; p=" + k.Public + `"`
		},
		Explain: func(ctx context.Context, raw []byte, to, from string) (any, error) {
			in := f.incoming(string(raw))
			in.From, in.Recipients = from, []string{to}
			return f.service.Explain(ctx, in)
		},
		HandIn: func(ctx context.Context, agent *store.Agent, raw []byte, account string, ticket int64) (threading.Result, error) {
			return f.service.HandIn(ctx, agent, f.incoming(string(raw)), account, ticket)
		},
		Release: func(ctx context.Context, agent *store.Agent, id string) (store.Ticket, error) {
			return f.service.Release(ctx, agent, id, f.incoming(customersMail))
		},
	}
	if change != nil {
		change(&opt)
	}
	var err error
	f.handler, err = api.New(opt)
	f.must(err)
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

const customersMail = "From: Carla Customer <carla@customer.example>\r\nTo: support@example.test\r\n" +
	"Subject: Printer on fire\r\nMessage-ID: <one@customer.example>\r\nDate: Sun, 22 Nov 2026 09:59:00 +0000\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\nIt burns, please help.\r\n" +
	"--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=\"fl\u00e4mme.png\"\r\n\r\n\x89PNG\r\n\x1a\nrest\r\n" +
	"--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=page.html\r\n\r\n<script>alert(1)</script>\r\n" +
	"--b--\r\n"

func (f *fixture) incoming(raw string) threading.Incoming {
	return threading.Incoming{
		Raw: []byte(raw), Message: message.Parse([]byte(raw)), From: "carla@customer.example",
		Recipients: []string{"support@example.test"}, DeliveryID: store.NewID(), ReceivedAt: f.clock(),
		Auth:  store.Auth{Verdict: store.Unverified},
		Trace: "Authentication-Results: desk.example.test; none\r\n",
	}
}

// mailIn files a mail as the listener would, and gives its ticket and activity.
func (f *fixture) mailIn(raw string) (ticket int64, activity string) {
	f.t.Helper()
	r := f.service.Take(f.ctx, f.incoming(raw))[0]
	f.must(r.Err)
	return r.Ticket, r.ActivityID
}

// reply is an answer as a test reads it.
type reply struct {
	t *testing.T
	*httptest.ResponseRecorder
}

// do sends a request as a person. A body that is no string is sent as JSON.
func (f *fixture) do(who, method, path string, body any, header ...string) reply {
	f.t.Helper()
	var r io.Reader
	if text, ok := body.(string); ok {
		r = strings.NewReader(text)
	} else if body != nil {
		raw, err := json.Marshal(body)
		f.must(err)
		r = bytes.NewReader(raw)
	}
	if !strings.HasPrefix(path, "/api/") {
		path = api.Prefix + path
	}
	ctx, leave := context.WithCancel(f.ctx)
	defer leave()
	req := httptest.NewRequestWithContext(ctx, method, path, r)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := f.tokens[who]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(&leaver{ResponseRecorder: rec, leave: leave}, req)
	return reply{f.t, rec}
}

// leaver is a client who leaves as soon as an answer begins to stream: other
// answers are not flushed.
type leaver struct {
	*httptest.ResponseRecorder
	leave func()
}

func (l *leaver) Flush() { l.leave() }

// is checks the status, and that an error is a problem document.
func (r reply) is(status int) reply {
	r.t.Helper()
	if r.Code != status {
		r.t.Fatalf("got %d, want %d: %s", r.Code, status, r.Body)
	}
	if status >= 400 {
		if ct := r.Header().Get("Content-Type"); ct != "application/problem+json" {
			r.t.Fatalf("an error of type %q: %s", ct, r.Body)
		}
		if got := r.json()["status"]; got != float64(status) {
			r.t.Fatalf("the problem's status is %v, the answer's %d", got, status)
		}
	}
	return r
}

func (r reply) json() map[string]any {
	r.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		r.t.Fatalf("no JSON: %v: %s", err, r.Body)
	}
	return v
}

// text gives a field of the answer as a string.
func (r reply) text(field string) string {
	r.t.Helper()
	s, ok := r.json()[field].(string)
	if !ok {
		r.t.Fatalf("%s is no string: %s", field, r.Body)
	}
	return s
}

// items gives the things of a list.
func (r reply) items() []map[string]any {
	r.t.Helper()
	var v struct {
		Items []map[string]any
	}
	if err := json.Unmarshal(r.is(200).Body.Bytes(), &v); err != nil || v.Items == nil {
		r.t.Fatalf("no list: %v: %s", err, r.Body)
	}
	return v.Items
}

// refuses checks that the problem names exactly this field.
func (r reply) refuses(field string) reply {
	r.t.Helper()
	var v struct {
		Errors []struct{ Field, Message string }
	}
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		r.t.Fatal(err)
	}
	if len(v.Errors) != 1 || v.Errors[0].Field != field || v.Errors[0].Message == "" {
		r.t.Fatalf("refused are %v, want %s: %s", v.Errors, field, r.Body)
	}
	return r
}

// m is a JSON object.
type m = map[string]any

// upload hands a file in as a person.
func (f *fixture) upload(who, name, content string) reply {
	f.t.Helper()
	body := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\nContent-Type: text/plain\r\n\r\n" + content + "\r\n--b--\r\n"
	return f.do(who, "POST", "/files", body, "Content-Type", "multipart/form-data; boundary=b")
}
