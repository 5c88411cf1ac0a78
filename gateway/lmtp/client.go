package lmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
)

// Reply is the server's last word about one recipient.
type Reply struct {
	Recipient string
	Code      int    // 250 means that the message is stored for the recipient
	Text      string // of the reply, without its code and with its enhanced code
}

// OK says whether the recipient has the message.
func (r Reply) OK() bool { return r.Code/100 == 2 }

// Send gives the message in r to the LMTP server at addr ("host:port" or
// "unix:/path") and returns a reply for each of to, in order. Line ends are made
// CRLF. An error means that the transaction did not come to its replies; the end
// of ctx is one. A message that r fails to give whole is not sent.
func Send(ctx context.Context, addr, from string, to []string, r io.Reader) ([]Reply, error) {
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	}
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	c := client{text: textproto.NewConn(nc)}
	defer func() { _ = c.text.Close() }()
	replies, err := c.send(from, to, r)
	return replies, errors.Join(ctx.Err(), err)
}

type client struct{ text *textproto.Conn }

func (c client) send(from string, to []string, r io.Reader) ([]Reply, error) {
	if err := c.begin(from, to); err != nil {
		return nil, err
	}
	replies := make([]Reply, len(to))
	accepted := 0
	for i, address := range to {
		code, text, err := c.command("RCPT TO:<%s>", address)
		if err != nil {
			return nil, err
		}
		replies[i] = Reply{address, code, text}
		if replies[i].OK() {
			accepted++
		}
	}
	if accepted > 0 {
		if err := c.data(replies, r); err != nil {
			return nil, err
		}
	}
	_, _, _ = c.command("QUIT") // the replies are in: what follows changes nothing
	return replies, nil
}

// begin greets and opens the transaction.
func (c client) begin(from string, to []string) error {
	if _, _, err := c.text.ReadResponse(220); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	if err := c.expect(250, "LHLO %s", name); err != nil {
		return err
	}
	utf8Said := ""
	if !isASCII(from) || slices.ContainsFunc(to, func(s string) bool { return !isASCII(s) }) {
		utf8Said = " SMTPUTF8"
	}
	return c.expect(250, "MAIL FROM:<%s> BODY=8BITMIME%s", from, utf8Said)
}

// data sends the message and reads a reply for each accepted recipient. When r
// fails the connection is left without the final dot, and nothing is delivered.
func (c client) data(replies []Reply, r io.Reader) error {
	if err := c.expect(354, "DATA"); err != nil {
		return err
	}
	w := c.text.DotWriter()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	for i := range replies {
		if !replies[i].OK() {
			continue
		}
		code, text, err := c.read()
		if err != nil {
			return fmt.Errorf("reply for %s: %w", replies[i].Recipient, err)
		}
		replies[i].Code, replies[i].Text = code, text
	}
	return nil
}

// command sends a line and reads its reply, whatever it is.
func (c client) command(format string, args ...any) (int, string, error) {
	line := fmt.Sprintf(format, args...)
	if strings.ContainsAny(line, "\r\n") {
		return 0, "", errors.New("an address holds a line break")
	}
	if err := c.text.PrintfLine("%s", line); err != nil {
		return 0, "", fmt.Errorf("send %.4s: %w", line, err)
	}
	code, text, err := c.read()
	if err != nil {
		return 0, "", fmt.Errorf("reply to %.4s: %w", line, err)
	}
	return code, text, nil
}

func (c client) read() (int, string, error) {
	code, text, err := c.text.ReadResponse(0)
	if refusal, ok := errors.AsType[*textproto.Error](err); ok {
		return refusal.Code, refusal.Msg, nil
	}
	return code, text, err
}

// expect is command where any other code is an error.
func (c client) expect(want int, format string, args ...any) error {
	code, text, err := c.command(format, args...)
	if err != nil {
		return err
	}
	if code != want {
		return fmt.Errorf("%.4s was answered %d %s", format, code, text)
	}
	return nil
}
