package lmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"ticketgate/store"
)

// recipientTimeout bounds the question that RCPT asks of the Backend.
const recipientTimeout = 30 * time.Second

// session collects a transaction and hands it to the Backend. go-smtp calls it
// from one goroutine at a time. What the library passes in are placeholders;
// sender, recipients and parameters come from conn, as they were typed.
type session struct {
	srv  *Server
	conn *conn
	lib  *smtp.Conn
	tx   transaction
}

type transaction struct {
	open  bool
	mail  mailCommand
	id    string
	rcpts []recipient
	names []string // distinct addresses, in the order of their first RCPT
}

// recipient is one accepted RCPT.
type recipient struct {
	given string // what go-smtp knows it by
	name  int    // its place in names
}

// outcome is the answer to one address.
type outcome struct {
	refusal *smtp.SMTPError // nil: taken
	err     error           // the cause, for the log
}

var _ smtp.LMTPSession = (*session)(nil)

// Mail begins a transaction.
func (s *session) Mail(string, *smtp.MailOptions) error {
	mail := s.conn.given
	switch {
	case s.tx.open:
		return &replyNestedMail
	case mail.size > s.srv.opt.MaxMessageBytes:
		return &replyTooLarge
	}
	if refusal := checkReversePath(mail.from, mail.utf8); refusal != nil {
		return refusal
	}
	s.tx = transaction{open: true, mail: mail, id: s.srv.opt.NewID()}
	s.conn.setOpen(true)
	return nil
}

// Rcpt adds a recipient, or the same once more.
func (s *session) Rcpt(given string, _ *smtp.RcptOptions) error {
	address := s.conn.rcpt
	if len(s.tx.rcpts) >= s.srv.opt.MaxRecipients {
		return &replyTooManyRcpts
	}
	if refusal := checkForwardPath(address, s.tx.mail.utf8); refusal != nil {
		return refusal
	}
	name := s.tx.index(address)
	if name < 0 {
		if err := s.askRecipient(address); err != nil {
			refusal := replyFor(err, s.srv.opt.Protocol, atRecipient)
			s.logRecipient(address, outcome{refusal, err}, 0, slog.String("stage", "rcpt"))
			return refusal
		}
		name = len(s.tx.names)
		s.tx.names = append(s.tx.names, address)
	}
	s.tx.rcpts = append(s.tx.rcpts, recipient{given: given, name: name})
	return nil
}

// index finds an address that this transaction has already, or gives -1.
func (t *transaction) index(address string) int {
	for i, name := range t.names {
		if name == address {
			return i
		}
	}
	return -1
}

func (s *session) askRecipient(address string) (err error) {
	defer s.rescue(func() { err = errPanicked })
	ctx, cancel := context.WithTimeout(s.srv.base, recipientTimeout)
	defer cancel()
	return s.srv.backend.Recipient(ctx, address)
}

// errPanicked and errNoAnswer stand in where the Backend gave no answer.
var (
	errPanicked = store.Errorf(store.CodeInternal, "the backend panicked")
	errNoAnswer = store.Errorf(store.CodeInternal, "the backend gave no answer for the recipient")
)

// rescue keeps a panic of the Backend from ending the daemon.
func (s *session) rescue(note func()) {
	if p := recover(); p != nil {
		s.srv.opt.Log.Error("panic in delivery", "delivery_id", s.tx.id,
			"queue_id", s.conn.xforward.Ident, "panic", p, "stack", string(debug.Stack()))
		note()
	}
}

// LMTPData takes the message and answers each RCPT, in order (RFC 2033, 4.2).
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	outcomes, err := s.take(r)
	if err != nil {
		return &replyTrouble // nobody hears it: the connection is over
	}
	for _, rcpt := range s.tx.rcpts {
		reply := s.reply(outcomes[rcpt.name].refusal)
		reply.Message = "<" + s.tx.names[rcpt.name] + "> " + reply.Message
		status.SetStatus(rcpt.given, reply)
	}
	return &replyTrouble // for a recipient without status, of which there is none
}

// Data takes the message and answers once (RFC 5321, 4.1.1.4).
func (s *session) Data(r io.Reader) error {
	outcomes, err := s.take(r)
	if err != nil {
		return &replyTrouble
	}
	refusals := make([]*smtp.SMTPError, len(outcomes))
	for i, o := range outcomes {
		refusals[i] = o.refusal
	}
	return s.reply(oneReply(refusals))
}

// reply makes a copy of refusal, or the good answer. That one names the
// delivery, so that the MTA's log leads to ours.
func (s *session) reply(refusal *smtp.SMTPError) *smtp.SMTPError {
	if refusal != nil {
		copied := *refusal
		return &copied
	}
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "Stored as " + s.tx.id}
}

// take receives the message and has it delivered: one outcome for each of
// tx.names, or an error when the transfer had no proper end.
func (s *session) take(r io.Reader) ([]outcome, error) {
	started := time.Now()
	ctx, cancel := context.WithCancel(s.srv.base)
	defer cancel()
	spool := s.srv.spools.spool(ctx, s.tx.mail.size)
	defer spool.Close()
	if err := s.conn.receive(spool); err != nil {
		s.logAborted(err, spool.Size())
		return nil, err
	}
	// go-smtp sees the end before anything is answered, so that it reads
	// nothing more while it writes.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	s.srv.opt.Metrics.Received(time.Since(started), spool.Size())

	timed, cancelTimed := context.WithTimeout(ctx, s.srv.opt.DeliverTimeout)
	defer cancelTimed()
	spool.ctx = timed
	env := s.envelope(spool)
	outcomes := s.deliver(timed, env)
	for i, o := range outcomes {
		s.logRecipient(s.tx.names[i], o, spool.Size(),
			slog.String("message_id", env.MessageID), slog.Duration("duration", time.Since(started)))
	}
	return outcomes, nil
}

func (s *session) envelope(spool *Spool) *Envelope {
	return &Envelope{
		ID:         s.tx.id,
		Listener:   string(s.srv.opt.Protocol),
		From:       s.tx.mail.from,
		Recipients: append([]string(nil), s.tx.names...),
		Body8Bit:   s.tx.mail.body8Bit,
		UTF8:       s.tx.mail.utf8,
		Hello:      helloName(s.lib.Hostname()),
		Remote:     s.conn.RemoteAddr(),
		XForward:   s.conn.xforward,
		Message:    spool,
		ReceivedAt: s.srv.opt.Now(),
	}
}

// helloName makes what a client calls itself fit for a header field and a log.
func helloName(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), maxDomain)], "?")
}

// deliver asks the Backend, unless the message could not even be kept, and
// makes sure that each recipient has an outcome.
func (s *session) deliver(ctx context.Context, env *Envelope) []outcome {
	outcomes := make([]outcome, len(s.tx.names))
	var errs []error
	if failed := env.Message.failed; failed == nil {
		errs = s.askDelivery(ctx, env)
	} else {
		errs = repeat(failed, len(outcomes))
	}
	for i := range outcomes {
		err := error(errNoAnswer)
		if i < len(errs) {
			err = errs[i]
		}
		outcomes[i] = outcome{replyFor(err, s.srv.opt.Protocol, atDelivery), err}
	}
	return outcomes
}

func (s *session) askDelivery(ctx context.Context, env *Envelope) (errs []error) {
	defer s.rescue(func() { errs = repeat(errPanicked, len(s.tx.names)) })
	return s.srv.backend.Deliver(ctx, env)
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// Reset ends the transaction, whatever became of it.
func (s *session) Reset() {
	s.tx = transaction{}
	s.conn.xforward = XForward{}
	s.conn.setOpen(false)
}

// Logout has nothing to free: conn goes by itself.
func (s *session) Logout() error { return nil }

// logRecipient writes the line about one recipient and counts it.
func (s *session) logRecipient(address string, o outcome, size int64, more ...slog.Attr) {
	reply, result, level := s.reply(o.refusal), "ok", slog.LevelInfo
	switch {
	case reply.Code >= 500:
		result = "refused"
	case reply.Code >= 400:
		result, level = "deferred", slog.LevelWarn
	}
	s.srv.opt.Metrics.Delivered(result, reply.Code)
	e := reply.EnhancedCode
	attrs := append(s.identity(), slog.String("to", address), slog.String("result", result),
		slog.Int("code", reply.Code), slog.String("enhanced", fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])),
		slog.Int64("size", size))
	attrs = append(attrs, more...)
	if o.err != nil {
		attrs = append(attrs, slog.String("err", o.err.Error()))
	}
	s.srv.opt.Log.LogAttrs(s.srv.base, level, "delivery", attrs...)
}

// identity are the fields that lead from a log line to its message.
func (s *session) identity() []slog.Attr {
	return []slog.Attr{
		slog.String("delivery_id", s.tx.id),
		slog.String("queue_id", s.conn.xforward.Ident),
		slog.String("listener", string(s.srv.opt.Protocol)),
		slog.String("remote", s.conn.RemoteAddr().String()),
		slog.String("from", s.tx.mail.from),
	}
}

func (s *session) logAborted(err error, size int64) {
	reason := "closed"
	if errors.Is(err, errStalled) {
		reason = "timeout"
	}
	s.srv.opt.Metrics.Aborted(reason)
	attrs := append(s.identity(), slog.String("reason", reason), slog.Int64("size", size), slog.String("err", err.Error()))
	s.srv.opt.Log.LogAttrs(s.srv.base, slog.LevelWarn, "transfer broke off", attrs...)
}
