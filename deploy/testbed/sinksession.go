package testbed

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// errEnded ends a session: the connection is to be closed.
var errEnded = errors.New("session ended")

// sinkSession is one connection to a Sink, in one goroutine.
type sinkSession struct {
	sink   *Sink
	conn   net.Conn
	reader *bufio.Reader
	number int
	tls    bool
	user   string

	mail   bool // a transaction is open
	from   string
	params string
	to     []string
}

func newSinkSession(s *Sink, conn net.Conn, number int) *sinkSession {
	return &sinkSession{
		sink: s, conn: conn, reader: bufio.NewReader(conn), number: number, tls: s.options.ImplicitTLS,
	}
}

func (c *sinkSession) run() {
	if c.answer(AtConnect, "", "220 sink.test.example ready") != nil {
		return
	}
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil || c.command(strings.TrimRight(line, "\r\n")) != nil {
			return
		}
	}
}

// say sends a reply of one or more lines, separated by "\n".
func (c *sinkSession) say(reply string) error {
	_, err := io.WriteString(c.conn, strings.ReplaceAll(reply, "\n", "\r\n")+"\r\n")
	return err
}

// decide is what the rules make of a good reply: another one, or errEnded for a
// connection that is to be closed without any.
func (c *sinkSession) decide(at Stage, address, good string) (string, error) {
	rule, cleared, struck := c.sink.strike(at, address)
	switch {
	case !struck:
		return good, nil
	case rule.Stall:
		<-cleared
		return "", errEnded
	case rule.Drop:
		return "", errEnded
	}
	return rule.Reply, nil
}

func (c *sinkSession) answer(at Stage, address, good string) error {
	reply, err := c.decide(at, address, good)
	if err != nil {
		return err
	}
	return c.say(reply)
}

func (c *sinkSession) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "LHLO":
		c.reset()
		return c.answer(AtHello, "", c.hello(strings.EqualFold(verb, "LHLO")))
	case "HELO":
		c.reset()
		return c.answer(AtHello, "", "250 sink.test.example")
	case "STARTTLS":
		return c.startTLS()
	case "AUTH":
		return c.auth(rest)
	case "MAIL":
		return c.mailFrom(rest)
	case "RCPT":
		return c.rcptTo(rest)
	case "DATA":
		return c.data()
	case "RSET":
		c.reset()
		return c.say("250 2.0.0 done")
	case "NOOP", "XFORWARD":
		return c.say("250 2.0.0 done")
	case "QUIT":
		c.say("221 2.0.0 bye")
		return errEnded
	}
	return c.say("500 5.5.1 unknown command")
}

// hello lists the extensions. A client that mistakes the protocol is told.
func (c *sinkSession) hello(lhlo bool) string {
	if lhlo != c.sink.options.LMTP {
		return "500 5.5.1 the other protocol"
	}
	lines := append([]string{"sink.test.example"}, c.sink.options.Extensions...)
	if c.sink.options.TLS != nil && !c.tls {
		lines = append(lines, "STARTTLS")
	}
	if c.sink.options.User != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	last := len(lines) - 1
	for i := range lines {
		lines[i] = "250-" + lines[i]
	}
	lines[last] = strings.Replace(lines[last], "-", " ", 1)
	return strings.Join(lines, "\n")
}

func (c *sinkSession) startTLS() error {
	if c.sink.options.TLS == nil || c.tls {
		return c.say("502 5.5.1 not offered")
	}
	if err := c.say("220 2.0.0 go on"); err != nil {
		return err
	}
	// Whatever was sent ahead in the clear is dropped with the old reader (RFC 3207, 5).
	secured := tls.Server(c.conn, c.sink.options.TLS)
	if err := secured.Handshake(); err != nil {
		return err
	}
	c.conn, c.reader, c.tls = secured, bufio.NewReader(secured), true
	c.reset()
	return nil
}

// auth takes AUTH PLAIN with or without an initial response (RFC 4616).
func (c *sinkSession) auth(rest string) error {
	mechanism, response, _ := strings.Cut(rest, " ")
	if c.sink.options.User == "" || !strings.EqualFold(mechanism, "PLAIN") {
		return c.say("504 5.5.4 no such mechanism")
	}
	if response == "" {
		if err := c.say("334 "); err != nil {
			return err
		}
		line, err := c.reader.ReadString('\n')
		if err != nil {
			return err
		}
		response = strings.TrimRight(line, "\r\n")
	}
	plain, err := base64.StdEncoding.DecodeString(response)
	fields := strings.Split(string(plain), "\x00")
	if err != nil || len(fields) != 3 || fields[1] != c.sink.options.User || fields[2] != c.sink.options.Password {
		return c.say("535 5.7.8 no")
	}
	reply, err := c.decide(AtAuth, "", "235 2.7.0 welcome")
	if err != nil {
		return err
	}
	if strings.HasPrefix(reply, "2") {
		c.user = fields[1]
	}
	return c.say(reply)
}

func (c *sinkSession) mailFrom(rest string) error {
	address, params, ok := path(rest, "FROM:")
	switch {
	case !ok:
		return c.say("501 5.5.4 MAIL FROM:<address>")
	case c.mail:
		return c.say("503 5.5.1 one at a time")
	case c.sink.options.User != "" && c.user == "":
		return c.say("530 5.7.0 log in first")
	}
	reply, err := c.decide(AtMail, address, "250 2.1.0 ok")
	if err != nil {
		return err
	}
	if strings.HasPrefix(reply, "2") {
		c.mail, c.from, c.params = true, address, params
	}
	return c.say(reply)
}

func (c *sinkSession) rcptTo(rest string) error {
	address, _, ok := path(rest, "TO:")
	switch {
	case !ok:
		return c.say("501 5.5.4 RCPT TO:<address>")
	case !c.mail:
		return c.say("503 5.5.1 MAIL first")
	}
	reply, err := c.decide(AtRcpt, address, "250 2.1.5 ok")
	if err != nil {
		return err
	}
	if strings.HasPrefix(reply, "2") {
		c.to = append(c.to, address)
	}
	return c.say(reply)
}

// path takes the address out of "FROM:<a@b> PARAMS".
func path(rest, word string) (address, params string, ok bool) {
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return "", "", false
	}
	rest = strings.TrimLeft(rest[len(word):], " ")
	end := strings.LastIndexByte(rest, '>')
	if !strings.HasPrefix(rest, "<") || end < 0 {
		return "", "", false
	}
	return rest[1:end], strings.TrimSpace(rest[end+1:]), true
}

func (c *sinkSession) data() error {
	if len(c.to) == 0 {
		return c.say("503 5.5.1 RCPT first")
	}
	reply, err := c.decide(AtData, "", "354 go on")
	if err != nil {
		return err
	}
	if err := c.say(reply); err != nil || !strings.HasPrefix(reply, "354") {
		return err
	}
	text, err := readMessage(c.reader)
	if err != nil {
		return err
	}
	index := c.sink.keep(Message{
		From: c.from, To: c.to, MailParams: c.params, Data: text, At: time.Now(),
		Connection: c.number, TLS: c.tls, User: c.user,
	})
	err = c.afterDot(index)
	c.reset()
	return err
}

// afterDot replies once, or once for each recipient with LMTP. The message is refused if
// none of its recipients is taken.
func (c *sinkSession) afterDot(index int) error {
	rounds := [][]string{c.to}
	if c.sink.options.LMTP {
		rounds = slices.Collect(slices.Chunk(c.to, 1))
	}
	var replies []string
	verdict := ""
	for _, recipients := range rounds {
		rule, cleared, struck := c.sink.strike(AtDot, recipients...)
		if struck && (rule.Drop || rule.Stall) {
			c.sink.settle(index, "")
			if rule.Stall {
				<-cleared
			}
			return errEnded
		}
		reply := "250 2.0.0 taken"
		if struck {
			reply = rule.Reply
		}
		if verdict == "" || strings.HasPrefix(reply, "2") {
			verdict = reply
		}
		replies = append(replies, reply)
	}
	c.sink.settle(index, verdict)
	return c.say(strings.Join(replies, "\n"))
}

func (c *sinkSession) reset() {
	c.mail, c.from, c.params, c.to = false, "", "", nil
}

// readMessage reads up to <CRLF>.<CRLF>, and only that ends it (RFC 5321, 4.1.1.4).
func readMessage(r *bufio.Reader) ([]byte, error) {
	var text bytes.Buffer
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		ended := text.Len() == 0 || bytes.HasSuffix(text.Bytes(), []byte("\r\n"))
		if ended && string(line) == ".\r\n" {
			return text.Bytes(), nil
		}
		if ended && line[0] == '.' {
			line = line[1:]
		}
		text.Write(line)
	}
}
