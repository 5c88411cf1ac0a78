package lmtp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/google/uuid"
)

// Protocol is the dialect that a Server speaks.
type Protocol string

// The protocols. LMTP answers for each recipient after the data, SMTP once for
// all of them.
const (
	LMTP Protocol = "lmtp"
	SMTP Protocol = "smtp"
)

// Backend decides about mail. Its methods are called from many connections at
// once. An error becomes a reply by its store code and reason alone; its text
// goes to the log and nowhere else.
type Backend interface {
	// Recipient says whether mail to the address would be taken; asked at
	// RCPT. The address stands as typed: an address with one unquoted @, or
	// the lone word postmaster in any case.
	Recipient(ctx context.Context, address string) error

	// Deliver takes one whole message for all recipients of env and returns
	// one error for each of env.Recipients, in their order; nil means that
	// it is committed and synced. It is called once a transaction. ctx ends
	// after Options.DeliverTimeout, or when the server is stopped by force.
	// env and its Message must not be used after the return.
	Deliver(ctx context.Context, env *Envelope) []error
}

// Envelope is what a transaction said about a message.
type Envelope struct {
	ID         string   // delivery id (UUIDv7), stands in every log line
	Listener   string   // "lmtp" or "smtp"
	From       string   // reverse path as typed, "" for the null sender
	Recipients []string // distinct by exact text, as typed, in the order of their first RCPT
	Body8Bit   bool     // BODY=8BITMIME was said
	UTF8       bool     // SMTPUTF8 was said
	Hello      string   // the client's LHLO or EHLO name
	Remote     net.Addr
	XForward   XForward
	Message    *Spool
	ReceivedAt time.Time // when the last byte had arrived

	// MessageID is for Deliver to fill in, so that the log lines about the
	// recipients carry it.
	MessageID string
}

// Options say how a Server listens and what it bears. Zero values mean the
// default named beside the field.
type Options struct {
	Hostname string   // said in greeting and LHLO; the machine's
	Listen   []string // "host:port" or "unix:/path"; port 0 is allowed
	Protocol Protocol // LMTP

	// Listeners are open already, such as systemd hands in. The Server
	// closes them in Stop, and when Start fails.
	Listeners []net.Listener

	// Allow names the networks that may use a TCP listener beyond loopback.
	// Such a listener without Allow is an error of Start. Peers on loopback
	// and on unix sockets are always let in.
	Allow []netip.Prefix

	// TLS is offered by STARTTLS on TCP; nil means it is not.
	TLS *tls.Config

	MaxMessageBytes int64 // announced by SIZE, and a message of exactly that is taken; 50 MiB
	MaxRecipients   int   // of one transaction, repeated ones counted; 1000
	MaxConnections  int   // at once; more wait up to SlotWait; 1000

	Timeout        time.Duration // for one whole command, and for one write; 5 min
	DataTimeout    time.Duration // for one read within a message; Timeout, at most 3 min
	MessageTimeout time.Duration // for one message from 354 to its dot; 10 min
	MinRate        int64         // bytes a second that a message must come with after its first minute; 1024
	DeliverTimeout time.Duration // for Backend.Deliver; 100 s, under the 120 s that the MTA is told to wait
	SlotWait       time.Duration // for a free slot of MaxConnections, then 421; 10 s

	SpoolDir     string // for messages over 1 MiB; the system's
	MemoryBudget int64  // bytes of such messages in memory at once, by Spool.Bytes; 256 MiB

	Log     *slog.Logger // none: discarded
	Metrics Metrics

	Now   func() time.Time // of ReceivedAt; time.Now
	NewID func() string    // delivery ids; UUIDv7
}

// Metrics are hooks for counters; nil ones are not called. They are called from
// many goroutines at once. Every label is out of a closed set.
type Metrics struct {
	// Connections is told +1 and -1 as clients come and go.
	Connections func(delta int)
	// Refused counts clients turned away: "busy", "not_allowed", "draining".
	Refused func(reason string)
	// Aborted counts transfers without a proper end: "closed", "timeout".
	Aborted func(reason string)
	// Received is told of each message that came whole.
	Received func(took time.Duration, bytes int64)
	// Delivered counts the answer to each recipient: result is "ok",
	// "deferred" or "refused", code the reply code.
	Delivered func(result string, code int)
}

const (
	defaultMaxMessage     = 50 << 20
	defaultMaxRecipients  = 1000
	defaultMaxConnections = 1000
	defaultTimeout        = 5 * time.Minute
	defaultDataTimeout    = 3 * time.Minute
	defaultMessageTimeout = 10 * time.Minute
	defaultMinRate        = 1024
	defaultDeliverTimeout = 100 * time.Second
	defaultSlotWait       = 10 * time.Second
	defaultMemoryBudget   = 256 << 20
)

// withDefaults fills in what was left open.
func (o Options) withDefaults() Options {
	o.Protocol = or(o.Protocol, LMTP)
	o.MaxMessageBytes = or(o.MaxMessageBytes, defaultMaxMessage)
	o.MaxRecipients = or(o.MaxRecipients, defaultMaxRecipients)
	o.MaxConnections = or(o.MaxConnections, defaultMaxConnections)
	o.Timeout = or(o.Timeout, defaultTimeout)
	o.DataTimeout = or(o.DataTimeout, min(o.Timeout, defaultDataTimeout))
	o.MessageTimeout = or(o.MessageTimeout, defaultMessageTimeout)
	o.MinRate = or(o.MinRate, defaultMinRate)
	o.DeliverTimeout = or(o.DeliverTimeout, defaultDeliverTimeout)
	o.SlotWait = or(o.SlotWait, defaultSlotWait)
	o.MemoryBudget = or(o.MemoryBudget, defaultMemoryBudget)
	if o.Hostname == "" {
		o.Hostname = machineName()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	o.Metrics = o.Metrics.withDefaults()
	return o
}

// or gives value, or fallback where value is zero.
func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func machineName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

func (m Metrics) withDefaults() Metrics {
	if m.Connections == nil {
		m.Connections = func(int) {}
	}
	if m.Refused == nil {
		m.Refused = func(string) {}
	}
	if m.Aborted == nil {
		m.Aborted = func(string) {}
	}
	if m.Received == nil {
		m.Received = func(time.Duration, int64) {}
	}
	if m.Delivered == nil {
		m.Delivered = func(string, int) {}
	}
	return m
}
