package testbed

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// radicaleUser is the one user of a RadicaleServer.
const radicaleUser = "desk"

const radicaleConfig = `[server]
hosts = 127.0.0.1:%d
[auth]
type = htpasswd
htpasswd_filename = %s/users
htpasswd_encryption = plain
[rights]
type = owner_only
[storage]
filesystem_folder = %s/collections
[logging]
level = warning
`

// RadicaleServer is a private CardDAV server. Its methods end the test by Fatal where
// they fail, so they are for the test's own goroutine.
type RadicaleServer struct {
	tb      testing.TB
	program string
	dir     string
	// password is new for each: another test binary's server, which may hold the
	// port, answers nobody who comes with it.
	password string
	port     int
	guard    *guard
	proc     *process // nil while stopped
}

// Radicale starts a server that ends with the test.
func Radicale(tb testing.TB) *RadicaleServer {
	tb.Helper()
	s := &RadicaleServer{tb: tb, program: program("radicale"), password: rand.Text() + "/:@%"}
	if s.program == "" {
		missing(tb, "no Radicale server here"+install)
	}
	if err := s.launch(); err != nil {
		tb.Fatalf("radicale: %v", err)
	}
	tb.Cleanup(func() {
		if s.proc != nil {
			s.Stop()
		}
		if err := s.guard.release(); err != nil {
			tb.Errorf("radicale: clearing up: %v", err)
		}
	})
	return s
}

func (s *RadicaleServer) launch() (err error) {
	if s.dir, err = scratch("radicale"); err != nil {
		return err
	}
	if s.guard, err = newGuard(s.dir, "KILL"); err != nil {
		return err
	}
	users := []byte(radicaleUser + ":" + s.password + "\n")
	if err := os.WriteFile(filepath.Join(s.dir, "users"), users, 0o600); err != nil {
		return err
	}
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		config := fmt.Sprintf(radicaleConfig, s.port, s.dir, s.dir)
		if err = os.WriteFile(filepath.Join(s.dir, "config"), []byte(config), 0o600); err != nil {
			return err
		}
		if err = s.start(); err == nil {
			return nil
		}
	}
	return err
}

func (s *RadicaleServer) start() error {
	cmd := exec.Command(s.program, "--config", filepath.Join(s.dir, "config"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log := filepath.Join(s.dir, "log")
	proc, err := startProcess(s.guard, cmd, log)
	if err != nil {
		return err
	}
	if err := proc.await(func() error { return s.ask("PROPFIND", "/", "", nil) }); err != nil {
		if !proc.exited() {
			_ = proc.stop(syscall.SIGKILL) // it did not start
		}
		return fmt.Errorf("radicale on port %d: %w\n%s", s.port, err, tail(log))
	}
	s.proc = proc
	return nil
}

// ask makes a request as the user.
func (s *RadicaleServer) ask(method, path, body string, header http.Header) error {
	request, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.SetBasicAuth(radicaleUser, s.password)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	_ = response.Body.Close() // only the status counts
	return err
}

func (s *RadicaleServer) must(method, path, body string, header http.Header) {
	s.tb.Helper()
	if err := s.ask(method, path, body, header); err != nil {
		s.tb.Fatalf("radicale: %v", err)
	}
}

// URL is its http:// address without a path or a login.
func (s *RadicaleServer) URL() string { return "http://" + loopback(s.port) }

// Login is its http:// address with user and password, without a path.
func (s *RadicaleServer) Login() string {
	return (&url.URL{Scheme: "http", Host: loopback(s.port), User: url.UserPassword(radicaleUser, s.password)}).String()
}

// Password is the user's.
func (s *RadicaleServer) Password() string { return s.password }

// Book makes an address book of the user and gives its path.
func (s *RadicaleServer) Book(name string) string {
	s.tb.Helper()
	path := "/" + radicaleUser + "/" + name + "/"
	s.must("MKCOL", path, `<?xml version="1.0"?><mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><set><prop>`+
		`<resourcetype><collection/><C:addressbook/></resourcetype></prop></set></mkcol>`, http.Header{"Content-Type": {"application/xml"}})
	return path
}

// Put writes a card at a path; lines may end in \n.
func (s *RadicaleServer) Put(path, card string) {
	s.tb.Helper()
	card = strings.ReplaceAll(strings.ReplaceAll(card, "\r\n", "\n"), "\n", "\r\n")
	s.must("PUT", path, card, http.Header{"Content-Type": {"text/vcard; charset=utf-8"}})
}

// Delete removes what lies at a path.
func (s *RadicaleServer) Delete(path string) {
	s.tb.Helper()
	s.must("DELETE", path, "", nil)
}

// Stop ends the server; new connections are refused until Start.
func (s *RadicaleServer) Stop() {
	s.tb.Helper()
	if err := s.proc.stop(syscall.SIGTERM); err != nil {
		s.tb.Fatalf("radicale: stop: %v", err)
	}
	s.proc = nil
}

// Start starts a stopped server again, on the same port, and returns when it answers.
func (s *RadicaleServer) Start() {
	s.tb.Helper()
	if err := s.start(); err != nil {
		s.tb.Fatalf("radicale: start: %v", err)
	}
}
