package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"ticketgate/gateway/lmtp"
	"ticketgate/gateway/verify"
	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

// intake is what the listeners ask: it takes a mail from its bytes to the
// commit. It is safe for concurrent use.
type intake struct {
	hostname string
	desk     *threading.Service
	verifier *verify.Verifier
	parsing  chan struct{} // a slot for each mail that is parsed: it is all computing
	metrics  *metrics
	log      *slog.Logger
}

// newCommandIntake is an intake for a command, which counts and logs nothing.
func newCommandIntake(c *Core) *intake {
	return newIntake(c.Config.Hostname, c.Threading, newVerifier(c, nil), newMetrics(""), slog.New(slog.DiscardHandler))
}

// newVerifier makes one as it is configured; now nil is the wall clock.
func newVerifier(c *Core, now func() time.Time) *verify.Verifier {
	return verify.New(verify.Options{
		Hostname: c.Config.Hostname, TrustedAuthserv: c.Config.LMTP.TrustedAuthserv,
		TrustedSealers: c.Config.TrustedSealers, Resolver: c.Resolver, Now: now,
	})
}

func newIntake(hostname string, desk *threading.Service, verifier *verify.Verifier, m *metrics, log *slog.Logger) *intake {
	return &intake{
		hostname: hostname, desk: desk, verifier: verifier, metrics: m, log: log,
		parsing: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

var _ lmtp.Backend = (*intake)(nil)

// Recipient says whether mail to the address would be taken.
func (in *intake) Recipient(ctx context.Context, address string) error {
	return in.desk.Recipient(ctx, address)
}

// Deliver files a mail for each recipient. Whatever is wrong with the mail
// itself, it is kept; an error is trouble of ours, or a policy of the desk.
func (in *intake) Deliver(ctx context.Context, env *lmtp.Envelope) []error {
	results, err := in.deliver(ctx, env)
	errs := make([]error, len(env.Recipients))
	for i := range errs {
		switch {
		case err != nil:
			errs[i] = err
		case i < len(results):
			errs[i] = results[i].Err
		default:
			errs[i] = store.Errorf(store.CodeInternal, "no result for a recipient")
		}
	}
	return errs
}

func (in *intake) deliver(ctx context.Context, env *lmtp.Envelope) (results []threading.Result, err error) {
	log := in.log.With("delivery_id", env.ID, "queue_id", env.XForward.Ident)
	defer func() {
		if fault := recover(); fault != nil {
			log.Error("filing a mail panicked", "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
			results, err = nil, store.Errorf(store.CodeInternal, "panic")
		}
	}()
	raw, err := env.Message.Bytes()
	if err != nil {
		return nil, err
	}
	in.metrics.size.Observe(float64(len(raw)))
	mail, err := in.read(ctx, verify.Request{Raw: raw, Recipients: env.Recipients}, log)
	if err != nil {
		return nil, err
	}
	env.MessageID = mail.Message.MessageID
	log = log.With("message_id", env.MessageID)
	mail.From, mail.Recipients = env.From, env.Recipients
	mail.OneReply = env.Listener == FaceSMTP
	mail.DeliveryID, mail.QueueID, mail.ReceivedAt = env.ID, env.XForward.Ident, env.ReceivedAt
	mail.Trace = trace(in.hostname, env, mail.auth)

	results = in.take(ctx, mail, log)
	for i, r := range results {
		if r.Err != nil {
			log.Warn("mail not filed", "recipient", env.Recipients[i], "err", r.Err)
			continue
		}
		in.metrics.signal(string(r.MatchedBy))
		in.metrics.outcomes.WithLabelValues(string(r.Outcome)).Inc()
		log.Info("mail filed", "recipient", env.Recipients[i], "outcome", r.Outcome, "ticket", r.Ticket,
			"activity", r.ActivityID, "verdict", mail.Auth.Verdict, "matched_by", r.MatchedBy)
	}
	return results, nil
}

// readMail is a mail that was parsed and judged.
type readMail struct {
	threading.Incoming
	auth verify.Auth
}

// read parses and verifies the request's bytes; it fills in the rest of it.
func (in *intake) read(ctx context.Context, r verify.Request, log *slog.Logger) (*readMail, error) {
	select {
	case in.parsing <- struct{}{}:
	case <-ctx.Done():
		return nil, &store.Error{Code: store.CodeUnavailable, Message: "too busy to read the mail", Err: ctx.Err()}
	}
	start := time.Now()
	r.Message = parse(r.Raw, log)
	<-in.parsing
	in.metrics.took(stageParse, time.Since(start))

	start = time.Now()
	auth := in.verify(ctx, r, log)
	in.metrics.took(stageVerify, time.Since(start))
	in.metrics.judged(auth.Auth)
	return &readMail{auth: auth, Incoming: threading.Incoming{
		Raw: r.Raw, Message: r.Message, Auth: auth.Auth,
		AlignedDKIM: auth.AlignedPass, PolicyKnownNone: auth.PolicyKnownNone, Trusts: auth.Trusts,
	}}, nil
}

// unreadable is the reason of the quarantine for a mail that our own code fails
// on: it is kept, and the next mail is served.
const unreadable = "unreadable"

// parse is message.Parse, which never fails, with a net below it all the same.
func parse(raw []byte, log *slog.Logger) (m *message.Message) {
	defer func() {
		if fault := recover(); fault != nil {
			log.Error("reading a mail panicked, it goes to the quarantine", "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
			m = &message.Message{Excess: unreadable}
		}
	}()
	return message.Parse(raw)
}

func (in *intake) verify(ctx context.Context, r verify.Request, log *slog.Logger) (a verify.Auth) {
	defer func() {
		if fault := recover(); fault != nil {
			log.Error("verifying a mail panicked", "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
			a = verify.Auth{Auth: store.Auth{Verdict: store.Failed}}
		}
	}()
	r.Known = func(key string) bool { return in.desk.Known(ctx, key) }
	r.Ours = func(address string) bool { return in.desk.Recipient(ctx, address) == nil }
	return in.verifier.Verify(ctx, r)
}

// take files the mail. One that our own code fails on is tried once more as
// bytes alone, so that it waits in the quarantine and not in the MTA for ever.
func (in *intake) take(ctx context.Context, mail *readMail, log *slog.Logger) []threading.Result {
	start := time.Now()
	results := in.desk.Take(ctx, mail.Incoming)
	in.metrics.took(stageMatch, time.Since(start))
	for _, r := range results {
		if store.CodeOf(r.Err) == store.CodeInternal && mail.Message.Excess == "" {
			log.Error("filing a mail failed for a fault of ours, it is tried as bytes alone", "err", r.Err)
			mail.Message = &message.Message{Excess: unreadable}
			return in.desk.Take(ctx, mail.Incoming)
		}
	}
	return results
}

// judged counts what was found out about a mail.
func (m *metrics) judged(a store.Auth) {
	if len(a.DKIM) == 0 {
		m.dkim.WithLabelValues("none").Inc()
	}
	for _, d := range a.DKIM {
		m.dkim.WithLabelValues(closed(dkimResults, d.Result)).Inc()
	}
	m.verdicts.WithLabelValues(string(a.Verdict)).Inc()
}
