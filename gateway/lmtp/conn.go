package lmtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// maxCommandLine bounds one command, CRLF included. RFC 5321, 4.5.3.1.4
	// asks for 512 octets, extensions add to it; Postfix sends up to 2048.
	maxCommandLine = 8 << 10
	// maxSkipped bounds what of overlong command lines is read and thrown
	// away on one connection, to stay in step with the client.
	maxSkipped = 64 << 20
	// maxErrors is the number of bad commands after which a client has to go.
	maxErrors = 10
	// maxReplies bounds the replies that wait for pipelined commands to be read.
	maxReplies = 32 << 10
	// lingerFor and lingerBytes bound the wait for a client that is still
	// sending while it is being shown out: closing on unread bytes would
	// destroy the reply on its way.
	lingerFor   = time.Second
	lingerBytes = 1 << 20
)

// conn is the connection as go-smtp sees it: Read gives it one clean command at
// a time, Write takes its replies. In between conn bounds, rewrites and answers
// commands by itself, and reads messages past it (receive).
//
// The first error is sticky: after it nothing is read and nothing is written.
type conn struct {
	srv  *Server
	base net.Conn // as accepted
	free func()   // gives the slot back; called once

	// What follows belongs to the goroutine that works on the connection:
	// go-smtp's, and while a message is taken in the one that go-smtp
	// starts for it. They hand over by channels and never work both.
	in       *bufio.Reader
	rest     []byte           // of the command that go-smtp is reading
	out      []byte           // replies not yet sent
	partial  []byte           // the start of a reply line
	deadline func() time.Time // for the next read
	got      int64            // bytes read in all
	spent    int64            // bytes of commands since the last message
	skipped  int64            // bytes thrown away of overlong lines
	errors   int              // bad commands
	verb     string           // the command that go-smtp is working on
	greeted  bool             // LHLO was answered 250
	secure   bool             // STARTTLS was done
	linger   bool             // the client may still be sending
	given    mailCommand      // the last MAIL
	rcpt     string           // the last RCPT's address
	rcpts    int              // RCPTs handed to go-smtp
	xforward XForward

	mu       sync.Mutex // guards what follows
	stream   net.Conn   // base, or TLS over it
	open     bool       // a transaction is open
	draining bool
	forced   bool // draining, and an open transaction is no excuse
	gone     error
	closed   bool
}

func newConn(srv *Server, base net.Conn, free func()) *conn {
	c := &conn{srv: srv, base: base, stream: base, free: free}
	c.in = bufio.NewReaderSize(input{c}, maxCommandLine)
	return c
}

// input is conn as the reader below its buffer.
type input struct{ c *conn }

func (i input) Read(p []byte) (int, error) { return i.c.fill(p) }

// fill reads from the network. Before it may wait, it sends the replies.
func (c *conn) fill(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	stream, err := c.arm()
	if err != nil {
		return 0, err
	}
	n, err := stream.Read(p)
	c.got += int64(n)
	if n > 0 || err == nil {
		return n, nil // an error comes again at the next read
	}
	return 0, c.broken(err)
}

// arm sets the deadline of the next read, unless the client has to go. Under
// the lock, so that it cannot undo the past deadline that drain sets.
func (c *conn) arm() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone != nil {
		return nil, c.gone
	}
	if c.mayGo() {
		return c.stream, c.stream.SetReadDeadline(time.Unix(1, 0))
	}
	return c.stream, c.stream.SetReadDeadline(c.deadline())
}

// mayGo says whether the server drains and nothing holds the connection any
// more. mu is held.
func (c *conn) mayGo() bool { return c.draining && (!c.open || c.forced) }

// broken takes a failed read: the connection is over. What the library is told
// is net.ErrClosed, also for a plain EOF, so that no half of anything counts as
// whole and it says nothing to the client by itself.
func (c *conn) broken(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return c.fail(fmt.Errorf("%w: %w", net.ErrClosed, err))
	}
	if c.leaving() {
		return c.leave("421 4.3.2 %s is shutting down", c.srv.opt.Hostname)
	}
	_ = c.leave("421 4.4.2 %s waited too long", c.srv.opt.Hostname)
	return c.fail(errStalled)
}

// errStalled stands for a client that was too slow; it is a closed connection.
var errStalled = fmt.Errorf("%w: client too slow", net.ErrClosed)

// fail makes the first error stick, and gives the one that does.
func (c *conn) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone == nil || errors.Is(err, errStalled) {
		c.gone = err
	}
	return c.gone
}

func (c *conn) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

func (c *conn) leaving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mayGo()
}

// setOpen notes that a transaction began or ended. An open one may finish while
// the server drains.
func (c *conn) setOpen(open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = open
}

// drain makes the connection end with a 421: at once if it is idle, else after
// its transaction, or with force as soon as it waits for the client. Safe from
// any goroutine.
func (c *conn) drain(force bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining, c.forced = true, c.forced || force
	if c.mayGo() {
		_ = c.stream.SetReadDeadline(time.Unix(1, 0)) // fails only when it is closed already
	}
}

// abort closes the connection under whoever works on it. Safe from any goroutine.
func (c *conn) abort() { _ = c.base.Close() }

// say queues a reply line.
func (c *conn) say(format string, args ...any) {
	c.out = fmt.Appendf(c.out, format, args...)
	c.out = append(c.out, "\r\n"...)
}

// leave says the last words and ends the connection.
func (c *conn) leave(format string, args ...any) error {
	c.say(format, args...)
	if err := c.flush(); err != nil {
		return err
	}
	return c.fail(net.ErrClosed)
}

// flush sends the replies that wait.
func (c *conn) flush() error {
	c.mu.Lock()
	stream, gone := c.stream, c.gone
	c.mu.Unlock()
	if gone != nil {
		return gone
	}
	if len(c.out) == 0 {
		return nil
	}
	if err := stream.SetWriteDeadline(time.Now().Add(c.srv.opt.Timeout)); err != nil {
		return c.fail(fmt.Errorf("%w: %w", net.ErrClosed, err))
	}
	if _, err := stream.Write(c.out); err != nil {
		return c.fail(fmt.Errorf("%w: %w", net.ErrClosed, err))
	}
	c.out = c.out[:0]
	return nil
}

// Read gives go-smtp the next command that it has to see.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		line, ok, err := c.nextLine()
		if err != nil {
			return 0, err
		}
		if ok {
			c.rest = c.command(line)
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// nextLine reads one command line. Where it is none (ok is false), it was
// answered.
func (c *conn) nextLine() (line string, ok bool, err error) {
	if !pipelined(c.verb) || len(c.out) > maxReplies {
		if err := c.flush(); err != nil {
			return "", false, err
		}
	}
	if err := c.failed(); err != nil {
		return "", false, err
	}
	until := time.Now().Add(c.srv.opt.Timeout)
	c.deadline = func() time.Time { return until }

	raw, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", false, c.skipLine()
	}
	if err != nil {
		return "", false, err
	}
	if c.leaving() { // no new transaction begins, also if MAIL is here already
		return "", false, c.leave("421 4.3.2 %s is shutting down", c.srv.opt.Hostname)
	}
	c.spent += int64(len(raw))
	if c.spent > c.srv.maxCommandBytes() {
		c.linger = true
		return "", false, c.leave("421 4.7.0 Too many commands for one message")
	}
	return c.checkLine(string(raw))
}

// pipelined names the commands whose replies may wait while more commands lie
// in the buffer (RFC 2920, 3.2).
func pipelined(verb string) bool { return verb == "MAIL" || verb == "RCPT" || verb == "RSET" }

// checkLine takes CRLF off. Control characters, and lines that end in a bare
// LF, are no commands: who sends them may be made to say what a third party wants.
func (c *conn) checkLine(raw string) (string, bool, error) {
	line, ok := strings.CutSuffix(raw, "\r\n")
	if !ok {
		return "", false, c.bad("500 5.5.2 A command ends in CR LF")
	}
	for i := range len(line) {
		if line[i] < ' ' && line[i] != '\t' || line[i] == 0x7f {
			return "", false, c.bad("500 5.5.2 Control character in command")
		}
	}
	return line, true, nil
}

// skipLine throws away the rest of an overlong line.
func (c *conn) skipLine() error {
	for {
		raw, err := c.in.ReadSlice('\n')
		if err == nil {
			return c.bad("500 5.5.2 Line too long")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if c.skipped += int64(len(raw)); c.skipped > maxSkipped {
			c.linger = true
			return c.leave("421 4.7.0 Line too long")
		}
	}
}

// bad answers a command that is none, and shows the client out after too many.
func (c *conn) bad(reply string) error {
	c.verb = ""
	c.errors++
	c.say("%s", reply)
	if c.errors > maxErrors {
		c.linger = true
		return c.leave("421 4.7.0 Too many errors")
	}
	return nil
}

// Write takes replies of go-smtp. They go out before the next wait for input.
func (c *conn) Write(p []byte) (int, error) {
	c.partial = append(c.partial, p...)
	for {
		line, more, ok := strings.Cut(string(c.partial), "\r\n")
		if !ok {
			return len(p), nil
		}
		c.partial = append(c.partial[:0], more...)
		c.reply(line)
	}
}

// Close sends what is left to say, ends the connection and frees its slot.
func (c *conn) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return nil
	}
	_ = c.flush() // the client may be gone; it is being closed either way
	if c.linger {
		c.lingerClose()
	}
	_ = c.fail(net.ErrClosed)
	err := c.stream.Close()
	c.free()
	return err
}

// lingerClose waits for a client that is still sending to read its reply.
func (c *conn) lingerClose() {
	half, ok := c.base.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.base.SetReadDeadline(time.Now().Add(lingerFor)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.base, lingerBytes) // ends by itself, whatever comes
}

// LocalAddr and RemoteAddr are those of the network connection.
func (c *conn) LocalAddr() net.Addr  { return c.base.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.base.RemoteAddr() }

// The deadlines that go-smtp would set are conn's own business.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
