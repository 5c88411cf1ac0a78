package testbed

import (
	"bytes"
	_ "embed" // the two configuration templates
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// PostfixOptions says how a private Postfix is wired.
type PostfixOptions struct {
	// LMTP is where mail for RelayDomains goes, as Postfix writes it:
	// "inet:127.0.0.1:PORT" or "unix:private/NAME" (see SocketDir); a leading "lmtp:" is
	// allowed. Empty: such mail stays in the queue.
	LMTP string
	// NextHop is where all other mail goes, "smtp:[127.0.0.1]:PORT". Empty: it bounces.
	NextHop string
	// RelayDomains are the domains that go to LMTP; tickets.example by default.
	RelayDomains []string
	// RecipientMaps is relay_recipient_maps, "socketmap:inet:127.0.0.1:PORT:recipients"
	// or so. Empty: every recipient is taken.
	RecipientMaps string
	// Chroot runs the services in a chroot, as Debian's packages do.
	Chroot bool
	// Main has further lines of main.cf ("name = value"); they win over the others.
	Main []string
	// LMTPOptions has further -o options of the LMTP service ("lmtp_data_done_timeout=5s").
	LMTPOptions []string
}

// PostfixServer is a private Postfix, with a queue, a log and a configuration of its own.
// It asks no DNS, keeps no mail of other tests, and tries deferred mail again after a
// second. Its LMTP service has the options that deploy/postfix documents for production.
// Its methods end the test by Fatal where they fail, so they are for the test's own
// goroutine.
type PostfixServer struct {
	tb    testing.TB
	dir   string
	port  int
	guard *guard
	proc  *process // nil while stopped
}

//go:embed main.cf.tmpl
var mainTemplate string

//go:embed master.cf.tmpl
var masterTemplate string

const (
	postfixCommand = "/usr/sbin/postfix"
	postfixMaster  = "/usr/lib/postfix/sbin/master"
)

// Postfix starts a server that ends with the test, and returns when it greets. Only root
// can: as another user the test skips (with CI set it fails).
func Postfix(tb testing.TB, options PostfixOptions) *PostfixServer {
	tb.Helper()
	if os.Geteuid() != 0 {
		missing(tb, "only root can start a private Postfix")
	}
	if _, err := os.Stat(postfixMaster); err != nil {
		missing(tb, "no Postfix here"+install)
	}
	s := &PostfixServer{tb: tb}
	if err := s.launch(options); err != nil {
		tb.Fatalf("postfix: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("postfix: the end of its log:\n%s", tail(s.logPath()))
		}
		if s.proc != nil {
			s.Stop()
		}
		if err := s.guard.release(); err != nil {
			tb.Errorf("postfix: clearing up: %v", err)
		}
	})
	return s
}

func (s *PostfixServer) launch(options PostfixOptions) error {
	var err error
	if s.dir, err = scratch("postfix"); err != nil {
		return err
	}
	if s.guard, err = newGuard(s.dir, "TERM"); err != nil {
		return err
	}
	if err := s.folders(); err != nil {
		return err
	}
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.configure(options); err != nil {
			return err
		}
		if err = s.start(); err == nil {
			return nil
		}
	}
	return err
}

// folders makes what Postfix insists on: all of it root's, but the data folder.
func (s *PostfixServer) folders() error {
	for _, name := range []string{"etc", "spool", "log", "data"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			return err
		}
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	data := filepath.Join(s.dir, "data")
	if err := os.Chown(data, uid, gid); err != nil {
		return err
	}
	return os.Chmod(data, 0o700)
}

// configure writes main.cf and master.cf for the port that was picked.
func (s *PostfixServer) configure(options PostfixOptions) error {
	if len(options.RelayDomains) == 0 {
		options.RelayDomains = []string{"tickets.example"}
	}
	values := struct {
		PostfixOptions
		Dir, Relay, Domains, Chroot string
		Port                        int
	}{options, s.dir, "retry:no LMTP server in this test", strings.Join(options.RelayDomains, ", "), "n", s.port}
	if options.LMTP != "" {
		values.Relay = "ticketgate:" + strings.TrimPrefix(options.LMTP, "lmtp:")
	}
	if options.NextHop == "" {
		values.NextHop = "error:no next hop in this test"
	}
	if options.Chroot {
		values.Chroot = "y"
	}
	for name, text := range map[string]string{"main.cf": mainTemplate, "master.cf": masterTemplate} {
		var out bytes.Buffer
		if err := template.Must(template.New(name).Parse(text)).Execute(&out, values); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, "etc", name), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return s.setMain(options.Main)
}

// setMain lets lines replace what main.cf says: a name that stands twice is a warning of
// Postfix in every line of its log.
func (s *PostfixServer) setMain(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := s.command("postconf", append([]string{"-e"}, lines...)...)
	return err
}

// start runs the master in the foreground. `postfix check` goes first, since it makes
// the folders of the queue.
func (s *PostfixServer) start() error {
	if _, err := s.command("postfix", "check"); err != nil {
		return err
	}
	etc := filepath.Join(s.dir, "etc")
	// -s: in the foreground, in a session of its own, which a process group of its own
	// made beforehand would forbid (setsid(2)).
	cmd := exec.Command(postfixMaster, "-s", "-c", etc)
	cmd.Dir = filepath.Join(s.dir, "spool")
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+etc)
	out := filepath.Join(s.dir, "log", "out")
	proc, err := startProcess(s.guard, cmd, out)
	if err != nil {
		return err
	}
	if err := proc.await(s.greeted); err != nil {
		if !proc.exited() {
			proc.stop(syscall.SIGTERM)
		}
		return fmt.Errorf("on port %d: %w\n%s\n%s", s.port, err, tail(out), tail(s.logPath()))
	}
	s.proc = proc
	return nil
}

// greeted waits for the 220 of this very server.
func (s *PostfixServer) greeted() error {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	line := make([]byte, 512)
	n, err := conn.Read(line)
	if err != nil {
		return err
	}
	if want := "220 " + s.banner(); !strings.HasPrefix(string(line[:n]), want) {
		return fmt.Errorf("greeted by %q", line[:n])
	}
	_, err = conn.Write([]byte("QUIT\r\n"))
	return err
}

// banner is what smtpd_banner says after the 220: the folder's name makes it unique.
func (s *PostfixServer) banner() string { return "mx.test.example " + s.dir }

func (s *PostfixServer) logPath() string { return filepath.Join(s.dir, "log", "mail.log") }

func (s *PostfixServer) command(name string, args ...string) (string, error) {
	args = append([]string{"-c", filepath.Join(s.dir, "etc")}, args...)
	out, err := exec.Command("/usr/sbin/"+name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return string(out), nil
}

// Addr is where it takes mail by SMTP, host:port.
func (s *PostfixServer) Addr() string { return loopback(s.port) }

// SocketDir is the folder that "private/" of a unix target stands for. A server that
// listens there must let the user postfix write to its socket.
func (s *PostfixServer) SocketDir() string { return filepath.Join(s.dir, "spool", "private") }

// Log is the mail log so far.
func (s *PostfixServer) Log() string {
	s.tb.Helper()
	text, err := os.ReadFile(s.logPath())
	if err != nil {
		s.tb.Fatalf("postfix: %v", err)
	}
	return string(text)
}

// WaitLog waits until a line of the log matches the regular expression, and returns the
// first such line.
func (s *PostfixServer) WaitLog(pattern string, timeout time.Duration) string {
	s.tb.Helper()
	line := regexp.MustCompile(`(?m)^.*(?:` + pattern + `).*$`)
	for deadline := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		if found := line.FindString(s.Log()); found != "" {
			return found
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("postfix: no line matches %q after %v", pattern, timeout)
		}
	}
}

// Run runs one of Postfix's commands (postqueue, postsuper, postconf, postmap, postcat)
// on this instance, and returns what it prints.
func (s *PostfixServer) Run(name string, args ...string) string {
	s.tb.Helper()
	out, err := s.command(name, args...)
	if err != nil {
		s.tb.Fatalf("postfix: %v", err)
	}
	return out
}

// Set changes main.cf ("name=value") and makes the running server read it.
func (s *PostfixServer) Set(lines ...string) {
	s.tb.Helper()
	if err := s.setMain(lines); err != nil {
		s.tb.Fatalf("postfix: %v", err)
	}
	s.Run("postfix", "reload")
}

// Flush tries all queued mail again now.
func (s *PostfixServer) Flush() {
	s.tb.Helper()
	s.Run("postqueue", "-f")
}

// Queue is the queue, one JSON object a line (postqueue(1), -j); empty if nothing waits.
func (s *PostfixServer) Queue() string {
	s.tb.Helper()
	return s.Run("postqueue", "-j")
}

// Stop ends the server; its queue stays for Start.
func (s *PostfixServer) Stop() {
	s.tb.Helper()
	if s.proc == nil {
		s.tb.Fatal("postfix: Stop of a stopped server")
	}
	group := -s.proc.cmd.Process.Pid
	if err := s.proc.stop(syscall.SIGTERM); err != nil {
		s.tb.Fatalf("postfix: stop: %v", err)
	}
	s.proc = nil
	// The master goes before its children, who hold the port with it: a start in between
	// would not get it. Where nobody reaps orphans they stay as zombies, hence the limit.
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if syscall.Kill(group, 0) != nil {
			return
		}
	}
}

// Start starts a stopped server again, on the same port with the same queue.
func (s *PostfixServer) Start() {
	s.tb.Helper()
	if s.proc != nil {
		s.tb.Fatal("postfix: Start of a server that runs")
	}
	if err := s.start(); err != nil {
		s.tb.Fatalf("postfix: start: %v", err)
	}
}
