package outbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// smtpLimits bounds what an SMTP server can make us wait for. Each is for one
// step, so that a slow transfer that goes on is let go on.
type smtpLimits struct {
	dial    time.Duration // TCP, and TLS if the connection begins with it
	command time.Duration // one command and its reply
	write   time.Duration // writing a command or one piece of the message
	dot     time.Duration // the reply after the message
	idle    time.Duration // an unused connection is closed after it
	uses    int           // messages over one connection
}

// defaultLimits are below those of RFC 5321, 4.5.3.2, where a queue of our own
// stands behind us, but for the last one: who hangs up too early there makes
// duplicates.
func defaultLimits() smtpLimits {
	return smtpLimits{
		dial: 30 * time.Second, command: 2 * time.Minute, write: 2 * time.Minute,
		dot: 10 * time.Minute, idle: 20 * time.Second, uses: 100,
	}
}

// maxReply bounds the octets of one reply, all lines together.
const maxReply = 64 << 10

// writePiece is what is written of a message under one deadline.
const writePiece = 32 << 10

// session is one SMTP connection. One goroutine uses it at a time.
//
// It speaks the protocol itself, on net/textproto: go-smtp's client can't do
// STARTTLS where it is merely offered, clears the deadline before the message,
// reads EHLO keywords by case, and does not tell a loss before the final dot
// from one after it. All four matter here.
type session struct {
	conn   net.Conn
	limits smtpLimits
	cap    *io.LimitedReader
	in     *bufio.Reader
	text   *textproto.Reader
	ext    map[string]string // EHLO keywords, upper case
	uses   int
	idle   *time.Timer
}

func newSession(conn net.Conn, limits smtpLimits) *session {
	s := &session{limits: limits}
	s.use(conn)
	return s
}

func (s *session) use(conn net.Conn) {
	s.conn = conn
	s.cap = &io.LimitedReader{R: conn}
	s.in = bufio.NewReader(s.cap)
	s.text = textproto.NewReader(s.in)
}

// read reads one reply within span.
func (s *session) read(span time.Duration) (reply, error) {
	code, text, err := s.readLines(span)
	if err != nil {
		return reply{}, err
	}
	return newReply(code, text), nil
}

func (s *session) readLines(span time.Duration) (code int, text string, err error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(span)); err != nil {
		return 0, "", err
	}
	s.cap.N = maxReply
	code, text, err = s.text.ReadResponse(0)
	if err == nil && (code < 200 || code > 599) {
		err = fmt.Errorf("the reply code %d is none", code)
	}
	return code, text, err
}

// command sends a line and reads its reply.
func (s *session) command(line string) (reply, error) {
	// The last look: whatever came here, it is one command.
	if strings.ContainsAny(line, "\r\n\x00") {
		return reply{}, errors.New("a line break in an SMTP command")
	}
	if err := s.write([]byte(line + "\r\n")); err != nil {
		return reply{}, err
	}
	return s.read(s.limits.command)
}

// hello says EHLO, or HELO to those who don't know it, and keeps what is
// offered.
func (s *session) hello(name string) (reply, error) {
	if err := s.write([]byte("EHLO " + name + "\r\n")); err != nil {
		return reply{}, err
	}
	code, text, err := s.readLines(s.limits.command)
	if err != nil {
		return reply{}, err
	}
	s.ext = map[string]string{}
	if code/100 == 5 && code != 554 {
		return s.command("HELO " + name)
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 { // the first one is the server's name
			keyword, params, _ := strings.Cut(line, " ")
			s.ext[strings.ToUpper(keyword)] = params
		}
	}
	return newReply(code, text), nil
}

func (s *session) offers(keyword string) bool {
	_, ok := s.ext[keyword]
	return ok
}

// startTLS turns the connection into TLS after the server's 220. What came in
// clear behind the 220 would be read as if it were protected, so it ends the
// connection (CVE-2011-0411 and its kin).
func (s *session) startTLS(ctx context.Context, config *tls.Config) error {
	if s.in.Buffered() > 0 {
		return errors.New("the server sent more than its reply before TLS")
	}
	secured := tls.Client(s.conn, config)
	ctx, cancel := context.WithTimeout(ctx, s.limits.command)
	defer cancel()
	// The deadlines of the last command are over by now.
	if err := s.conn.SetDeadline(time.Now().Add(s.limits.command)); err != nil {
		return err
	}
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	s.use(secured)
	return nil
}

// login authenticates by PLAIN (RFC 4616), else by LOGIN.
func (s *session) login(user, password string) (reply, error) {
	encode := base64.StdEncoding.EncodeToString
	mechanisms := " " + strings.ToUpper(s.ext["AUTH"]) + " "
	switch {
	case strings.Contains(mechanisms, " PLAIN "):
		return s.command("AUTH PLAIN " + encode([]byte("\x00"+user+"\x00"+password)))
	case strings.Contains(mechanisms, " LOGIN "):
		for _, line := range []string{"AUTH LOGIN", encode([]byte(user))} {
			if r, err := s.command(line); err != nil || r.code != 334 {
				return r, err
			}
		}
		return s.command(encode([]byte(password)))
	}
	return reply{code: 535, text: "the server offers neither AUTH PLAIN nor AUTH LOGIN"}, nil
}

// transfer is one mail transaction. The result's host is not set.
func (s *session) transfer(e envelope, raw []byte) result {
	s.uses++
	utf8 := !isASCII(e.from) || !isASCII(e.to) || bytes.ContainsFunc(raw, func(r rune) bool { return r > '~'+1 })
	if utf8 && !s.offers("SMTPUTF8") {
		return result{class: classFailed, reply: reply{code: 550, enhanced: "5.6.7",
			text: "the address needs SMTPUTF8, which the next hop does not offer"}}
	}
	if size, err := strconv.Atoi(s.ext["SIZE"]); err == nil && size > 0 && len(raw) > size {
		return result{class: classFailed, reply: reply{code: 552, enhanced: "5.3.4",
			text: fmt.Sprintf("the message has %d octets, and the next hop takes %d", len(raw), size)}}
	}
	for _, step := range []struct {
		stage, line string
		want        int
	}{
		{"MAIL", s.mailCommand(e, len(raw), utf8), 250},
		{"RCPT", "RCPT TO:<" + e.to + ">", 250},
		{"DATA", "DATA", 354},
	} {
		r, err := s.command(step.line)
		if err != nil {
			return result{class: classDeferred, err: fmt.Errorf("%s: %w", step.stage, err)}
		}
		if r.code != step.want && !(step.want == 250 && r.code == 251) {
			return result{class: r.refused(step.stage), reply: r}
		}
	}
	return s.message(raw, e.final)
}

func (s *session) mailCommand(e envelope, size int, utf8 bool) string {
	line := "MAIL FROM:<" + e.from + ">"
	if s.offers("SIZE") {
		line += " SIZE=" + strconv.Itoa(size)
	}
	if utf8 {
		line += " SMTPUTF8"
		if s.offers("8BITMIME") {
			line += " BODY=8BITMIME"
		}
	}
	return line
}

// message sends the message and its final dot. Only when the dot may have
// reached the server, and no reply came, is the outcome unknown.
func (s *session) message(raw []byte, final *gate) result {
	body := dotStuff(raw)
	for len(body) > 0 {
		n := min(writePiece, len(body))
		if err := s.write(body[:n]); err != nil {
			return result{class: classDeferred, err: fmt.Errorf("sending the message: %w", err)}
		}
		body = body[n:]
	}
	if !final.pass() {
		return result{class: classDeferred, err: errGateShut}
	}
	if err := s.write([]byte(".\r\n")); err != nil {
		return result{class: classUnknown, err: fmt.Errorf("ending the message: %w", err)}
	}
	r, err := s.read(s.limits.dot)
	switch {
	case err != nil:
		return result{class: classUnknown, err: fmt.Errorf("no reply after the message: %w", err)}
	case r.code/100 == 2:
		return result{class: classSent, reply: r}
	}
	return result{class: r.refused("message"), reply: r}
}

func (s *session) write(piece []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.limits.write)); err != nil {
		return err
	}
	_, err := s.conn.Write(piece)
	return err
}

// dotStuff doubles a dot that begins a line (RFC 5321, 4.5.2). raw has CRLF
// line ends alone, and ends with one: see checkWire.
func dotStuff(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(raw, []byte(".")) {
		raw = append([]byte("."), raw...)
	}
	return raw
}

// quit ends the connection; politely, if the server answers soon.
func (s *session) quit() {
	const politely = 5 * time.Second
	s.limits.command, s.limits.write = min(s.limits.command, politely), min(s.limits.write, politely)
	_, _ = s.command("QUIT")
	_ = s.conn.Close()
}
