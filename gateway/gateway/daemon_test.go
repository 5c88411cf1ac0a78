package gateway

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

func TestDaemonServesItsFaces(t *testing.T) {
	c := testConfig(t)
	var out strings.Builder
	var told []string
	d := testDaemon(t, c, Options{Out: &out, Notify: func(s string) { told = append(told, s) }, Version: "test"})
	if lines := strings.Count(out.String(), "\n"); lines == 0 || lines > 10 || !strings.Contains(out.String(), c.TokenFile()) {
		t.Errorf("the first start said %q", out.String())
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "READY=1") {
		t.Errorf("the service manager heard %q", told)
	}
	data, err := os.ReadFile(filepath.Join(c.DataDir, "addresses"))
	if err != nil || !strings.Contains(string(data), d.Addr(FaceLMTP).String()) {
		t.Errorf("addresses: %s %v", data, err)
	}
	if where, err := c.IntakeAddress(); err != nil || where != d.Addr(FaceLMTP).String() {
		t.Errorf("a command finds the intake at %q: %v", where, err)
	}
	if d.Addr(FaceSMTP) != nil {
		t.Error("there is an SMTP listener that nobody asked for")
	}
	if status, body := get(t, d, FaceHTTP, "/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %s", status, body)
	}
	if status, r := readyOf(t, d); status != http.StatusOK || !r.Ready || len(r.Faults)+len(r.Degraded) > 0 {
		t.Errorf("readyz: %d %+v", status, r)
	}
	if status, body := get(t, d, FaceHTTP, "/"); status != http.StatusOK || !strings.Contains(body, "No mail account receives tickets") {
		t.Errorf("page: %d %s", status, body)
	}
	if status, _ := get(t, d, FaceHTTP, "/metrics"); status != http.StatusNotFound {
		t.Errorf("metrics on the public listener: %d", status)
	}
	status, body := get(t, d, FaceMetrics, "/metrics")
	if status != http.StatusOK || !strings.Contains(body, `ticketgate_deliveries_total{code="250",result="ok"} 0`) {
		t.Errorf("metrics: %d", status)
	}
	if code := deliver(t, d, "support@example.test", firstMail); code != 450 {
		t.Errorf("a desk without accounts answered %d", code)
	}
	applyText(t, d.core, deskText, ApplyOptions{})
	if code := deliver(t, d, "support@example.test", firstMail); code != 250 {
		t.Errorf("the first mail was answered %d", code)
	}
	stop(t, d)
	if _, err := os.Stat(filepath.Join(c.DataDir, "addresses")); err == nil {
		t.Error("the addresses stay after the end")
	}
}

func TestSecondDaemonOnOneSQLiteIsRefused(t *testing.T) {
	c := testConfig(t)
	testDaemon(t, c, Options{})
	err := New(c, Options{}).Start(t.Context())
	if err == nil || err.Error() != "another daemon serves "+c.StoreURL.String()+" already" {
		t.Errorf("got %v", err)
	}
}

func TestStartThatFailsLeavesNothingBehind(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	c := testConfig(t, "LMTP_LISTEN="+busy.Addr().String())
	if err := New(c, Options{}).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "lmtp.listen") {
		t.Errorf("got %v", err)
	}
	c.LMTP.Listen[0].Address = "127.0.0.1:0"
	testDaemon(t, c, Options{}) // the store is free again
}

// session is an LMTP client that stops in the middle.
type session struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, d *Daemon) *session {
	t.Helper()
	conn, err := net.Dial("tcp", d.Addr(FaceLMTP).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &session{t: t, conn: conn, in: bufio.NewReader(conn)}
	s.expect("220")
	return s
}

// expect reads one reply, and wants its code.
func (s *session) expect(code string) {
	s.t.Helper()
	for {
		line, err := s.in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, code) {
			s.t.Fatalf("want %s, got %q: %v", code, line, err)
		}
		if line[3] == ' ' {
			return
		}
	}
}

func (s *session) say(text, code string) {
	s.t.Helper()
	if _, err := s.conn.Write([]byte(text + "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	s.expect(code)
}

func TestDrainEndsRunningTransactions(t *testing.T) {
	c := testConfig(t)
	d := testDaemon(t, c, Options{})
	applyText(t, d.core, deskText, ApplyOptions{})
	idle, busy := dial(t, d), dial(t, d)
	for _, s := range []*session{idle, busy} {
		s.say("LHLO client", "250")
	}
	busy.say("MAIL FROM:<carol@customer.test>", "250")
	busy.say("RCPT TO:<support@example.test>", "250")
	busy.say("DATA", "354")

	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		ended <- d.Stop(ctx)
	}()
	idle.expect("421")
	if status, r := readyOf(t, d); status != http.StatusServiceUnavailable || !r.Draining {
		t.Errorf("while it drains readyz says %d %+v", status, r)
	}
	busy.say(firstMail+".", "250")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	core := testCore(t, c)
	err := core.DB.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Ticket(ctx, 10001)
		return err
	})
	if err != nil {
		t.Errorf("what was answered 250 is not there: %v", err)
	}
}

// A stream of events ends at once, while what has an end is still waited for.
func TestDrainEndsStreams(t *testing.T) {
	d := testDaemon(t, testConfig(t), Options{})
	applyText(t, d.core, deskText, ApplyOptions{})
	busy := dial(t, d)
	busy.say("LHLO client", "250")
	busy.say("MAIL FROM:<carol@customer.test>", "250")
	busy.say("RCPT TO:<support@example.test>", "250")
	busy.say("DATA", "354")
	stream := func() *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.Addr(FaceHTTP).String()+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+readToken(t, d.config))
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	open := stream()
	defer func() { _ = open.Body.Close() }()
	if _, body := get(t, d, FaceMetrics, "/metrics"); !strings.Contains(body, "ticketgate_event_streams 1\n") {
		t.Error("the stream is not counted")
	}
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		ended <- d.Stop(ctx)
	}()
	if text := readAll(t, open); !strings.Contains(text, "\nid: ") {
		t.Errorf("the stream was %q", text)
	}
	late := stream()
	defer func() { _ = late.Body.Close() }()
	if late.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("while it drains a stream is answered %s", late.Status)
	}
	busy.say(firstMail+".", "250")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEventsAreForgottenInTime(t *testing.T) {
	core := testCore(t, testConfig(t))
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	if err := core.DB.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i := range 2500 {
			e := store.Event{Kind: store.EventAgentNotice, AgentID: "a", At: now.AddDate(0, 0, -8)}
			if i >= 2400 {
				e.At = now.AddDate(0, 0, -6)
			}
			if err := tx.AddEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ days, want int }{{0, 0}, {7, 2400}, {7, 0}} {
		if n, err := forgetEvents(t.Context(), core.DB, c.days, now); n != c.want || err != nil {
			t.Errorf("kept for %d days: %d forgotten, %v", c.days, n, err)
		}
	}
}

// A client that never ends its message must not hold the end up.
func TestDrainCutsOffWhatDoesNotEnd(t *testing.T) {
	c := testConfig(t)
	c.ShutdownTimeout = time.Second
	d := New(c, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := make(chan struct{})
	d.opt.Notify = func(state string) {
		if strings.HasPrefix(state, "READY") {
			close(ready)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	<-ready
	applyText(t, d.core, deskText, ApplyOptions{})
	busy := dial(t, d)
	busy.say("LHLO client", "250")
	busy.say("MAIL FROM:<carol@customer.test>", "250")
	busy.say("RCPT TO:<support@example.test>", "250")
	busy.say("DATA", "354")
	start := time.Now()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("a forced end is no failure: %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestReadyzTellsWhatIsOut(t *testing.T) {
	c := testConfig(t)
	d := testDaemon(t, c, Options{})
	blobs := c.BlobURL.Rest()
	if err := os.RemoveAll(blobs); err != nil {
		t.Fatal(err)
	}
	d.health.at = time.Time{}
	if status, r := readyOf(t, d); status != http.StatusServiceUnavailable || len(r.Faults) != 1 || r.Faults[0].Part != "blobs" {
		t.Errorf("without the folder of blobs: %d %+v", status, r)
	}
	if err := os.Mkdir(blobs, 0o700); err != nil {
		t.Fatal(err)
	}
	d.health.mu.Lock()
	d.health.at = time.Time{}
	d.health.mu.Unlock()
	if status, _ := readyOf(t, d); status != http.StatusOK {
		t.Errorf("with it again: %d", status)
	}
}

func TestReadyzTellsWhatIsDegraded(t *testing.T) {
	c := testConfig(t, "REDIS_URL=redis://127.0.0.1:1")
	d := testDaemon(t, c, Options{})
	status, r := readyOf(t, d)
	if status != http.StatusOK || len(r.Degraded) != 1 || r.Degraded[0].Part != "redis" {
		t.Errorf("without Redis: %d %+v", status, r)
	}
}

func TestUnixSocketAndHandedInListener(t *testing.T) {
	dir, err := os.MkdirTemp("", "tg-sock-") // a short path: 108 octets is all a socket's may have
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	handed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(t, "LMTP_LISTEN=unix:"+filepath.Join(dir, "lmtp"))
	d := testDaemon(t, c, Options{Listeners: map[string][]net.Listener{FaceHTTP: {handed}}})
	if got := d.Addr(FaceLMTP); got.Network() != "unix" {
		t.Errorf("lmtp at %v", got)
	}
	if d.Addr(FaceHTTP).String() != handed.Addr().String() {
		t.Error("the socket that was handed in is not used")
	}
	if status, _ := readyOf(t, d); status != http.StatusOK {
		t.Errorf("readyz: %d", status)
	}
}

func TestReloadTakesTheLogLevel(t *testing.T) {
	c := testConfig(t)
	log, level := NewLogger(c, os.Stderr)
	d := testDaemon(t, c, Options{Log: slog.New(slog.DiscardHandler), Level: level})
	if log.Enabled(t.Context(), slog.LevelDebug) {
		t.Fatal("debug is on from the start")
	}
	fresh := *c
	fresh.LogLevel = "debug"
	if err := d.Reload(&fresh); err != nil || !log.Enabled(t.Context(), slog.LevelDebug) {
		t.Errorf("the level was not taken: %v", err)
	}
}

// ask calls the API as the first admin and decodes the answer.
func ask(t *testing.T, d *Daemon, method, path, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.Addr(FaceHTTP).String()+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+readToken(t, d.config))
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

type activities struct {
	Items []struct {
		ID   string      `json:"id"`
		Auth *store.Auth `json:"auth"`
	} `json:"items"`
}

func TestDNSThatFailedIsAskedAgain(t *testing.T) {
	dns := testbed.DNS(t, map[string][]string{})
	dns.Fail("_dmarc.customer.test")
	c := testConfig(t, "DNS_RESOLVER="+dns.Addr(), "DNS_RECHECK=100ms", "DNS_TIMEOUT=1s")
	d := testDaemon(t, c, Options{})
	applyText(t, d.core, deskText, ApplyOptions{})
	if code := deliver(t, d, "support@example.test", firstMail); code != 250 {
		t.Fatalf("answered %d", code)
	}
	var list activities
	ask(t, d, http.MethodGet, "/tickets/10001/activities", "", &list)
	if got := list.Items[0].Auth.Verdict; got != store.AuthError {
		t.Fatalf("verdict %s while DNS fails", got)
	}
	dns.Restore("_dmarc.customer.test")
	deadline := time.Now().Add(30 * time.Second)
	for list.Items[0].Auth.Verdict == store.AuthError {
		if time.Now().After(deadline) {
			t.Fatal("the verdict stays error")
		}
		ask(t, d, http.MethodGet, "/tickets/10001/activities", "", &list)
	}
	if got := list.Items[0].Auth.Verdict; got != store.Unverified {
		t.Errorf("verdict %s", got)
	}
	if _, raw := getRaw(t, d, list.Items[0].ID); strings.Count(raw, "Authentication-Results:") != 1 || !strings.HasPrefix(raw, "Return-Path: <carol@customer.test>\r\n") {
		t.Errorf("the stored message:\n%s", raw)
	}
}

func getRaw(t *testing.T, d *Daemon, activity string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+d.Addr(FaceHTTP).String()+"/api/v1/tickets/10001/activities/"+activity+"/raw", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+readToken(t, d.config))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode, readAll(t, response)
}

func TestResultsUnderOurNameAreRemoved(t *testing.T) {
	d := testDaemon(t, testConfig(t), Options{})
	applyText(t, d.core, deskText, ApplyOptions{})
	forged := "Authentication-Results: mx.example.test; dmarc=pass header.from=customer.test\r\n" + firstMail
	if code := deliver(t, d, "support@example.test", forged); code != 250 {
		t.Fatalf("answered %d", code)
	}
	var list activities
	ask(t, d, http.MethodGet, "/tickets/10001/activities", "", &list)
	if _, raw := getRaw(t, d, list.Items[0].ID); strings.Contains(raw, "dmarc=pass") {
		t.Errorf("the forged result is still there:\n%s", raw)
	}
}

// K18 through the daemon: what a trusted sealer saw keeps forwarded mail from
// being failed.
func TestTrustedSealer(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dns := testbed.DNS(t, map[string][]string{
		"arc._domainkey.relay.test TXT": {"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)},
		"_dmarc.customer.test TXT":      {"v=DMARC1; p=reject"},
	})
	sealer := testbed.ARCSealer{Domain: "relay.test", Selector: "arc", Authserv: "mx.relay.test", Key: key}
	sealed := sealer.Seal(t, []byte("Authentication-Results: mx.relay.test; dmarc=pass header.from=customer.test\r\n"+firstMail))
	for setting, want := range map[string]store.Verdict{"relay.test": store.Unverified, "other.test": store.Failed} {
		d := testDaemon(t, testConfig(t, "DNS_RESOLVER="+dns.Addr(), "ARC_TRUSTED_SEALERS=second.test, "+setting), Options{})
		applyText(t, d.core, deskText, ApplyOptions{})
		if code := deliver(t, d, "support@example.test", string(sealed)); code != 250 {
			t.Fatalf("answered %d", code)
		}
		var list activities
		ask(t, d, http.MethodGet, "/tickets/10001/activities", "", &list)
		got := list.Items[0].Auth
		if got.Verdict != want || (got.ARC != nil) != (want == store.Unverified) {
			t.Errorf("%s is trusted: %+v", setting, got)
		}
		if got.ARC != nil && *got.ARC != (store.MethodResult{Result: "pass", Domain: "relay.test"}) {
			t.Errorf("arc: %+v", *got.ARC)
		}
		stop(t, d)
	}
}

func TestKeySignsOnceDNSShowsIt(t *testing.T) {
	dns := testbed.DNS(t, map[string][]string{})
	core := testCore(t, testConfig(t, "DNS_RESOLVER="+dns.Addr()))
	k, err := core.NewKey("example.test", "s1", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	if err := core.DB.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.PutDKIMKey(ctx, k) }); err != nil {
		t.Fatal(err)
	}
	found := CheckKeys(t.Context(), core, []store.DKIMKey{k})
	if len(found) != 1 || found[0].Level != LevelWarn || !strings.Contains(found[0].Text, "there is no DKIM record") {
		t.Errorf("before: %v", found)
	}
	dns.Set("s1._domainkey.example.test", "TXT", "v=DKIM1; k=ed25519; p="+k.Public)
	fresh := testCore(t, core.Config) // a resolver that remembers nothing
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); activateKeys(ctx, fresh, time.Now, slog.New(slog.DiscardHandler)) }()
	deadline := time.Now().Add(20 * time.Second)
	for {
		keys, err := core.Keys(t.Context(), "example.test")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the key does not sign: %v", err)
		}
		if keys[0].State == store.DKIMActive {
			break
		}
	}
	cancel()
	<-ended
}

func TestCheckFindsWhatIsNotRight(t *testing.T) {
	dns := testbed.DNS(t, map[string][]string{
		"example.test TXT":        {"v=spf1 mx -all", "v=spf1 a -all"},
		"_dmarc.example.test TXT": {"v=DMARC1; p=reject"},
	})
	c := testConfig(t, "DNS_RESOLVER="+dns.Addr())
	fresh := Check(t.Context(), c)
	if slices.ContainsFunc(fresh, func(f Finding) bool { return f.Level == LevelError }) {
		t.Errorf("a fresh machine has errors: %v", fresh)
	}
	if _, err := os.Stat(c.DataDir); err == nil {
		t.Error("check made a desk")
	}
	core := testCore(t, c)
	applyText(t, core, deskText, ApplyOptions{})
	var all strings.Builder
	for _, f := range Check(t.Context(), c) {
		fmt.Fprintf(&all, "%s %s\n", f.Level, f.Text)
	}
	for _, want := range []string{
		"ok store: sqlite:", "ok blobs: file:", "ok smarthost: dir:",
		"warn dkim: there is no key",
		"error spf: example.test has 2 records",
		"ok dmarc: _dmarc.example.test: v=DMARC1; p=reject",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%q is missing in\n%s", want, all.String())
		}
	}
}
