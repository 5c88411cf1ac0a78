// Package e2e runs the built program as its users do: behind a real Postfix,
// on a real PostgreSQL and Redis, killed and started again.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the built binary; TestMain sets it.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ticketgate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "ticketgate")
	build := exec.Command("go", "build", "-o", program, "ticketgate/cmd/ticketgate")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	return m.Run()
}

// node is one daemon, which may be killed and started again on the same data.
type node struct {
	tb    testing.TB
	dir   string
	env   []string
	cmd   *exec.Cmd
	done  chan error
	lmtp  string
	http  string
	meter string
	token string

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// newNode starts a daemon in a scratch folder. Later settings win.
func newNode(tb testing.TB, settings ...string) *node {
	tb.Helper()
	n := &node{tb: tb, dir: filepath.Join(tb.TempDir(), "data")}
	for _, s := range settings {
		if dir, ok := strings.CutPrefix(s, "DATA_DIR="); ok {
			n.dir = dir
		}
	}
	n.env = append(os.Environ(),
		"TICKETGATE_DATA_DIR="+n.dir, "TICKETGATE_HOSTNAME=desk.test.example",
		"TICKETGATE_LMTP_LISTEN=127.0.0.1:0", "TICKETGATE_HTTP_LISTEN=127.0.0.1:0", "TICKETGATE_METRICS_LISTEN=127.0.0.1:0",
		"TICKETGATE_OUTBOUND_SMARTHOST=dir:"+filepath.Join(n.dir, "sent"), "TICKETGATE_DNS_RESOLVER=127.0.0.1:1",
		"TICKETGATE_LOG_FORMAT=json",
	)
	for _, s := range settings {
		n.env = append(n.env, "TICKETGATE_"+s)
	}
	n.start()
	tb.Cleanup(func() {
		n.kill()
		if tb.Failed() {
			tb.Logf("log of the daemon in %s:\n%s", n.dir, n.tail(8000))
		}
	})
	return n
}

// Write takes what the daemon logs.
func (n *node) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *node) tail(max int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := n.log.String()
	if len(text) > max {
		text = "..." + text[len(text)-max:]
	}
	return text
}

// start starts the daemon and waits until it is ready.
func (n *node) start() {
	n.tb.Helper()
	if err := n.tryStart(); err != nil {
		n.tb.Fatalf("start: %v\n%s", err, n.tail(4000))
	}
}

func (n *node) tryStart() error {
	_ = os.Remove(filepath.Join(n.dir, "addresses")) // of a killed one
	n.cmd = exec.Command(program, "serve")
	n.cmd.Env, n.cmd.Stdout, n.cmd.Stderr = n.env, n, n
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		return err
	}
	n.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(n.cmd, n.done)
	return n.await()
}

// await waits for the file that names the addresses, which is written when the
// daemon is ready.
func (n *node) await() error {
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-n.done:
			n.done <- err
			return fmt.Errorf("the daemon ended: %w", errors.Join(err))
		case <-deadline:
			return errors.New("it is not ready after a minute")
		case <-tick.C:
		}
		data, err := os.ReadFile(filepath.Join(n.dir, "addresses"))
		var faces map[string][]string
		if err != nil || json.Unmarshal(data, &faces) != nil {
			continue
		}
		n.lmtp, n.http, n.meter = faces["lmtp"][0], "http://"+faces["http"][0], "http://"+faces["metrics"][0]
		if token, err := os.ReadFile(filepath.Join(n.dir, "admin-token")); err == nil {
			n.token = strings.TrimSpace(string(token))
		}
		return nil
	}
}

// kill ends the daemon as a power cut would.
func (n *node) kill() { n.end(syscall.SIGKILL) }

// stop ends the daemon as an admin would, and gives its exit code.
func (n *node) stop() int {
	n.end(syscall.SIGTERM)
	return n.cmd.ProcessState.ExitCode()
}

func (n *node) end(signal syscall.Signal) {
	if n.cmd == nil || n.done == nil {
		return
	}
	_ = n.cmd.Process.Signal(signal) // it may have ended by itself
	<-n.done
	n.done = nil
}

// command runs another command of the program beside the daemon.
func (n *node) command(args ...string) string {
	n.tb.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = n.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.tb.Fatalf("ticketgate %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// call makes an API call and decodes the answer into out, where it is not nil.
func (n *node) call(method, path string, body, out any) {
	n.tb.Helper()
	status, data := n.try(method, path, body)
	if status/100 != 2 {
		n.tb.Fatalf("%s %s: %d %s", method, path, status, data)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(data, out); err != nil {
		n.tb.Fatalf("%s %s: %v in %s", method, path, err, data)
	}
}

func (n *node) try(method, path string, body any) (int, []byte) {
	n.tb.Helper()
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			n.tb.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequest(method, n.http+"/api/v1"+path, content)
	if err != nil {
		n.tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+n.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return response.StatusCode, data
}

// within waits until what is true, or fails.
func within(tb testing.TB, limit time.Duration, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(25 * time.Millisecond) // the daemon is another process: there is nothing else to wait for
	}
}
