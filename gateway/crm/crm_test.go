package crm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a CRM on loopback, and a client of it with a clock of its own.
type bench struct {
	*Client
	t        *testing.T
	asked    atomic.Int64
	log      lockedBuffer
	mu       sync.Mutex
	now      time.Time      // guarded by mu
	results  map[string]int // guarded by mu
	shutdown chan struct{}  // closed at the end: a handler that hangs waits for it
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

func newBench(t *testing.T, query string, handle func(b *bench, w http.ResponseWriter, r *http.Request)) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), results: map[string]int{}, shutdown: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		handle(b, w, r)
	}))
	var err error
	b.Client, err = New(Options{
		URL: server.URL + "/people" + query, Token: "tok-secret", Refresh: time.Hour, Observe: b.observe, Now: b.clock,
		Log: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(b.shutdown); b.Close(); server.Close() })
	return b
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bench) observe(result string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results[result]++
}

func (b *bench) counted(want map[string]int) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if fmt.Sprint(b.results) != fmt.Sprint(want) {
		b.t.Errorf("results %v, want %v", b.results, want)
	}
}

func (b *bench) by(address string) (threading.DirectoryContact, error) {
	b.t.Helper()
	return b.ByAddress(b.t.Context(), parsed(b.t, address))
}

func parsed(t *testing.T, address string) message.Address {
	t.Helper()
	a, err := message.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fails wants every look-up to be unavailable.
func (b *bench) fails(address string) {
	b.t.Helper()
	if _, err := b.by(address); store.CodeOf(err) != store.CodeUnavailable {
		b.t.Errorf("%v, want unavailable", err)
	}
}

func say(body string) func(*bench, http.ResponseWriter, *http.Request) {
	return func(_ *bench, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

const carla = `{"id":"E-1","name":"Carla Customer","emails":["Carla@Ext.example","c@ext.example"],"phone":"+49 30 1",
	"company":{"id":"F-1","name":"Ext Ltd","domains":["Ext.example","bücher.example"]}}`

func TestLookUpAsksAndKeeps(t *testing.T) {
	var query, auth string
	b := newBench(t, "?tenant=7&x=a%20b", func(_ *bench, w http.ResponseWriter, r *http.Request) {
		query, auth = r.URL.RawQuery, r.Header.Get("Authorization")
		_, _ = io.WriteString(w, carla)
	})
	d, err := b.by("carla@ext.example")
	if err != nil || d.ID != "E-1" || d.Name != "Carla Customer" || len(d.Emails) != 2 || d.Phones[0] != "+49 30 1" ||
		d.Company.ID != "F-1" || d.Company.Name != "Ext Ltd" || strings.Join(d.Company.Domains, " ") != "ext.example xn--bcher-kva.example" || !d.At.Equal(b.clock()) {
		t.Fatalf("%+v, %v", d, err)
	}
	if query != "tenant=7&x=a%20b&email=carla%40ext.example" || auth != "Bearer tok-secret" {
		t.Errorf("asked %q with %q", query, auth)
	}
	if _, err := b.by("CARLA@ext.EXAMPLE"); err != nil {
		t.Error(err)
	}
	if b.asked.Load() != 1 {
		t.Errorf("asked %d times", b.asked.Load())
	}
	b.advance(time.Hour)
	if d, err := b.by("carla@ext.example"); err != nil || !d.At.Equal(b.clock()) || b.asked.Load() != 2 {
		t.Errorf("an answer that ran out: %v, %v", d.At, err)
	}
	if _, err := b.ByID(t.Context(), "E-1"); err != nil || query != "tenant=7&x=a%20b&id=E-1" {
		t.Errorf("by id: %q, %v", query, err)
	}
	if _, err := b.ByPhone(t.Context(), "+49 30 1"); err != nil || !strings.HasSuffix(query, "&phone=%2B49+30+1") {
		t.Errorf("by phone: %q, %v", query, err)
	}
	b.counted(map[string]int{ResultFound: 4, ResultCached: 1})
}

// Nobody is kept as well, and an answer about somebody else is nobody.
func TestNobody(t *testing.T) {
	b := newBench(t, "", func(_ *bench, w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("email") == "other@ext.example" || r.URL.Query().Has("id") {
			_, _ = io.WriteString(w, carla)
			return
		}
		http.NotFound(w, r)
	})
	for range 2 {
		for _, address := range []string{"nobody@ext.example", "other@ext.example"} {
			if _, err := b.by(address); !store.IsNotFound(err) {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
	if _, err := b.ByID(t.Context(), "E-2"); !store.IsNotFound(err) {
		t.Errorf("another id: %v", err)
	}
	if b.asked.Load() != 3 {
		t.Errorf("asked %d times, want 3", b.asked.Load())
	}
}

// A redirect is not followed: the token is for the CRM alone.
func TestRedirectIsNotFollowed(t *testing.T) {
	var there atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { there.Add(1) }))
	defer elsewhere.Close()
	b := newBench(t, "", func(_ *bench, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	})
	b.fails("a@ext.example")
	if there.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestBadAnswers(t *testing.T) {
	for name, handle := range map[string]func(*bench, http.ResponseWriter, *http.Request){
		"500":        func(_ *bench, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"401":        func(_ *bench, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"422":        func(_ *bench, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) },
		"204":        func(_ *bench, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"garbage":    say("<html>login</html>"),
		"empty":      say(""),
		"a number":   say("7"),
		"a list":     say("[" + carla + "]"),
		"no id":      say(`{"name":"Carla","emails":["a@ext.example"]}`),
		"a long id":  say(`{"id":"` + strings.Repeat("x", 201) + `","emails":["a@ext.example"]}`),
		"cut off":    say(`{"id":"E-1","emails":["a@ext.`),
		"huge":       say(`{"id":"E-1","emails":["a@ext.example"],"name":"` + strings.Repeat("x", maxBody) + `"}`),
		"hangs up":   func(*bench, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"breaks off": func(_ *bench, w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "100") },
		"a long field": func(_ *bench, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 128<<10))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "?apikey=hidden", handle)
			b.fails("a@ext.example")
			b.fails("a@ext.example") // a failure is not kept
			if b.asked.Load() < 2 {
				t.Errorf("asked %d times", b.asked.Load())
			}
			err := b.Probe(t.Context())
			if err == nil {
				t.Error("the probe finds nothing wrong")
			}
			for _, secret := range []string{"tok-secret", "ext.example", "hidden", "ticketgate.invalid"} {
				if strings.Contains(b.log.String(), secret) || strings.Contains(fmt.Sprint(err), secret) {
					t.Errorf("%q is in the log or the error: %s, %v", secret, b.log.String(), err)
				}
			}
		})
	}
}

// A CRM that hangs, or sends an octet now and then, is cut off: by the client's
// own limit, not by the caller's.
func TestSlowAnswersAreCutOff(t *testing.T) {
	for name, handle := range map[string]func(*bench, http.ResponseWriter, *http.Request){
		"hangs": func(b *bench, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-b.shutdown:
			}
		},
		"trickles": func(b *bench, w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"id":"`)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
				case <-r.Context().Done():
					return
				case <-b.shutdown:
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newBench(t, "", handle).fails("a@ext.example")
		})
	}
}

func TestHostileFieldsAreCleaned(t *testing.T) {
	emails := make([]string, 0, 60)
	for i := range 50 {
		emails = append(emails, fmt.Sprintf("a%d@ext.example", i))
	}
	body, err := json.Marshal(map[string]any{
		"id": 17, "name": "Eve\u202e\x00\r\nX: y" + strings.Repeat("z", 500),
		"emails": append([]any{"a@ext.example", "A@EXT.example", "no address", 5, nil, "x@evil\r\nBcc: v@x.example"}, anys(emails)...),
		"phone":  []any{"1", strings.Repeat("9", 300), map[string]any{}, "2\x00"},
		"company": map[string]any{"id": strings.Repeat("i", 300), "name": []int{1}, "domains": []any{
			"@Good.example", "bad domain", "[127.0.0.1]", "", 7, "a@b@c.example"}},
		"unknown": "field",
	})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, "", say(string(body)))
	d, err := b.by("a@ext.example")
	if err != nil {
		t.Fatal(err)
	}
	if d.ID != "17" || len([]rune(d.Name)) != maxText || strings.ContainsAny(d.Name, "\u202e\x00\r\n") || len(d.Emails) != maxEmails {
		t.Errorf("%+v", d)
	}
	if strings.Join(d.Phones, " ") != "1 2" || d.Company.ID != "" || d.Company.Name != "" || strings.Join(d.Company.Domains, " ") != "good.example" {
		t.Errorf("%+v %+v", d.Phones, d.Company)
	}
}

func anys(list []string) []any {
	var all []any
	for _, s := range list {
		all = append(all, s)
	}
	return all
}

func TestSearch(t *testing.T) {
	other := `{"id":"E-2","name":"Bob","company":"Bob Ltd","emails":null}`
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"one":           {carla, "E-1"},
		"a list":        {"[" + carla + "," + other + "]", "E-1 E-2"},
		"items":         {`{"items":[` + other + `],"next":""}`, "E-2"},
		"one is broken": {`[{"name":"no id"},` + other + `]`, "E-2"},
		"an empty list": {"[]", ""},
		"null":          {"null", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "", say(c.body))
			found, err := b.Search(t.Context(), "car")
			var ids []string
			for _, d := range found {
				ids = append(ids, d.ID)
			}
			if got := strings.Join(ids, " "); got != c.want || (c.want == "") != store.IsNotFound(err) {
				t.Errorf("%q, %v", got, err)
			}
			b.advance(searchAge) // whoever searches sees soon what was added
			_, _ = b.Search(t.Context(), "car")
			if b.asked.Load() != 2 {
				t.Errorf("asked %d times", b.asked.Load())
			}
		})
	}
}

// Those who ask the same at once ask once; one who leaves takes nobody along.
func TestSingleFlight(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 10)
	b := newBench(t, "", func(_ *bench, w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, carla)
	})
	leaving, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := b.ByAddress(leaving, parsed(t, "carla@ext.example"))
		left <- err
	}()
	<-arrived
	leave()
	if err := <-left; store.CodeOf(err) != store.CodeUnavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if _, err := b.by("carla@ext.example"); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	all.Wait()
	if b.asked.Load() != 1 {
		t.Errorf("asked %d times", b.asked.Load())
	}
}

// carrier is a CRM without a network, so that a test's clock can run ahead.
type carrier struct {
	asked  int
	status int
}

func (c *carrier) RoundTrip(*http.Request) (*http.Response, error) {
	c.asked++
	return &http.Response{StatusCode: c.status, Body: io.NopCloser(strings.NewReader(carla)), Header: http.Header{}}, nil
}

// After a few failures a CRM that is down costs nothing; later it is tried
// again, once, and used again when it is well.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crm := &carrier{status: 503}
		results := map[string]int{}
		var log bytes.Buffer
		c, err := New(Options{
			URL: "https://crm.example/", Transport: crm, Observe: func(r string) { results[r]++ },
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(address string) error {
			_, err := c.ByAddress(t.Context(), parsed(t, address))
			return err
		}
		fail := func(n int) {
			t.Helper()
			for i := range n {
				if err := ask(fmt.Sprintf("a%d@ext.example", i)); store.CodeOf(err) != store.CodeUnavailable {
					t.Errorf("%v", err)
				}
			}
		}
		crm.status = 422 // refuses the question: that is no fault of the CRM
		fail(2 * maxFailures)
		crm.status = 503
		fail(maxFailures + 20)
		if crm.asked != 3*maxFailures || results[ResultOpen] != 20 {
			t.Fatalf("asked %d times, %v", crm.asked, results)
		}
		time.Sleep(openFor + time.Second) // by synctest's clock: it takes no time
		fail(10)
		if crm.asked != 3*maxFailures+1 {
			t.Fatalf("asked %d times: one probe is enough", crm.asked)
		}
		time.Sleep(openFor + time.Second)
		crm.status = 200
		if err := ask("carla@ext.example"); err != nil {
			t.Fatal(err)
		}
		crm.status = 503
		fail(1)
		if results[ResultOpen] != 29 {
			t.Errorf("%v", results)
		}
		// an admin reads of each that failed, and why; not of those that were not asked
		for words, want := range map[string]int{"status 422": 2 * maxFailures, "status 503": maxFailures + 2, "left alone": 2, "answers again": 1, "ext.example": 0} {
			if n := strings.Count(log.String(), words); n != want {
				t.Errorf("%d lines say %q, want %d", n, words, want)
			}
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(3)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := range 4 {
		c.put(fmt.Sprint(i), nil, now.Add(time.Duration(i)*time.Minute))
		c.get("1", now)
	}
	for key, want := range map[string]bool{"0": false, "1": true, "2": true, "3": true} {
		if _, ok := c.get(key, now); ok != want {
			t.Errorf("%s: %v", key, ok)
		}
	}
	if _, ok := c.get("1", now.Add(time.Minute)); ok {
		t.Error("an answer that ran out")
	}
	if len(c.byKey) != 2 || c.order.Len() != 2 {
		t.Errorf("%d and %d are kept", len(c.byKey), c.order.Len())
	}
}

func TestNewRefusesOddURLs(t *testing.T) {
	for _, u := range []string{"", "crm.example", "ftp://crm.example", "https://", "https://%zz"} {
		if _, err := New(Options{URL: u}); err == nil {
			t.Errorf("%q is taken", u)
		}
	}
}
