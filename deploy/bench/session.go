package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// replyLimit is how long a server may take for one reply.
const replyLimit = 2 * time.Minute

// session is one LMTP connection, kept for many mails, as an MTA keeps it. It is
// for one goroutine.
type session struct {
	conn net.Conn
	in   *bufio.Reader
	to   string
}

// refusal is a reply that says no.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return strconv.Itoa(r.code) + " " + r.text }

// openSession connects to "host:port" or "unix:/path" and says LHLO.
func openSession(ctx context.Context, addr, to string) (*session, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, in: bufio.NewReader(conn), to: to}
	if err = s.expect(220); err == nil {
		if err = s.say("LHLO bench.example\r\n"); err == nil {
			err = s.expect(250)
		}
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return s, nil
}

func (s *session) close() { _ = s.conn.Close() } // nothing is lost by it: every reply was read

// deliver sends one mail: the envelope in one write (PIPELINING), then the
// message and its dot in one. It gives the time from that write to the reply. A
// *refusal leaves the session as good as before, any other error ends it.
func (s *session) deliver(m mail) (time.Duration, error) {
	if err := s.say("MAIL FROM:<" + m.from + ">\r\nRCPT TO:<" + s.to + ">\r\nDATA\r\n"); err != nil {
		return 0, err
	}
	first, err := s.envelope()
	if err != nil {
		return 0, err
	}
	if first != nil {
		return 0, s.reset(first)
	}
	begun := time.Now()
	if _, err := s.conn.Write(m.wire); err != nil {
		return 0, err
	}
	r, err := s.reply()
	took := time.Since(begun)
	if err != nil {
		return 0, err
	}
	if r.code != 250 {
		return took, &r
	}
	return took, nil
}

// envelope reads the replies to MAIL, RCPT and DATA, and gives the first refusal.
func (s *session) envelope() (first *refusal, err error) {
	for _, want := range []int{250, 250, 354} {
		r, err := s.reply()
		switch {
		case err != nil:
			return nil, err
		case r.code == want && (want != 354 || first == nil):
		case r.code == 354: // data without a recipient: there is no good way on
			return nil, fmt.Errorf("DATA was taken after %s", first.Error())
		case first == nil:
			first = &r
		}
	}
	return first, nil
}

// reset forgets a transaction that was refused.
func (s *session) reset(cause *refusal) error {
	if err := s.say("RSET\r\n"); err != nil {
		return err
	}
	if err := s.expect(250); err != nil {
		return fmt.Errorf("RSET: %s", err.Error())
	}
	return cause
}

func (s *session) say(text string) error {
	_, err := io.WriteString(s.conn, text)
	return err
}

func (s *session) expect(code int) error {
	r, err := s.reply()
	if err == nil && r.code != code {
		err = &r
	}
	return err
}

// reply reads a reply of one or more lines.
func (s *session) reply() (refusal, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(replyLimit)); err != nil {
		return refusal{}, err
	}
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return refusal{}, err
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 3 {
			return refusal{}, fmt.Errorf("no reply: %q", line)
		}
		code, err := strconv.Atoi(line[:3])
		if err != nil {
			return refusal{}, fmt.Errorf("no reply: %q", line)
		}
		if len(line) == 3 || line[3] != '-' {
			return refusal{code, strings.TrimSpace(line[3:])}, nil
		}
	}
}
