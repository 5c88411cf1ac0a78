package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/gateway/api"
	"ticketgate/store"
	"ticketgate/store/postgres"
	"ticketgate/threading"
)

// fast makes streams whose times a test need not wait for.
func fast(o *api.Options) {
	o.Events.Heartbeat, o.Events.Check, o.Events.Poll = 20*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
}

// told is an event as a client reads it.
type told struct {
	ID, Kind string
	Ticket   int64
	Activity string `json:"activity_id"`
	Data     store.EventData
	At       time.Time
}

// listening is a client of a stream.
type listening struct {
	t       *testing.T
	events  chan told
	beats   chan string // the positions of heartbeats, of which some may be left out
	ended   chan struct{}
	cut     func()
	start   string // the position at which the stream began
	headers http.Header
}

// listen opens a stream and waits until it runs.
func (f *fixture) listen(server *httptest.Server, who, query string, header ...string) *listening {
	f.t.Helper()
	res, cut := f.request(server, who, query, header...)
	if res.StatusCode != 200 {
		f.t.Fatalf("%s opens a stream: %s", who, res.Status)
	}
	l := &listening{t: f.t, events: make(chan told, 10000), beats: make(chan string, 1), ended: make(chan struct{}), headers: res.Header}
	start := make(chan string, 1)
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	go l.read(lines, start)
	l.cut = func() { cut(); <-l.ended; res.Body.Close() }
	f.t.Cleanup(l.cut)
	l.start = <-start
	return l
}

func (f *fixture) request(server *httptest.Server, who, query string, header ...string) (*http.Response, func()) {
	f.t.Helper()
	ctx, cut := context.WithCancel(f.ctx)
	f.t.Cleanup(cut)
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL+api.Prefix+"/events"+query, nil)
	f.must(err)
	req.Header.Set("Authorization", "Bearer "+f.tokens[who])
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := server.Client().Do(req)
	f.must(err)
	return res, cut
}

// read takes the stream apart, as the specification of EventSource says.
func (l *listening) read(lines *bufio.Scanner, start chan<- string) {
	defer close(l.ended)
	defer close(start)
	var id, kind, data string
	begun := false
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "id":
			id = value
		case field == "event":
			kind = value
		case field == "data":
			data += value
		case lines.Text() != "":
		case !begun:
			begun = true
			start <- id
		case data == "":
			select {
			case l.beats <- id:
			default:
			}
		default:
			var e told
			if err := json.Unmarshal([]byte(data), &e); err != nil || e.Kind != kind || e.ID != id && kind != "reset" {
				l.t.Errorf("event %s %s: %s (%v)", id, kind, data, err)
			}
			l.events <- e
			kind, data = "", ""
		}
	}
}

// next waits for an event.
func (l *listening) next() told {
	l.t.Helper()
	select {
	case e := <-l.events:
		return e
	case <-l.ended:
		l.t.Fatal("the stream ended")
	case <-time.After(20 * time.Second):
		l.t.Fatal("no event came")
	}
	return told{}
}

// expect waits for events, each written as kind and ticket.
func (l *listening) expect(want ...string) (last told) {
	l.t.Helper()
	for _, w := range want {
		last = l.next()
		if got := fmt.Sprint(last.Kind, " ", last.Ticket); got != w {
			l.t.Fatalf("got %s, want %s (of %v)", got, w, want)
		}
	}
	return last
}

// ends waits until the server has ended the stream.
func (l *listening) ends() {
	l.t.Helper()
	select {
	case <-l.ended:
	case <-time.After(20 * time.Second):
		l.t.Fatal("the stream goes on")
	}
	select {
	case e := <-l.events:
		l.t.Errorf("before its end came %+v", e)
	default:
	}
}

// serveEvents serves the API on a real connection.
func (f *fixture) serveEvents(change func(*api.Options)) *httptest.Server {
	f.t.Helper()
	f.serve(func(o *api.Options) {
		fast(o)
		if change != nil {
			change(o)
		}
	})
	server := httptest.NewServer(f.handler)
	f.t.Cleanup(server.Close)
	return server
}

func (f *fixture) internal(channel string) int64 {
	f.t.Helper()
	made := f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": channel, "subject": "s", "text": "t"}).is(201)
	return int64(made.json()["number"].(float64))
}

// note adds a note to a ticket, and gives its id.
func (f *fixture) note(ticket int64) string {
	f.t.Helper()
	return f.do("admin", "POST", f.ticketPath(ticket)+"/activities", m{"type": "note", "text": "t"}).is(201).text("id")
}

// notice tells an agent something.
func (f *fixture) notice(agent string, ticket int64, text string) {
	f.t.Helper()
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{Kind: store.EventAgentNotice, AgentID: f.agents[agent], Ticket: ticket,
			ActivityID: "a", At: f.clock(), Data: store.EventData{Reason: "no_access", Text: text}})
	}))
}

// created and noted are how a test writes what it expects.
func created(n int64) string { return fmt.Sprint("ticket.created ", n) }
func noted(n int64) string   { return fmt.Sprint("activity.created ", n) }

func TestEventsComeAsTheyHappen(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(nil)
	old, _ := f.mailIn(customersMail)
	l := f.listen(server, "standard", "")
	if ct := l.headers.Get("Content-Type"); ct != "text/event-stream" || l.headers.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", l.headers)
	}
	note := f.note(old)
	first := l.next()
	if first.Kind != "activity.created" || first.Ticket != old || first.Activity != note || !first.At.Equal(f.clock()) {
		t.Errorf("the first event is %+v", first)
	}
	f.do("standard", "PATCH", f.ticketPath(old)+"/activities/"+note, m{"show_in_external_access": true}).is(200)
	e := l.next()
	if e.Kind != "activity.changed" || e.Activity != note || !slices.Equal(e.Data.Fields, []string{"show_in_external_access"}) {
		t.Errorf("of the change is told %+v", e)
	}
}

func TestAStreamGoesOnWhereItWasCut(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(nil)
	ticket := f.internal(f.channel)
	l := f.listen(server, "standard", "")
	begun := l.start
	f.note(ticket)
	e := l.expect(noted(ticket))
	l.cut()
	f.note(ticket)
	other := f.internal(f.channel)
	for i, c := range []struct {
		query, header string
		want          []string
	}{
		{"", e.ID, []string{noted(ticket), created(other), noted(other)}},
		{"?last_event_id=" + e.ID, "", []string{noted(ticket), created(other), noted(other)}},
		{"?last_event_id=" + begun, e.ID, []string{noted(ticket), created(other), noted(other)}},
		{"", begun, []string{noted(ticket), noted(ticket), created(other), noted(other)}},
		{fmt.Sprint("?ticket=", other), begun, []string{created(other), noted(other)}},
	} {
		again := f.listen(server, "standard", c.query, "Last-Event-ID", c.header)
		again.expect(c.want...)
		again.expect(slices.Repeat([]string{noted(other)}, i)...) // of the cases before
		mark := f.note(other)
		if last := again.expect(noted(other)); last.Activity != mark {
			t.Errorf("%+v: then came %+v", c, last)
		}
		again.cut()
	}
}

func TestABurstComesWholeAndOnce(t *testing.T) {
	const many = 3500 // more than wait for a stream
	f := newFixture(t)
	server := f.serveEvents(nil)
	ticket := f.internal(f.channel)
	l := f.listen(server, "standard", "")
	for from := 0; from < many; from += many / 2 {
		f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
			for i := range many / 2 {
				e := store.Event{Kind: store.EventActivityChanged, Ticket: ticket, ActivityID: fmt.Sprint(from + i), At: f.clock()}
				if err := tx.AddEvent(ctx, e); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for i := range many {
		if e := l.next(); e.Activity != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, e.Activity)
		}
	}
}

// W25: each sees what he may see when it is read, and nothing else.
func TestW25EventsOfWhatTheCallerSees(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(nil)
	begun := f.listen(server, "admin", "").start
	support, sales := f.internal(f.channel), f.internal(f.sales)
	f.notice("outsider", support, "for the outsider")
	f.notice("standard", support, "for the subscriber")
	both := []string{created(support), noted(support)}
	all := append(slices.Clone(both), created(sales), noted(sales))
	for _, c := range []struct {
		who  string
		want []string
	}{
		{"admin", all},
		{"informal", both},
		{"standard", append(slices.Clone(both), fmt.Sprint("agent.notice ", support))},
		{"outsider", []string{"agent.notice 0"}}, // which does not name what he doesn't see
	} {
		l := f.listen(server, c.who, "", "Last-Event-ID", begun)
		last := l.expect(c.want...)
		if c.who == "outsider" && (last.Activity != "" || last.Data.Text != "for the outsider" || last.Data.Reason != "no_access") {
			t.Errorf("the outsider is told %+v", last)
		}
		f.notice(c.who, 0, "end") // and nothing stands before it
		if end := l.expect("agent.notice 0"); end.Data.Text != "end" {
			t.Errorf("%s is told %+v", c.who, end)
		}
		l.cut()
	}
	// What moves out of sight is out of sight, also what happened before.
	l := f.listen(server, "standard", "")
	f.do("admin", "PATCH", f.ticketPath(support), m{"channel_id": f.sales}).is(200)
	f.note(support)
	f.notice("standard", support, "moved")
	if e := l.expect("agent.notice 0"); e.Data.Text != "moved" {
		t.Errorf("told is %+v", e)
	}
	f.do("admin", "PATCH", f.ticketPath(support), m{"channel_id": f.channel}).is(200)
	l.expect(noted(support))
	f.do("standard", "GET", fmt.Sprint("/events?ticket=", sales), nil).is(404)
	f.do("standard", "GET", "/events?ticket=77777", nil).is(404)
	f.do("admin", "GET", fmt.Sprint("/events?ticket=", sales), nil).is(200)
}

func TestWhatIsAskedForWronglyIsRefusedBeforeTheStream(t *testing.T) {
	f := newFixture(t)
	f.internal(f.channel)
	for _, id := range []string{"x", "0", "-1-0", "0-01", strings.Repeat("9", 300)} {
		f.do("standard", "GET", "/events", nil, "Last-Event-ID", id).is(400)
		f.do("standard", "GET", "/events?ticket=0&last_event_id="+id, nil).is(400)
		f.do("standard", "GET", "/events?ticket=77777&last_event_id="+id, nil).is(404)
		f.do("nobody", "GET", "/events", nil, "Last-Event-ID", id).is(401)
	}
	f.do("standard", "GET", "/events?ticket=0", nil).is(422).refuses("ticket")
	f.do("standard", "GET", "/events?token=x", nil).is(422)
	if r := f.do("standard", "HEAD", "/events", nil); r.Code != 200 || r.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", r.Code, r.Header())
	}
	raw := string(f.document().Paths["/events"]["get"])
	for _, word := range []string{"text/event-stream", "Last-Event-ID", "#/components/schemas/EventShape"} {
		if !strings.Contains(raw, word) {
			t.Errorf("the description doesn't speak of %s: %s", word, raw)
		}
	}
}

func TestWhoMissedEventsIsTold(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(nil)
	begun := f.listen(server, "standard", "").start
	forgotten := f.internal(f.channel)
	f.advance(time.Hour)
	kept := f.internal(f.channel)
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.PruneEvents(ctx, f.clock())
		if n != 2 {
			t.Errorf("%d events of ticket %d are forgotten", n, forgotten)
		}
		return err
	}))
	l := f.listen(server, "standard", "", "Last-Event-ID", begun)
	last := l.expect("reset 0", created(kept), noted(kept))
	l.cut()
	f.note(kept)
	f.listen(server, "standard", "", "Last-Event-ID", last.ID).expect(noted(kept))
}

// A browser that is refused never comes back: an id of another store, or of
// before this one was restored, begins the stream anew.
func TestAnUnknownIDBeginsAnew(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(nil)
	ticket := f.internal(f.channel)
	for _, id := range []string{"0-99999", "7-1"} {
		l := f.listen(server, "standard", "", "Last-Event-ID", id)
		l.expect("reset 0")
		f.note(ticket)
		l.expect(noted(ticket))
		l.cut()
	}
}

// What the caller may not see moves his position all the same.
func TestAHeartbeatMovesThePosition(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(nil)
	l := f.listen(server, "outsider", "")
	f.internal(f.channel)
	limit := time.After(20 * time.Second)
	for at := l.start; at == l.start; {
		select {
		case at = <-l.beats:
		case <-limit:
			t.Fatal("the position stays where it was")
		}
	}
}

func TestW25AStreamEndsWithTheRightToIt(t *testing.T) {
	for name, end := range map[string]func(f *fixture){
		"token revoked": func(f *fixture) {
			id := f.do("standard", "GET", "/tokens", nil).items()[0]["id"].(string)
			f.do("standard", "DELETE", "/tokens/"+id, nil).is(204)
		},
		"token expired": func(f *fixture) {
			f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
				token, err := tx.TokenByHash(ctx, threading.HashToken(f.tokens["standard"]))
				if err != nil {
					return err
				}
				token.ExpiresAt = f.clock().Add(time.Minute)
				return tx.PutToken(ctx, token)
			}))
			f.advance(time.Minute)
		},
		"agent switched off": func(f *fixture) {
			f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{"active": false}).is(200)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			l := f.listen(f.serveEvents(nil), "standard", "")
			end(f)
			l.ends()
		})
	}
	t.Run("agent switched off, with the next event", func(t *testing.T) {
		f := newFixture(t)
		l := f.listen(f.serveEvents(func(o *api.Options) { o.Events.Check = time.Hour }), "standard", "")
		f.do("admin", "PATCH", "/agents/"+f.agents["standard"], m{"active": false}).is(200)
		f.internal(f.channel)
		l.ends()
	})
}

func TestStreamsOfAnAgentAreBounded(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(func(o *api.Options) { o.Events.PerAgent = 2 })
	first := f.listen(server, "standard", "")
	f.listen(server, "standard", "")
	res, _ := f.request(server, "standard", "")
	res.Body.Close()
	if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("the third stream: %s %v", res.Status, res.Header)
	}
	f.listen(server, "admin", "")
	if got := f.streams(); got != 3 {
		t.Errorf("%v streams are counted", got)
	}
	first.cut()
	f.awaitStreams(2)
	f.listen(server, "standard", "")
}

// awaitStreams waits until so many streams are open: the server hears a moment
// later that a client has come or gone.
func (f *fixture) awaitStreams(want float64) {
	f.t.Helper()
	for limit := time.Now().Add(20 * time.Second); f.streams() != want; {
		if time.Now().After(limit) {
			f.t.Fatalf("%v streams are open, want %v", f.streams(), want)
		}
		time.Sleep(time.Millisecond) // a gauge gives no signal
	}
}

// streams gives the gauge of open streams.
func (f *fixture) streams() float64 {
	f.t.Helper()
	families, err := f.metrics.Gather()
	f.must(err)
	for _, family := range families {
		if family.GetName() == "ticketgate_event_streams" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	f.t.Fatal("streams are not counted")
	return 0
}

// A client that takes nothing holds nothing up, and is cut off.
func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	f := newFixture(t)
	server := f.serveEvents(func(o *api.Options) { o.Events.Patience = time.Second })
	conn, err := new(net.Dialer).DialContext(f.ctx, "tcp", server.Listener.Addr().String())
	f.must(err)
	defer conn.Close()
	f.must(conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(conn, "GET %s/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", api.Prefix, f.tokens["standard"])
	f.must(err)
	good := f.listen(server, "standard", "")
	f.awaitStreams(2)
	const many = 120
	text := strings.Repeat("much to say ", 10000) // together more than the system keeps for a connection
	for range many {
		f.notice("standard", 0, text)
	}
	for range many {
		if e := good.next(); e.Data.Text != text {
			t.Fatalf("told is %d bytes", len(e.Data.Text))
		}
	}
	f.awaitStreams(1)
}

func TestStreamsEndWithTheServer(t *testing.T) {
	f := newFixture(t)
	done := make(chan struct{})
	server := f.serveEvents(func(o *api.Options) { o.Events.Done = done })
	l := f.listen(server, "standard", "")
	close(done)
	l.ends()
	f.do("standard", "GET", "/events", nil).is(503)
}

func TestEventsOfTwoNodes(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	nodes := []*fixture{onPostgres(t, url), onPostgres(t, url)}
	nodes[0].people()
	var servers []*httptest.Server
	var streams []*listening
	for i, f := range nodes {
		f.tokens, f.agents, f.channel, f.account, f.statuses = nodes[0].tokens, nodes[0].agents, nodes[0].channel, nodes[0].account, nodes[0].statuses
		servers = append(servers, f.serveEvents(nil))
		streams = append(streams, f.listen(servers[i], "standard", ""))
	}
	var want []string
	for i := range 6 {
		n := nodes[i%2].internal(nodes[0].channel)
		nodes[(i+1)%2].note(n)
		want = append(want, created(n), noted(n), noted(n))
	}
	for i, l := range streams {
		last := l.expect(want[:9]...)
		l.cut()
		other := nodes[1-i].listen(servers[1-i], "standard", "", "Last-Event-ID", last.ID)
		other.expect(want[9:]...)
	}
}

// onPostgres is a fixture without people, whose store may be shared.
func onPostgres(t *testing.T, url string) *fixture {
	t.Helper()
	f := emptyFixture(t)
	var err error
	f.db, err = postgres.Open(f.ctx, url, store.Options{Now: f.clock})
	f.must(err)
	t.Cleanup(func() {
		if err := f.db.Close(); err != nil {
			t.Error(err)
		}
	})
	f.service, err = threading.New(threading.Options{
		DB: f.db, Secrets: []string{"a secret for tests"}, Hostname: "desk.example.test",
		PublicURL: "http://desk.example.test", Now: f.clock,
	})
	f.must(err)
	f.webhooks()
	return f
}
