package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// asAdmin asks a face with the token of the first start.
func asAdmin(t *testing.T, d *Daemon, face, method, path, body string) (int, string) {
	t.Helper()
	token, err := os.ReadFile(d.config.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.Addr(face).String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// With a listener for admins the public one has nothing that is tagged admin,
// whoever asks, and doesn't describe it.
func TestAdminsListener(t *testing.T) {
	d := testDaemon(t, testConfig(t, "ADMIN_LISTEN=127.0.0.1:0"), Options{})
	for _, c := range []struct {
		method, path  string
		public, admin int
	}{
		{"GET", "/api/v1/dkim-keys", 404, 200},
		{"GET", "/api/v1/webhooks", 404, 200},
		{"POST", "/api/v1/channels", 405, 400}, // an empty body
		{"GET", "/api/v1/channels", 200, 200},
		{"GET", "/api/v1/tickets", 200, 200},
		{"GET", "/healthz", 200, 200},
		{"GET", "/metrics", 404, 404},
	} {
		for face, want := range map[string]int{FaceHTTP: c.public, FaceAdmin: c.admin} {
			if got, body := asAdmin(t, d, face, c.method, c.path, ""); got != want {
				t.Errorf("%s: %s %s: %d, want %d: %s", face, c.method, c.path, got, want, body)
			}
		}
	}
	var described struct {
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct{ Tags []string }
	}
	for face, wants := range map[string]bool{FaceHTTP: false, FaceAdmin: true} {
		_, body := get(t, d, face, "/api/v1/openapi.json")
		if err := json.Unmarshal([]byte(body), &described); err != nil {
			t.Fatal(err)
		}
		if want := "http://" + d.Addr(face).String() + "/api/v1"; described.Servers[0].URL != want {
			t.Errorf("%s is said to be at %s", face, described.Servers[0].URL)
		}
		found := false
		for _, path := range described.Paths {
			for _, operation := range path {
				found = found || operation.Tags[0] == "admin"
			}
		}
		if found != wants {
			t.Errorf("%s describes what is for admins: %v", face, found)
		}
		described.Paths = nil
	}
	if status, r := readyOf(t, d); status != http.StatusOK {
		t.Errorf("readyz: %d %+v", status, r)
	}
}

// W20: what is for those who run the program is not on the public listener.
func TestW20NothingOfTheInsideIsPublic(t *testing.T) {
	d := testDaemon(t, testConfig(t), Options{})
	for _, path := range []string{
		"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/api/metrics", "/api/v1/metrics", "/api/v1/debug/pprof/",
	} {
		if status, body := asAdmin(t, d, FaceHTTP, "GET", path, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := get(t, d, FaceMetrics, "/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("pprof beside the metrics: %d", status)
	}
}

// W16: a header that never ends costs a bounded time, and so does a connection
// on which nothing is asked.
func TestW16SlowHeaders(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWebServer(http.NotFoundHandler(), []net.Listener{listener}, nil, slog.New(slog.DiscardHandler))
	if w.server.ReadHeaderTimeout != headerTimeout || w.server.IdleTimeout != idleTimeout || w.server.MaxHeaderBytes != headerBytes {
		t.Errorf("limits: %+v", w.server)
	}
	w.server.ReadHeaderTimeout, w.server.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond // nobody waits for the real ones
	w.serve(func(err error) { t.Error(err) })
	t.Cleanup(func() { _ = w.stop(t.Context()) })
	for name, sent := range map[string]string{
		"nothing":         "",
		"half a header":   "GET / HTTP/1.1\r\nHost: x\r\n",
		"then no request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
		conn.Close()
	}
}
