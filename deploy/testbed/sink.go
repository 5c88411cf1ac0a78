package testbed

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// SinkOptions says what kind of server a Sink is. The zero value is a plain SMTP server
// that takes everything.
type SinkOptions struct {
	// LMTP speaks LMTP (RFC 2033): LHLO, and a reply for each recipient after the dot.
	LMTP bool
	// Socket is the path of a unix socket to listen on, open to every user; empty: TCP on
	// 127.0.0.1.
	Socket string
	// TLS offers STARTTLS with this configuration; with ImplicitTLS the connection begins
	// with TLS instead.
	TLS         *tls.Config
	ImplicitTLS bool
	// User and Password, if set, are demanded (AUTH PLAIN) before MAIL.
	User, Password string
	// Extensions are the EHLO keywords besides STARTTLS and AUTH. nil: PIPELINING,
	// 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES and SIZE; XFORWARD too with LMTP.
	Extensions []string
}

// Stage is a point of an SMTP session at which a Rule can strike.
type Stage string

// The stages, in their order.
const (
	AtConnect Stage = "connect" // in place of the greeting
	AtHello   Stage = "hello"   // EHLO, HELO, LHLO
	AtAuth    Stage = "auth"
	AtMail    Stage = "mail"
	AtRcpt    Stage = "rcpt"
	AtData    Stage = "data" // in place of the 354
	AtDot     Stage = "dot"  // after the complete message; with LMTP for each recipient
)

// Rule is one misbehaviour of a Sink. Exactly one of Reply, Drop and Stall is set.
type Rule struct {
	At      Stage
	Address string // at mail: this sender only; at rcpt: this recipient; at dot: with it; empty: any
	Times   int    // how often it strikes; 0: until Clear
	Reply   string // sent in place of the good reply: "451 4.3.0 later"
	Drop    bool   // the connection is closed without a reply
	Stall   bool   // no reply until Clear or Stop; then the connection is closed
}

// Message is one complete message: it was read up to its final dot.
type Message struct {
	From       string
	To         []string // the recipients that were taken, in order
	MailParams string   // what stood after the address of MAIL: "BODY=8BITMIME SIZE=77"
	Data       []byte   // as sent, with CRLF, dots unstuffed
	At         time.Time
	Reply      string // what the client was told after the dot; empty if nothing (Drop, Stall)
	Connection int    // 1 for the first connection to this Sink, and so on
	TLS        bool
	User       string // who was logged in
}

// Refused tells that the client knows that this message was not taken (by anybody, with
// LMTP); all others are messages that a real server would have carried on.
func (m Message) Refused() bool {
	return m.Reply != "" && !strings.HasPrefix(m.Reply, "2")
}

// Sink is an SMTP or LMTP server that keeps what it gets, and misbehaves as told. It is
// written from the protocol alone, and shares no code with the client under test. Its
// methods may be called from several goroutines at once, except for Stop, Start and Wait
// (the test's own).
type Sink struct {
	tb      testing.TB
	options SinkOptions
	port    int

	mu          sync.Mutex
	listener    net.Listener // guarded by mu, like the following; nil while stopped
	open        map[net.Conn]struct{}
	rules       []*Rule
	cleared     chan struct{} // closed by Clear and Stop, so that stalled sessions end
	messages    []Message
	arrived     chan struct{} // closed and made anew at each message
	connections int

	sessions sync.WaitGroup
}

// SMTPSink starts a Sink that ends with the test.
func SMTPSink(tb testing.TB, options SinkOptions) *Sink {
	tb.Helper()
	if options.Extensions == nil {
		options.Extensions = []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 52428800"}
		if options.LMTP {
			options.Extensions = append(options.Extensions, "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
		}
	}
	s := &Sink{
		tb: tb, options: options, open: make(map[net.Conn]struct{}),
		arrived: make(chan struct{}),
	}
	var err error
	for range 20 {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.listen(); err == nil {
			break
		}
	}
	if err != nil {
		tb.Fatalf("sink: %v", err)
	}
	tb.Cleanup(s.Stop)
	return s
}

func (s *Sink) listen() error {
	var l net.Listener
	var err error
	if s.options.Socket == "" {
		l, err = net.Listen("tcp", loopback(s.port))
	} else if l, err = net.Listen("unix", s.options.Socket); err == nil {
		err = os.Chmod(s.options.Socket, 0o666)
	}
	if err != nil {
		return err
	}
	if s.options.ImplicitTLS {
		l = tls.NewListener(l, s.options.TLS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	s.cleared = make(chan struct{})
	s.sessions.Add(1)
	go s.accept(l)
	return nil
}

func (s *Sink) accept(l net.Listener) {
	defer s.sessions.Done()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.listener != l { // stopped in the meantime
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.connections++
		session := newSinkSession(s, conn, s.connections)
		s.open[conn] = struct{}{}
		s.sessions.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.sessions.Done()
			session.run()
			conn.Close()
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
		}()
	}
}

// Addr is its host:port, or the path of its socket. It stays the same over Stop and Start.
func (s *Sink) Addr() string {
	if s.options.Socket != "" {
		return s.options.Socket
	}
	return loopback(s.port)
}

// Stop closes the listener and every connection, and returns when all sessions have
// ended. A stopped Sink keeps its messages and rules. Stopping it twice does nothing.
func (s *Sink) Stop() {
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
		// It stays closed until Start: a session may be about to stall.
		close(s.cleared)
	}
	for conn := range s.open {
		conn.Close()
	}
	s.mu.Unlock()
	s.sessions.Wait()
}

// Start listens again at the same address.
func (s *Sink) Start() {
	s.tb.Helper()
	if err := s.listen(); err != nil {
		s.tb.Fatalf("sink: start: %v", err)
	}
}

// Script adds rules; at each stage the earliest one that fits strikes. It panics if a rule
// does nothing, or two things.
func (s *Sink) Script(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rule := range rules {
		deeds := []bool{rule.Reply != "", rule.Drop, rule.Stall}
		if len(slices.DeleteFunc(deeds, func(does bool) bool { return !does })) != 1 {
			panic(fmt.Sprintf("testbed: a rule needs one of Reply, Drop and Stall: %+v", rule))
		}
		s.rules = append(s.rules, &rule)
	}
}

// Clear removes all rules, and ends the sessions that stall.
func (s *Sink) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	if s.listener != nil {
		close(s.cleared)
		s.cleared = make(chan struct{})
	}
}

// strike uses up and returns the rule that fits one of the addresses, with the channel
// that ends its stall.
func (s *Sink) strike(at Stage, addresses ...string) (Rule, <-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, rule := range s.rules {
		fits := func(address string) bool { return strings.EqualFold(rule.Address, address) }
		if rule.At != at || (rule.Address != "" && !slices.ContainsFunc(addresses, fits)) {
			continue
		}
		if rule.Times > 0 {
			if rule.Times--; rule.Times == 0 {
				s.rules = slices.Delete(s.rules, i, i+1)
			}
		}
		return *rule, s.cleared, true
	}
	return Rule{}, nil, false
}

// keep records a message and returns its index, for settle.
func (s *Sink) keep(m Message) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	return len(s.messages) - 1
}

// settle notes what the client is told, before it is told, and wakes those who wait.
func (s *Sink) settle(index int, reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages[index].Reply = reply
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// Complete is every message that was read up to its dot, refused or not, in order.
func (s *Sink) Complete() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Messages is every message that a real server would have carried on: the complete ones
// but those that were refused after the dot. A client that was dropped after the dot and
// sends again shows here as two.
func (s *Sink) Messages() []Message {
	return slices.DeleteFunc(s.Complete(), Message.Refused)
}

// Connections is the number of connections so far.
func (s *Sink) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Wait returns Messages once there are n of them at least, and ends the test by Fatal
// when they don't come in time. A message counts from before its reply is sent.
func (s *Sink) Wait(n int, timeout time.Duration) []Message {
	s.tb.Helper()
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		s.mu.Lock()
		arrived := s.arrived
		s.mu.Unlock()
		messages := s.Messages()
		if len(messages) >= n {
			return messages
		}
		select {
		case <-arrived:
		case <-late.C:
			s.tb.Fatalf("sink: %d messages after %v, not %d", len(messages), timeout, n)
		}
	}
}
