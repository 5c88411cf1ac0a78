package lmtp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"ticketgate/store"
)

// TestReplyTable is the one place where errors become replies.
func TestReplyTable(t *testing.T) {
	wrapped := func(code store.Code, reason string) error {
		return fmt.Errorf("commit: %w", &store.Error{Code: code, Reason: reason, Err: errSecret})
	}
	for _, row := range []struct {
		err   error
		proto Protocol
		at    stage
		want  int
	}{
		{wrapped(store.CodeNotFound, ""), LMTP, atRecipient, 550},
		{wrapped(store.CodeNotFound, store.ReasonUnknownRecipient), LMTP, atDelivery, 451},
		{wrapped(store.CodeNotFound, store.ReasonUnknownDomain), LMTP, atRecipient, 550},
		{wrapped(store.CodeNotFound, store.ReasonUnknownDomain), SMTP, atRecipient, 550},
		{wrapped(store.CodeConflict, store.ReasonAccountOff), LMTP, atDelivery, 450},
		{wrapped(store.CodeNotFound, store.ReasonNoAccount), LMTP, atRecipient, 450},
		{wrapped(store.CodeUnavailable, ""), LMTP, atDelivery, 451},
		{wrapped(store.CodeUnavailable, store.ReasonDiskFull), LMTP, atDelivery, 452},
		{wrapped(store.CodeTooLarge, ""), LMTP, atDelivery, 552},
		{wrapped(store.CodeRejected, store.ReasonDKIMRequired), LMTP, atDelivery, 550},
		{wrapped(store.CodeRejected, store.ReasonDKIMUnknown), LMTP, atDelivery, 451},
		{wrapped(store.CodeRejected, ""), LMTP, atDelivery, 451},
		{wrapped(store.CodeRejected, ""), SMTP, atRecipient, 451},
		{wrapped(store.CodeInternal, ""), LMTP, atDelivery, 451},
		{wrapped(store.CodeForbidden, ""), LMTP, atDelivery, 451},
		{wrapped(store.CodeInvalid, ""), LMTP, atDelivery, 451},
		{wrapped(store.CodeData, ""), LMTP, atDelivery, 451},
		{errors.New("bare"), SMTP, atRecipient, 451},
		{context.DeadlineExceeded, LMTP, atDelivery, 451},
	} {
		got := replyFor(row.err, row.proto, row.at)
		if got.Code != row.want || got.EnhancedCode[0] != row.want/100 || strings.Contains(got.Message, "hunter2") {
			t.Errorf("%v at %v: %v", row.err, row.at, got)
		}
	}
}

// TestLogLine: one line a recipient that leads from the MTA's queue id to ours,
// and nothing of the body.
func TestLogLine(t *testing.T) {
	var out bytes.Buffer
	var mu sync.Mutex
	log := slog.New(slog.NewJSONHandler(lockedWriter{&mu, &out}, nil))
	s := serve(t, Options{Log: log, NewID: func() string { return "id-1" }}, &memory{})
	got := talk(t, s, "LHLO mx\r\nXFORWARD IDENT=4bQ1xY2\r\nMAIL FROM:<from@example.org>\r\nRCPT TO:<a@desk.example>\r\n"+
		"RCPT TO:<down@desk.example>\r\nRCPT TO:<a@desk.example>\r\nDATA\r\nconfidential\r\n.\r\nQUIT\r\n")
	if !strings.Contains(got, "Stored as id-1") {
		t.Fatal(got)
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(out.String(), "confidential") {
		t.Error("the body is in the log")
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for i, want := range []map[string]any{
		{"to": "a@desk.example", "code": 250.0, "enhanced": "2.0.0", "result": "ok"},
		{"to": "down@desk.example", "code": 451.0, "enhanced": "4.3.0", "result": "deferred"},
	} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		want["delivery_id"], want["queue_id"], want["from"], want["size"] = "id-1", "4bQ1xY2", "from@example.org", 14.0
		for key, value := range want {
			if line[key] != value {
				t.Errorf("%s is %v, want %v", key, line[key], value)
			}
		}
		if _, ok := line["duration"]; !ok {
			t.Error("no duration")
		}
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// certificate makes a key pair for one test.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"desk.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// greet says LHLO and gives the keywords.
func greet(t *testing.T, nc net.Conn) string {
	t.Helper()
	var all []string
	for reply := say(t, nc, "LHLO x"); ; reply = hear(t, nc) {
		all = append(all, reply)
		if !strings.HasPrefix(reply, "250-") {
			return strings.Join(all, "\n")
		}
	}
}

func TestStartTLS(t *testing.T) {
	backend := &memory{}
	s := serve(t, Options{TLS: certificate(t)}, backend)
	nc := dial(t, s)
	say(t, nc, "")
	if got := greet(t, nc); !strings.Contains(got, "STARTTLS") {
		t.Fatal(got)
	}
	say(t, nc, "MAIL FROM:<before@example.org>")
	if got := say(t, nc, "STARTTLS"); !strings.HasPrefix(got, "220") {
		t.Fatal(got)
	}
	secured := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	if got := say(t, secured, "RCPT TO:<a@desk.example>"); !strings.HasPrefix(got, "503") {
		t.Errorf("what was said in the clear still counts: %q", got)
	}
	if got := greet(t, secured); strings.Contains(got, "STARTTLS") {
		t.Error("TLS is offered in TLS")
	}
	for _, line := range []string{"MAIL FROM:<a@example.org>", "RCPT TO:<a@desk.example>", "DATA", "x\r\n."} {
		if got := say(t, secured, line); got[0] != '2' && got[0] != '3' {
			t.Errorf("%s: %s", line, got)
		}
	}
	if mails := backend.kept(); len(mails) != 1 || mails[0].env.From != "a@example.org" {
		t.Errorf("%d mails", len(mails))
	}
}

// TestStartTLSInjection: what follows STARTTLS in the clear is not taken up.
func TestStartTLSInjection(t *testing.T) {
	s := serve(t, Options{TLS: certificate(t)}, &memory{})
	got := talk(t, s, "LHLO x\r\nSTARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
	if !strings.HasSuffix(got, "421 4.7.0 Nothing may follow STARTTLS\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestSend(t *testing.T) {
	backend := &memory{}
	s := serve(t, Options{Listen: []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")}}, backend)
	to := []string{"a@desk.example", "unknown@desk.example", "down@desk.example", "a@desk.example", "büro@desk.example"}
	for _, addr := range []string{s.Addrs()[0].String(), "unix:" + s.Addrs()[1].String()} {
		replies, err := Send(t.Context(), addr, "grün@example.org", to, strings.NewReader("Subject: x\n\n.dot\nlast"))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{250, 550, 451, 250, 250} {
			if r := replies[i]; r.Code != want || r.Recipient != to[i] || r.Text == "" || r.OK() != (want == 250) {
				t.Errorf("%s: %+v", to[i], r)
			}
		}
		mails := backend.kept()
		if last := mails[len(mails)-1]; last.body != "Subject: x\r\n\r\n.dot\r\nlast\r\n" || last.env.From != "grün@example.org" {
			t.Errorf("got %q", last.body)
		}
	}
}

// TestSendBroken: a message that cannot be read whole is not delivered in part.
func TestSendBroken(t *testing.T) {
	backend := &memory{}
	s := serve(t, Options{}, backend)
	addr := s.Addrs()[0].String()
	broken := io.MultiReader(strings.NewReader("Subject: x\n\nhalf"), iotest.ErrReader(errors.New("bad disk")))
	if _, err := Send(t.Context(), addr, "", []string{"a@desk.example"}, broken); err == nil {
		t.Error("no error")
	}
	if _, err := Send(t.Context(), addr, "", []string{"a@desk.example>\r\nRSET"}, strings.NewReader("")); err == nil {
		t.Error("an address with a line break was sent")
	}
	stop(t, s)
	if len(backend.kept()) != 0 {
		t.Error("half a message was delivered")
	}
	if _, err := Send(t.Context(), addr, "", []string{"a@desk.example"}, strings.NewReader("")); err == nil {
		t.Error("no error without a server")
	}
}

// FuzzServer throws octets at a whole server over a pipe. It must neither panic
// nor hang, and may store only what a strict reading of the stream has whole.
func FuzzServer(f *testing.F) {
	f.Add([]byte(toData + "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("LHLO x\r\nXFORWARD NAME=+41 IDENT=1\r\nMAIL FROM:<\"a b\"@x> SIZE=9 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<@a:b@c>\r\nRSET\r\nBDAT 5 LAST\r\nhello"))
	f.Add([]byte("LHLO x\r\nSTARTTLS\r\nHELP\r\nVRFY\r\nEXPN\r\n\r\nGET / HTTP/1.1\r\n"))
	for _, end := range fakeEnds {
		f.Add([]byte(toData + "x" + end + smuggled + ".\r\n"))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		l, backend := newPipeListener(), &memory{}
		s := New(Options{Listeners: []net.Listener{l}, SpoolDir: t.TempDir()}, backend)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		nc := l.dial()
		said := answers(nc)
		_ = nc.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = nc.Write(stream)
		_ = s.Stop(contextOf(t, 50*time.Millisecond))
		_ = nc.Close()
		got := <-said
		if ends := bytes.Count(append([]byte("\r\n"), stream...), []byte("\r\n.\r\n")); len(backend.kept()) > ends {
			t.Errorf("%d mails out of %d ends of data: %q", len(backend.kept()), ends, got)
		}
	})
}

func contextOf(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestReplyText(t *testing.T) {
	for err, want := range map[error]string{
		nil: "250 2.0.0",
		&store.Error{Code: store.CodeNotFound, Reason: store.ReasonUnknownRecipient}: "550 5.1.1 No such recipient here",
		errSecret: "451 4.3.0 Temporary trouble here, try again later",
	} {
		if got := ReplyText(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
