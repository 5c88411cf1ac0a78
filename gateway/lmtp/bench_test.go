package lmtp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// discard is a Backend that takes everything and keeps nothing.
type discard struct{}

func (discard) Recipient(context.Context, string) error { return nil }

func (discard) Deliver(_ context.Context, env *Envelope) []error {
	_, err := env.Message.Bytes()
	return []error{err}
}

// bare is the library alone, with a session that throws the message away: the
// floor that BenchmarkSessions stands beside.
type bare struct{}

func (bare) NewSession(*smtp.Conn) (smtp.Session, error)        { return bare{}, nil }
func (bare) Reset()                                             {}
func (bare) Logout() error                                      { return nil }
func (bare) Mail(string, *smtp.MailOptions) error               { return nil }
func (bare) Rcpt(string, *smtp.RcptOptions) error               { return nil }
func (bare) Data(r io.Reader) error                             { _, err := io.Copy(io.Discard, r); return err }
func (bare) LMTPData(r io.Reader, _ smtp.StatusCollector) error { return bare{}.Data(r) }

// BenchmarkSessions delivers mails of 5 kB over ten sessions, as Postfix does
// (envelope pipelined), to this server and to the bare library.
func BenchmarkSessions(b *testing.B) {
	b.Run("server", func(b *testing.B) {
		s := serve(b, Options{SpoolDir: b.TempDir()}, discard{})
		deliverAll(b, s.Addrs()[0].String())
	})
	b.Run("bare", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		lib := smtp.NewServer(bare{})
		lib.LMTP = true
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = lib.Serve(l) // ends with Close
		}()
		deliverAll(b, l.Addr().String())
		_ = lib.Close()
		<-done
	})
}

func deliverAll(b *testing.B, addr string) {
	message := "Subject: bench\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 64) + ".\r\n"
	b.SetParallelism(5)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = nc.Close() }()
		in := bufio.NewReader(nc)
		last := func(say string, replies int) {
			if _, err := io.WriteString(nc, say); err != nil {
				b.Error(err)
			}
			for range replies {
				if err := wholeReply(in); err != nil {
					b.Error(err)
				}
			}
		}
		last("LHLO bench\r\n", 2)
		for pb.Next() {
			last("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@desk.example>\r\nDATA\r\n", 3)
			last(message, 1)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

// wholeReply reads the lines of one good reply.
func wholeReply(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil || line[0] > '3' {
			return fmt.Errorf("got %q, %v", line, err)
		}
		if line[3] == ' ' {
			return nil
		}
	}
}
