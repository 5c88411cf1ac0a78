package outbound

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// dialogueMail is what is sent in each dialogue.
const dialogueMail = "Subject: dots\r\n\r\n.\r\n.dot\r\nMAIL FROM:<x@example.net>\r\nend\r\n"

// TestDialogues plays the server of each file in testdata/smtp: "S:" is said,
// "C:" is what the client must say, and at the end the connection is closed.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/smtp/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { playDialogue(t, file) })
	}
}

func playDialogue(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	scheme, with, want := "smtp+insecure", "", ""
	var lines []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case key == "scheme":
			scheme = value
		case key == "with":
			with = value
		case key == "want":
			want = value
		default:
			lines = append(lines, line)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	played := make(chan error, 1)
	go func() { played <- serveDialogue(listener, lines) }()

	route, err := openTransport(scheme+"://"+with+listener.Addr().String(), "desk.example.org", nil, shortLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer route.close()
	got := route.send(t.Context(), envelope{from: "support@example.org", to: "a@example.net"}, []byte(dialogueMail))
	if text := fmt.Sprint(got.class, " ", got.code); text != want {
		t.Errorf("%s (%s), want %s", text, got.explain(), want)
	}
	if strings.Contains(got.explain(), "secret") || strings.ContainsAny(got.explain(), "\r\n") {
		t.Errorf("the text is %q", got.explain())
	}
	if err := <-played; err != nil {
		t.Error(err)
	}
}

func shortLimits() smtpLimits {
	const short = 5 * time.Second
	return smtpLimits{dial: short, command: short, write: short, dot: short, idle: short, uses: 10}
}

func serveDialogue(listener net.Listener, lines []string) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, line := range lines {
		side, said, _ := strings.Cut(line, ":")
		said = strings.TrimPrefix(said, " ")
		if side == "S" {
			if _, err := fmt.Fprint(conn, strings.ReplaceAll(said, `\r\n`, "\r\n"), "\r\n"); err != nil {
				return err
			}
			continue
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		heard, err := in.ReadString('\n')
		if err != nil || strings.TrimSuffix(heard, "\r\n") != said {
			return fmt.Errorf("the client said %q (%v), not %q", heard, err, said)
		}
	}
	return nil
}

// TestStalledMessage: a server that stops reading in the middle of a message
// costs one deadline, and the message is not sent.
func TestStalledMessage(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "220 x\r\n")
		in := bufio.NewReader(conn)
		for _, answer := range []string{"250 x", "250 x", "250 x", "354 x"} {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			fmt.Fprint(conn, answer, "\r\n")
		}
		<-t.Context().Done()
	}()
	limits := shortLimits()
	limits.write = 100 * time.Millisecond
	route, err := openTransport("smtp+insecure://"+listener.Addr().String(), "desk.example.org", nil, limits)
	if err != nil {
		t.Fatal(err)
	}
	defer route.close()
	raw := "Subject: big\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 200_000)
	got := route.send(t.Context(), envelope{to: "a@example.net"}, []byte(raw))
	if got.class != classDeferred || got.err == nil {
		t.Errorf("%+v", got)
	}
}

// TestSendEndsWithItsContext: before the dot nothing was sent.
func TestSendEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	route, err := openTransport("smtp+insecure://"+listener.Addr().String(), "desk.example.org", nil, shortLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer route.close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if got := route.send(ctx, envelope{to: "a@example.net"}, []byte(dialogueMail)); got.class != classRoute || time.Since(begun) > 2*time.Second {
		t.Errorf("%+v after %v", got, time.Since(begun))
	}
}

func TestParseSmarthost(t *testing.T) {
	for raw, want := range map[string]smarthost{
		"smtp://127.0.0.1:25":            {mode: tlsOffered, host: "127.0.0.1", port: "25"},
		"smtp://mx.example.org":          {mode: tlsOffered, host: "mx.example.org", port: "25"},
		"smtps://u:p%40w@mx.example.org": {mode: tlsImplicit, host: "mx.example.org", port: "465", user: "u", password: "p@w"},
		"smtp+starttls://mx.example.org": {mode: tlsRequired, host: "mx.example.org", port: "587"},
		"smtp+insecure://[::1]:2525":     {mode: tlsNever, host: "::1", port: "2525"},
		"dir:/var/tmp/x":                 {dir: "/var/tmp/x"},
	} {
		if got, err := parseSmarthost(raw); err != nil || got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for _, bad := range []string{"", "dir:", "http://x", "smtp://", "smtp://h/secret", "smtp://u:secret@h:x y", "mx.example.org"} {
		if _, err := parseSmarthost(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReplyText(t *testing.T) {
	for _, c := range []struct {
		code           int
		text           string
		enhanced, want string
	}{
		{550, "5.1.1 no such\n5.1.1 user", "5.1.1", "no such user"},
		{550, "no such user", "", "no such user"},
		{550, "4.1.1 does not fit", "", "4.1.1 does not fit"},
		{250, "2.0.0", "2.0.0", ""},
		{451, "4.3.0 bad \x1b[31m\xff bytes", "4.3.0", ""},
	} {
		r := newReply(c.code, c.text)
		if r.enhanced != c.enhanced || c.want != "" && r.text != c.want || strings.ContainsAny(r.text, "\x1b\n") || !utf8.ValidString(r.text) {
			t.Errorf("%q: %+v", c.text, r)
		}
	}
	if r := newReply(550, strings.Repeat("ü", 10_000)); len(r.text) > maxReplyText+3 {
		t.Errorf("%d octets are kept", len(r.text))
	}
}
