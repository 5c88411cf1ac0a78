package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ticketgate/gateway/lmtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is a configuration for a scratch folder, with free ports. Each
// setting is KEY=value, as in the environment but for the prefix.
func testConfig(t *testing.T, settings ...string) *Config {
	t.Helper()
	dir := t.TempDir()
	environ := []string{
		"TICKETGATE_DATA_DIR=" + filepath.Join(dir, "data"), "TICKETGATE_HOSTNAME=mx.example.test",
		"TICKETGATE_LMTP_LISTEN=127.0.0.1:0", "TICKETGATE_HTTP_LISTEN=127.0.0.1:0", "TICKETGATE_METRICS_LISTEN=127.0.0.1:0",
		"TICKETGATE_OUTBOUND_SMARTHOST=dir:" + filepath.Join(dir, "sent"), "TICKETGATE_DNS_RESOLVER=127.0.0.1:1",
	}
	for _, s := range settings {
		environ = append(environ, "TICKETGATE_"+s)
	}
	empty := filepath.Join(dir, "empty.toml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(empty, environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testCore opens a store of its own.
func testCore(t *testing.T, c *Config) *Core {
	t.Helper()
	core, err := OpenCore(t.Context(), c, CoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := core.Close(); err != nil {
			t.Error(err)
		}
	})
	return core
}

// testDaemon starts a daemon, which is stopped at the end.
func testDaemon(t *testing.T, c *Config, opt Options) *Daemon {
	t.Helper()
	d := New(c, opt)
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, d) })
	return d
}

// stop ends a daemon, which may have been stopped already.
func stop(t *testing.T, d *Daemon) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		t.Error(err)
	}
}

const deskText = `
[[agent]]
email = "ann@example.test"
name = "Ann"

[[channel]]
name = "Support"
account = "support@example.test"
subscriptions = [{ agent = "ann@example.test" }]

[[mail_account]]
address = "support@example.test"
default_channel = "Support"
`

// applyText applies a desk file.
func applyText(t *testing.T, core *Core, text string, opt ApplyOptions) []string {
	t.Helper()
	file, err := ReadDesk("desk.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	opt.Seal = core.Seal
	lines, err := ApplyDesk(t.Context(), core.DB, file, opt)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// get asks a face of a daemon for a path.
func get(t *testing.T, d *Daemon, face, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.Addr(face).String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func readyOf(t *testing.T, d *Daemon) (int, readiness) {
	t.Helper()
	status, body := get(t, d, FaceHTTP, "/readyz")
	var r readiness
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return status, r
}

const firstMail = "From: Carol <carol@customer.test>\r\nTo: support@example.test\r\nSubject: Printer\r\n" +
	"Message-ID: <1@customer.test>\r\nDate: Sun, 22 Nov 2026 20:00:00 +0000\r\n\r\nHelp!\r\n"

// deliver hands a mail in and gives the reply code.
func deliver(t *testing.T, d *Daemon, to, mail string) int {
	t.Helper()
	replies, err := lmtp.Send(t.Context(), d.Addr(FaceLMTP).String(), "carol@customer.test", []string{to}, strings.NewReader(mail))
	if err != nil {
		t.Fatal(err)
	}
	return replies[0].Code
}

func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
