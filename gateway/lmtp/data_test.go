package lmtp

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// spoolOf reads one message out of stream as the server does.
func spoolOf(t testing.TB, stream io.Reader, size int) (*Spool, *bufio.Reader, error) {
	t.Helper()
	pool := newSpooler(Options{SpoolDir: t.TempDir()}.withDefaults())
	in := bufio.NewReaderSize(stream, size)
	spool := pool.spool(context.Background(), 0)
	err := readData(in, spool)
	return spool, in, err
}

// The variants of an end of data that other servers took for one. After each
// stands what would be a second message.
var fakeEnds = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n\x00.\r\n", "\r\n.\r\r\n",
	"\n\n.\n\n", "\r\r.\r\r", "\r\n .\r\n", "\r\n.\x00\r\n", "\r\n..\r\n", "\x00\r.\r\n", "\n.\r\r\n",
}

const smuggled = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@desk.example>\r\nDATA\r\nevil\r\n"

// unstuffed takes the dots of the transfer off, line by line.
func unstuffed(s string) string {
	return strings.TrimPrefix(strings.ReplaceAll("\r\n"+s, "\r\n.", "\r\n"), "\r\n")
}

func TestFakeEndsStayInOneMessage(t *testing.T) {
	for _, end := range fakeEnds {
		t.Run(strconv.Quote(end), func(t *testing.T) {
			body := "Subject: x\r\n\r\nhello" + end + smuggled
			for _, size := range []int{16, maxCommandLine} {
				for _, octets := range []bool{false, true} {
					var stream io.Reader = strings.NewReader(body + ".\r\nQUIT\r\n")
					if octets {
						stream = iotest.OneByteReader(stream)
					}
					checkWhole(t, stream, size, unstuffed(body))
				}
			}
		})
	}
}

func checkWhole(t *testing.T, stream io.Reader, size int, want string) {
	t.Helper()
	spool, in, err := spoolOf(t, stream, size)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	got, err := spool.Bytes()
	if err != nil || string(got) != want || spool.Size() != int64(len(want)) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	rest, _ := io.ReadAll(in)
	if string(rest) != "QUIT\r\n" {
		t.Errorf("read past the end: %q is left", rest)
	}
}

// TestFakeEndsOverTheWire is the same with the whole server: never a second
// message, and the one is whole.
func TestFakeEndsOverTheWire(t *testing.T) {
	backend := &memory{}
	s := serve(t, Options{}, backend)
	for i, end := range fakeEnds {
		body := "Subject: x\r\n\r\nhello" + end + smuggled
		replies := talk(t, s, "LHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<a@desk.example>\r\nDATA\r\n"+body+".\r\nQUIT\r\n")
		if strings.Count(replies, "Stored as") != 1 || strings.Count(replies, "\r\n354 ") != 1 {
			t.Errorf("%q: %s", end, replies)
		}
		mails := backend.kept()
		if len(mails) != i+1 || mails[i].body != unstuffed(body) || mails[i].env.From != "a@example.org" {
			t.Fatalf("%q: %d mails", end, len(mails))
		}
	}
}

// talk sends all at once and gives all that comes back until the server closes.
func talk(t testing.TB, s *Server, say string) string {
	t.Helper()
	nc := dial(t, s)
	go func() { _, _ = io.WriteString(nc, say) }()
	all, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// TestTruncated cuts a message at each octet: nothing is ever stored.
func TestTruncated(t *testing.T) {
	backend := &memory{}
	s := serve(t, Options{}, backend)
	whole := "Subject: x\r\n\r\nhello\r\n.\r\n"
	for cut := range len(whole) {
		nc := dial(t, s)
		if _, err := io.WriteString(nc, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@desk.example>\r\nDATA\r\n"+whole[:cut]); err != nil {
			t.Fatal(err)
		}
		if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		all, _ := io.ReadAll(nc)
		if after := string(all[bytes.Index(all, []byte("354"))+3:]); strings.Contains(after, "\n2") {
			t.Errorf("cut at %d: %q", cut, after)
		}
	}
	if mails := backend.kept(); len(mails) != 0 {
		t.Errorf("%d mails of transfers that broke off", len(mails))
	}
}

// pipeListener hands in-memory connections to a server.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Net: "pipe", Name: "pipe"} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// bubble runs a test with a server on an in-memory listener and a clock that
// jumps when all wait.
func bubble(t *testing.T, opt Options, test func(t *testing.T, s *Server, l *pipeListener, backend *memory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, backend := newPipeListener(), &memory{}
		opt.Listeners = []net.Listener{l}
		s := New(opt, backend)
		if err := s.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		test(t, s, l, backend)
		stop(t, s)
	})
}

// answers collects what a server says on a connection, until it closes.
func answers(nc net.Conn) <-chan string {
	out := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(nc)
		out <- string(all)
	}()
	return out
}

func TestIdleClientIsSentAway(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Server, l *pipeListener, _ *memory) {
		nc := l.dial()
		began := time.Now()
		said := <-answers(nc)
		if !strings.Contains(said, "\r\n421 4.4.2 ") || time.Since(began) != 5*time.Minute {
			t.Errorf("after %v: %q", time.Since(began), said)
		}
	})
}

// TestSlowCommand sends a command an octet at a time: the whole of it has to
// come within the timeout.
func TestSlowCommand(t *testing.T) {
	bubble(t, Options{Timeout: time.Minute}, func(t *testing.T, s *Server, l *pipeListener, _ *memory) {
		nc := l.dial()
		began, said := time.Now(), answers(nc)
		trickle(nc, 10*time.Second)
		if got := <-said; !strings.Contains(got, "421 4.4.2") || time.Since(began) > 2*time.Minute {
			t.Errorf("after %v: %q", time.Since(began), got)
		}
	})
}

// trickle sends an octet every pause until that fails.
func trickle(nc net.Conn, pause time.Duration) {
	for {
		if _, err := nc.Write([]byte("x")); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

const toData = "LHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<a@desk.example>\r\nDATA\r\n"

// TestSlowMessage is a client that sends one octet in ten seconds: it is too
// slow for the rate, and the rest of its message is never a command.
func TestSlowMessage(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Server, l *pipeListener, backend *memory) {
		nc := l.dial()
		began, said := time.Now(), answers(nc)
		if _, err := io.WriteString(nc, toData); err != nil {
			t.Fatal(err)
		}
		trickle(nc, 10*time.Second)
		got, took := <-said, time.Since(began)
		if strings.Count(got, "421 4.4.2") != 1 || strings.Contains(got, "451") || took > 80*time.Second {
			t.Errorf("after %v: %q", took, got)
		}
		if len(backend.kept()) != 0 {
			t.Error("stored")
		}
	})
}

// TestStalledMessage is a client that stops in the middle of its message.
func TestStalledMessage(t *testing.T) {
	var aborted []string
	opt := Options{DataTimeout: 40 * time.Second, Metrics: Metrics{Aborted: func(why string) { aborted = append(aborted, why) }}}
	bubble(t, opt, func(t *testing.T, s *Server, l *pipeListener, backend *memory) {
		nc := l.dial()
		began, said := time.Now(), answers(nc)
		if _, err := io.WriteString(nc, toData+"Subject: x\r\n\r\nhello\r\r\n .\r\n"+smuggled); err != nil {
			t.Fatal(err)
		}
		got, took := <-said, time.Since(began)
		if !strings.HasSuffix(got, "waited too long\r\n") || took != 40*time.Second || len(backend.kept()) != 0 {
			t.Errorf("after %v: %q", took, got)
		}
		if len(aborted) != 1 || aborted[0] != "timeout" {
			t.Errorf("counted %v", aborted)
		}
	})
}

// TestLongMessage keeps the rate, and ends at the time for a whole message.
func TestLongMessage(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Server, l *pipeListener, backend *memory) {
		nc := l.dial()
		began, said := time.Now(), answers(nc)
		if _, err := io.WriteString(nc, toData); err != nil {
			t.Fatal(err)
		}
		for line := strings.Repeat("x", 4000); ; time.Sleep(time.Second) {
			if _, err := io.WriteString(nc, line); err != nil {
				break
			}
		}
		if got, took := <-said, time.Since(began); !strings.Contains(got, "421 4.4.2") || took > 11*time.Minute || took < 9*time.Minute {
			t.Errorf("after %v: %q", took, got)
		}
	})
}

// FuzzReadData: whatever comes, a message ends at the first line that is a lone
// dot, and holds exactly what stood before.
func FuzzReadData(f *testing.F) {
	for _, end := range fakeEnds {
		f.Add([]byte("hello"+end+smuggled+".\r\nQUIT\r\n"), 16)
	}
	f.Add([]byte(".\r\n"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		end := bytes.Index(append([]byte("\r\n"), stream...), []byte("\r\n.\r\n"))
		spool, in, err := spoolOf(t, bytes.NewReader(stream), max(16, min(size, 9000)))
		defer func() { spool.Close() }() // whatever the reader said
		if end < 0 {
			if err == nil {
				t.Fatal("an end where there is none")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		want := unstuffed(string(stream[:end]))
		if got, _ := spool.Bytes(); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if rest, _ := io.ReadAll(in); !bytes.Equal(rest, stream[end+3:]) {
			t.Errorf("left %q", rest)
		}
	})
}
