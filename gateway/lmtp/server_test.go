package lmtp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// say sends a line and reads its one-line reply.
func say(t testing.TB, nc net.Conn, line string) string {
	t.Helper()
	if line != "" {
		if _, err := io.WriteString(nc, line+"\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	return hear(t, nc)
}

// hear reads one line, octet by octet so as not to read ahead.
func hear(t testing.TB, nc net.Conn) string {
	t.Helper()
	var line []byte
	for octet := make([]byte, 1); ; {
		n, err := nc.Read(octet)
		if line = append(line, octet[:n]...); err != nil || octet[0] == '\n' {
			return strings.TrimRight(string(line), "\r\n")
		}
	}
}

// transaction brings a client as far as the body.
func begin(t testing.TB, nc net.Conn) {
	t.Helper()
	say(t, nc, "")
	for reply := say(t, nc, "LHLO x"); strings.HasPrefix(reply, "250-"); {
		reply = hear(t, nc)
	}
	for _, line := range []string{"MAIL FROM:<a@example.org>", "RCPT TO:<a@desk.example>", "DATA"} {
		if reply := say(t, nc, line); reply[0] != '2' && reply[0] != '3' {
			t.Fatalf("%s: %s", line, reply)
		}
	}
}

func TestDrain(t *testing.T) {
	backend := &memory{hold: make(chan struct{}), busy: make(chan struct{}, 1)}
	s := serve(t, Options{}, backend)
	idle, open, busy := dial(t, s), dial(t, s), dial(t, s)
	say(t, idle, "")
	begin(t, open)
	begin(t, busy)
	if _, err := io.WriteString(busy, "one\r\n.\r\n"); err != nil {
		t.Fatal(err)
	}
	<-backend.busy

	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	if got := hear(t, idle); !strings.HasPrefix(got, "421 4.3.2 ") {
		t.Errorf("idle client heard %q", got)
	}
	if nc, err := net.Dial("tcp", s.Addrs()[0].String()); err == nil {
		if got := hear(t, nc); strings.HasPrefix(got, "220") {
			t.Errorf("a new client heard %q", got)
		}
		_ = nc.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with transactions open: %v", err)
	default:
	}
	close(backend.hold)
	if got := hear(t, busy); !strings.HasPrefix(got, "250 2.0.0") {
		t.Errorf("busy client heard %q", got)
	}
	if got := say(t, open, "two\r\n."); !strings.HasPrefix(got, "250 2.0.0") {
		t.Errorf("client in its message heard %q", got)
	}
	for _, nc := range []net.Conn{busy, open} {
		if got := hear(t, nc); !strings.HasPrefix(got, "421 4.3.2") {
			t.Errorf("after its transaction a client heard %q", got)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := len(backend.kept()); got != 2 {
		t.Errorf("%d mails", got)
	}
}

// TestForcedStop has a client that never ends and a delivery that hangs.
func TestForcedStop(t *testing.T) {
	backend := &memory{hold: make(chan struct{}), busy: make(chan struct{}, 1)}
	s := serve(t, Options{}, backend)
	open, busy := dial(t, s), dial(t, s)
	begin(t, open)
	begin(t, busy)
	if _, err := io.WriteString(busy, "one\r\n.\r\n"); err != nil {
		t.Fatal(err)
	}
	<-backend.busy
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := hear(t, busy); !strings.HasPrefix(got, "451 4.3.0") {
		t.Errorf("a delivery that was cut off was answered %q", got)
	}
	if got := hear(t, open); !strings.HasPrefix(got, "421 4.3.2") {
		t.Errorf("a client in its message heard %q", got)
	}
	if err := s.Stop(ctx); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

func TestStopWithoutStart(t *testing.T) {
	s := New(Options{}, &memory{})
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if err := s.Start(context.Background()); err == nil {
		t.Error("started with nothing to listen on")
	}
}

// TestMoreClientsThanSlots: one waits and gets the slot that becomes free.
func TestMoreClientsThanSlots(t *testing.T) {
	var open atomic.Int32
	s := serve(t, Options{MaxConnections: 1, Metrics: Metrics{Connections: func(d int) { open.Add(int32(d)) }}}, &memory{})
	first, second := dial(t, s), dial(t, s)
	say(t, first, "")
	waited := answers(second)
	if got := say(t, first, "QUIT"); !strings.HasPrefix(got, "221") {
		t.Fatal(got)
	}
	if _, err := io.WriteString(second, "QUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-waited; !strings.HasPrefix(got, "220 ") {
		t.Errorf("the second client heard %q", got)
	}
	stop(t, s)
	if open.Load() != 0 {
		t.Errorf("%d connections counted as open", open.Load())
	}
}

func TestNoSlotInTime(t *testing.T) {
	var refused []string
	opt := Options{MaxConnections: 1, Metrics: Metrics{Refused: func(why string) { refused = append(refused, why) }}}
	bubble(t, opt, func(t *testing.T, s *Server, l *pipeListener, _ *memory) {
		first := l.dial()
		hear(t, first)
		began := time.Now()
		if got := <-answers(l.dial()); !strings.HasPrefix(got, "421 4.3.2 ") || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %q", time.Since(began), got)
		}
		if got := say(t, first, "NOOP"); !strings.HasPrefix(got, "250") {
			t.Errorf("the first client heard %q", got)
		}
		_ = first.Close()
		if len(refused) != 1 || refused[0] != "busy" {
			t.Errorf("counted %v", refused)
		}
	})
}

// sickListener fails a few times as a process without descriptors does.
type sickListener struct {
	net.Listener
	failures atomic.Int32
}

func (l *sickListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, syscall.EMFILE
	}
	return l.Listener.Accept()
}

func TestAcceptRecovers(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &sickListener{Listener: inner}
	l.failures.Store(4)
	s := serve(t, Options{Listeners: []net.Listener{l}}, &memory{})
	if got := talk(t, s, "QUIT\r\n"); !strings.HasPrefix(got, "220") {
		t.Errorf("got %q", got)
	}
}

func TestTooManyCommands(t *testing.T) {
	s := serve(t, Options{MaxRecipients: 1}, &memory{})
	got := talk(t, s, strings.Repeat("NOOP\r\n", 12000))
	if !strings.Contains(got, "421 4.7.0") {
		t.Errorf("got %d octets", len(got))
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Listen: []string{"unix:" + path}}, &memory{})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got := talk(t, s, "QUIT\r\n"); !strings.HasPrefix(got, "220") {
		t.Errorf("got %q", got)
	}
	if err := New(Options{Listen: []string{"unix:" + path}}, &memory{}).Start(t.Context()); err == nil {
		t.Error("took the socket of a living process")
	}
	stop(t, s)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("socket is left: %v", err)
	}
}

func TestSocketPathThatIsNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{path, "", strings.Repeat("x", 108)} {
		if err := New(Options{Listen: []string{"unix:" + address}}, &memory{}).Start(t.Context()); err == nil {
			t.Errorf("listens on %q", address)
		}
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "x" {
		t.Errorf("the file is %q, %v", data, err)
	}
}

func TestListenerBeyondLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0"} {
		err := New(Options{Listen: []string{"127.0.0.1:0", address}}, &memory{}).Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "lmtp.allow") {
			t.Errorf("%s: %v", address, err)
		}
	}
	s := serve(t, Options{Listen: []string{":0"}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, &memory{})
	if len(s.Addrs()) != 1 {
		t.Error("no address")
	}
}

func TestAllowed(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for peer, want := range map[string]bool{
		"192.0.2.9:1": true, "[::ffff:192.0.2.9]:1": true, "[2001:db8::5]:1": true, "127.0.0.5:1": true, "[::1]:1": true,
		"192.0.3.1:1": false, "[2001:db9::1]:1": false, "[fe80::1%eth0]:1": false,
	} {
		if got := allowed(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(peer)), networks); got != want {
			t.Errorf("%s: %v", peer, got)
		}
	}
	if !allowed(&net.UnixAddr{Net: "unix"}, nil) {
		t.Error("a unix peer is not allowed")
	}
}

// strangerListener makes all peers come from one address outside.
type strangerListener struct{ net.Listener }

type strangerConn struct{ net.Conn }

func (l strangerListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return strangerConn{nc}, err
}

func (strangerConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 5), Port: 9} }

func TestStrangerIsClosedAtOnce(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Listeners: []net.Listener{strangerListener{inner}}}, &memory{})
	nc := dial(t, s)
	if got := hear(t, nc); got != "" {
		t.Errorf("heard %q", got)
	}
}
