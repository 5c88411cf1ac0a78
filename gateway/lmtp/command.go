package lmtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// mailCommand is what MAIL said.
type mailCommand struct {
	from     string
	size     int64
	body8Bit bool
	utf8     bool
}

// command answers a command here, or gives the line that go-smtp is to see.
// Addresses and parameters stay here: the library gets placeholders, so that
// its own parsing, which loses quotes and refuses what it does not know, has no
// say.
func (c *conn) command(line string) (forward []byte) {
	verb, arg, _ := strings.Cut(line, " ")
	c.verb, arg = strings.ToUpper(verb), strings.TrimSpace(arg)
	switch c.verb {
	case "LHLO", "EHLO", "HELO", "DATA":
		return c.plain(arg)
	case "NOOP", "RSET", "QUIT":
		return c.plain("")
	case "VRFY":
		c.say("252 2.5.0 Send mail and see")
	case "MAIL":
		return c.mail(arg)
	case "RCPT":
		return c.recipient(arg)
	case "XFORWARD":
		c.forwarded(arg)
	case "STARTTLS":
		c.startTLS(arg)
	case "BDAT":
		// Its chunk follows unasked, and is not to be read as commands.
		c.linger = true
		_ = c.leave("421 4.5.1 CHUNKING is not offered")
	case "HELP":
		c.say("214 2.0.0 RFC 2033, RFC 5321")
	case "AUTH", "EXPN", "ETRN", "TURN", "SEND", "SOML", "SAML":
		c.say("502 5.5.1 Not offered here")
	case "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI":
		c.linger = true
		_ = c.leave("421 4.7.0 This is a mail server")
	default:
		_ = c.bad("500 5.5.2 Command not known")
	}
	return nil
}

// plain hands a command to go-smtp.
func (c *conn) plain(arg string) []byte {
	if c.verb == "DATA" && !c.known() {
		return nil
	}
	if arg != "" {
		arg = " " + arg
	}
	return []byte(c.verb + arg + "\r\n")
}

// known makes sure that the client greeted. go-smtp does that as well, but does
// not forget the greeting at STARTTLS (RFC 3207, 4.2).
func (c *conn) known() bool {
	if !c.greeted {
		c.say("503 5.5.1 Greet first")
	}
	return c.greeted
}

func (c *conn) mail(arg string) []byte {
	if !c.known() {
		return nil
	}
	path, ok := cutPrefixFold(arg, "FROM:")
	from, params, valid := cutPath(path)
	if !ok || !valid {
		_ = c.bad("501 5.5.2 Expected MAIL FROM:<address>")
		return nil
	}
	c.given = mailCommand{from: from}
	if refusal := c.given.parse(params); refusal != "" {
		c.say("%s", refusal)
		return nil
	}
	return []byte("MAIL FROM:<>\r\n")
}

// parse reads the parameters that mean something here. All others (RET, ENVID,
// AUTH, ...) are let be: a refusal would bounce a mail that an MTA has taken.
func (m *mailCommand) parse(params string) (refusal string) {
	for _, word := range strings.Fields(params) {
		name, value, _ := strings.Cut(word, "=")
		switch strings.ToUpper(name) {
		case "SIZE":
			size, err := strconv.ParseUint(value, 10, 63)
			if err != nil && !allDigits(value) {
				return "501 5.5.4 SIZE is no number"
			}
			m.size = int64(size) // the largest number, if it was larger
		case "BODY":
			if strings.EqualFold(value, "BINARYMIME") {
				return "504 5.5.4 BINARYMIME is not offered"
			}
			m.body8Bit = !strings.EqualFold(value, "7BIT")
		case "SMTPUTF8":
			m.utf8 = true
		}
	}
	return ""
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (c *conn) recipient(arg string) []byte {
	if !c.known() {
		return nil
	}
	path, ok := cutPrefixFold(arg, "TO:")
	address, _, valid := cutPath(path)
	if !ok || !valid || address == "" {
		_ = c.bad("501 5.5.2 Expected RCPT TO:<address>")
		return nil
	}
	c.rcpt = address
	c.rcpts++
	return fmt.Appendf(nil, "RCPT TO:<%s%d>\r\n", placeholder, c.rcpts)
}

// placeholder and a number stand for a recipient in what go-smtp sees; each
// RCPT has its own, so that each has its own reply.
const placeholder = "r@"

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// forwarded is XFORWARD: valid between transactions, kept for the next one.
func (c *conn) forwarded(arg string) {
	if !c.known() {
		return
	}
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	switch {
	case open:
		c.say("503 5.5.1 XFORWARD comes before MAIL")
	case !c.xforward.parse(arg):
		c.say("501 5.5.4 Expected XFORWARD name=value")
	default:
		c.say("250 2.0.0 Ok")
	}
}

// startTLS goes over to TLS (RFC 3207). What was pipelined behind it in the
// clear could be anybody's, so it ends the connection.
func (c *conn) startTLS(arg string) {
	switch {
	case !c.offersTLS():
		c.say("502 5.5.1 TLS is not offered")
		return
	case arg != "":
		c.say("501 5.5.4 STARTTLS takes nothing")
		return
	case c.in.Buffered() > 0:
		c.linger = true
		_ = c.leave("421 4.7.0 Nothing may follow STARTTLS")
		return
	}
	c.say("220 2.0.0 Go ahead")
	if c.flush() != nil {
		return
	}
	secured := tls.Server(c.base, c.srv.opt.TLS)
	if err := c.base.SetDeadline(time.Now().Add(min(c.srv.opt.Timeout, 30*time.Second))); err != nil {
		_ = c.fail(net.ErrClosed)
		return
	}
	if err := secured.HandshakeContext(context.Background()); err != nil {
		c.srv.opt.Log.Info("TLS handshake failed", "remote", c.base.RemoteAddr(), "err", err)
		_ = c.fail(net.ErrClosed)
		return
	}
	c.mu.Lock()
	c.stream = secured
	c.mu.Unlock()
	c.secure, c.greeted = true, false
	c.xforward = XForward{}
}

func (c *conn) offersTLS() bool {
	return c.srv.opt.TLS != nil && !c.secure && c.base.LocalAddr().Network() != "unix"
}

// reply takes one line of go-smtp's replies and queues what the client is to see.
func (c *conn) reply(line string) {
	switch c.verb {
	case "LHLO", "EHLO", "HELO":
		line = c.helloReply(line)
	case "MAIL", "RCPT", "DATA":
		// Commands out of order are 503 (RFC 2033, 4.2; RFC 5321, 4.3.2).
		if after, ok := strings.CutPrefix(line, "502 "); ok {
			line = "503 " + after
		}
		line = c.constant(line)
	}
	if line != "" {
		c.say("%s", line)
	}
}

// constant puts our words for the library's, which repeat the placeholders.
func (c *conn) constant(line string) string {
	switch {
	case c.verb == "MAIL" && strings.HasPrefix(line, "250"):
		return "250 2.1.0 Ok"
	case c.verb == "RCPT" && strings.HasPrefix(line, "250"):
		return "250 2.1.5 Ok"
	case c.verb == "DATA" && c.srv.opt.Protocol == LMTP:
		before, after, found := strings.Cut(line, " <"+placeholder)
		if _, text, ok := strings.Cut(after, "> "); found && ok {
			return before + " " + text
		}
	}
	return line
}

// helloReply replaces the library's keywords, of which it offers some that are
// not wanted, by ours. Its lines but the last become "".
func (c *conn) helloReply(line string) string {
	if strings.HasPrefix(line, "250-") {
		return ""
	}
	if !strings.HasPrefix(line, "250 ") {
		return line
	}
	c.greeted = true
	if c.verb == "HELO" {
		return "250 " + c.srv.opt.Hostname
	}
	words := []string{
		c.srv.opt.Hostname, "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES",
		"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
		fmt.Sprintf("SIZE %d", c.srv.opt.MaxMessageBytes),
	}
	if c.offersTLS() {
		words = append(words, "STARTTLS")
	}
	last := len(words) - 1
	return "250-" + strings.Join(words[:last], "\r\n250-") + "\r\n250 " + words[last]
}
