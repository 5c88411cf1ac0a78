// Package verify tells who wrote a mail: it checks DKIM signatures (RFC 6376) and
// the ARC chains of trusted sealers (RFC 8617), looks DMARC policies up
// (RFC 9989), reads the Authentication-Results of trusted servers (RFC 8601), and
// sums it up in one verdict. DNS goes through its own caching resolver.
//
// Signatures are checked by code of this package, not by go-msgauth, which signs
// for us and is the oracle of the tests: it compares i= and d= by case, takes
// "b=" inside other tags for the signature's value, judges x= by the wall clock
// where a later look-up must judge by the hour of receipt, and hashes the body
// anew, through copies of it, for each signature.
package verify

import (
	"context"
	"runtime"
	"strings"
	"time"

	"ticketgate/threading/message"
)

// Lookup is what verifying needs of the DNS; Resolver is one. Its errors are
// *net.DNSError; any other error counts as temporary.
type Lookup interface {
	// TXT returns the TXT records of an absolute name.
	TXT(ctx context.Context, name string) ([]string, error)
	// Exists tells whether the name exists, with whatever records.
	Exists(ctx context.Context, name string) (bool, error)
	// Last returns what TXT last found, without asking anybody.
	Last(name string) (records []string, known bool)
}

// Options set up a Verifier. Resolver is required.
type Options struct {
	Hostname        string           // our authserv-id
	TrustedAuthserv []string         // authserv-ids whose results are believed
	TrustedSealers  []string         // host names whose ARC seals are believed
	Resolver        Lookup           // where keys and policies are looked up
	Now             func() time.Time // default time.Now
	Budget          time.Duration    // for one mail, DNS and waiting included; default 10 s
	MaxSignatures   int              // checked per mail; default 5
	MaxReplays      int              // envelope recipients that one signature may come to; default 10
	Workers         int              // mails whose signatures are computed at once; default one a processor
}

// Verifier verifies mails. It is safe for concurrent use, starts nothing that
// outlives a call, and has nothing to close.
type Verifier struct {
	opt     Options
	trusted []string
	sealers []string
	replays *replays
	cpu     chan struct{} // a slot for each mail whose signatures are computed
}

// New makes a Verifier.
func New(opt Options) *Verifier {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Budget <= 0 {
		opt.Budget = 10 * time.Second
	}
	opt.MaxSignatures = orDefault(opt.MaxSignatures, 5)
	v := &Verifier{opt: opt, replays: newReplays(orDefault(opt.MaxReplays, 10)), cpu: make(chan struct{}, orDefault(opt.Workers, runtime.GOMAXPROCS(0)))}
	for _, id := range opt.TrustedAuthserv {
		v.trusted = append(v.trusted, serverKey(strings.TrimSpace(id)))
	}
	for _, name := range opt.TrustedSealers {
		if key, ok := hostName(strings.TrimSpace(name)); ok {
			v.sealers = append(v.sealers, key)
		}
	}
	return v
}

// Request is one mail to be judged. Raw and Message are required, and belong
// together; Verify changes neither.
type Request struct {
	Raw     []byte
	Message *message.Message
	// Known tells whether an address, by its key, is an agent's or an account's.
	// nil: none is.
	Known func(address string) bool
	// Ours tells whether mail to an address, by its key, comes to an account of
	// ours: also one with an extension. nil: none does.
	Ours func(address string) bool
	// Recipients are the envelope's, as typed.
	Recipients []string
	// Received is when the mail came: signatures are held against that time, so
	// that a mail looked up again later has not expired meanwhile. Zero: now.
	Received time.Time
	// Explain tells that the mail is only asked about: it doesn't count as one
	// that came to its recipients.
	Explain bool
}

// Verify tells who wrote a mail. It keeps to the budget and to ctx: what could
// not be done in time is a temporary error of that part. It never fails.
//
// A signature that comes to more than MaxReplays recipients is refused as replayed
// (RFC 6376, 8.6) unless it covers a To or Cc with an address of ours. For that
// each Verifier remembers whom the signatures seen last came to; the same mail
// looked at again for the same recipients changes nothing. The memory is this
// process's: each node counts for itself, and a restart forgets.
func (v *Verifier) Verify(ctx context.Context, r Request) Auth {
	ctx, cancel := context.WithTimeout(ctx, v.opt.Budget)
	defer cancel()
	if r.Received.IsZero() {
		r.Received = v.opt.Now()
	}
	m := cut(r.Raw)
	f := facts{author: author(&m, r.Message), known: anyKnown(r.Message, r.Known)}
	f.repeated = m.repeated() || len(r.Message.Duplicated) > 0

	walk := &walker{ask: func(name string) ([]string, error) { return v.opt.Resolver.TXT(ctx, name) }}
	if f.claimed = f.author; f.claimed == "" {
		f.claimed = claimed(r.Message)
	}
	wait := v.startPolicy(ctx, walk, f.claimed)
	if m.excess != "" {
		f.checks = []check{tooLarge(m.excess)}
	} else {
		body := bodyHasher{body: m.body}
		f.checks = v.checkSignatures(ctx, &m, &body, f.author, r.Received)
		f.sealed = v.checkChain(ctx, &m, &body, f.author, r.Received)
		f.trusted = readTrusted(&m, f.author, v.trusted)
	}
	f.policy = wait()
	f.narrow(walk)
	v.refuseReplayed(&f, r)
	return f.decide()
}

func tooLarge(reason string) check {
	var c check
	c.Result, c.Reason = resultPolicy, reason
	return c
}

// author is the host name of the one mailbox in the one From field, or "". The
// field is counted in both readings of the header, ours and the tolerant one.
func author(c *mail, m *message.Message) string {
	a, ok := m.Author()
	if !ok || c.excess == "" && len(c.byName["from"]) != 1 {
		return ""
	}
	name, ok := hostName(a.Domain)
	if !ok {
		return ""
	}
	return name
}

// claimed is the host name that a From claims which is no single mailbox: of the
// first address in the lowest field. Nothing aligns with it, but its domain may
// refuse such mail.
func claimed(m *message.Message) string {
	for _, a := range m.From {
		if name, ok := hostName(a.Domain); ok && a.Valid() {
			return name
		}
	}
	return ""
}

// anyKnown tells whether one of the addresses in any From field is known.
func anyKnown(m *message.Message, known func(string) bool) bool {
	if known == nil {
		return false
	}
	check := func(list []message.Address) bool {
		for _, a := range list {
			if key := a.Key(); key != "" && known(key) {
				return true
			}
		}
		return false
	}
	if check(m.From) {
		return true
	}
	if m.Header.Count("From") > 1 {
		for _, value := range m.Header.Values("From") {
			if check(message.ParseAddressList(value)) {
				return true
			}
		}
	}
	return false
}

// startPolicy looks the policy up beside the keys; the function that it returns
// waits for it.
func (v *Verifier) startPolicy(ctx context.Context, w *walker, domain string) func() policy {
	if domain == "" {
		return func() policy { return policy{} }
	}
	found := make(chan policy, 1)
	go func() { found <- findPolicy(ctx, w, v.opt.Resolver, domain) }()
	return func() policy { return <-found }
}

// checkSignatures looks the keys up, outside the pool, and then computes inside
// it.
func (v *Verifier) checkSignatures(ctx context.Context, m *mail, body *bodyHasher, author string, received time.Time) []check {
	signatures := signaturesOf(m, author, v.opt.MaxSignatures)
	if len(signatures) == 0 {
		return nil
	}
	screen(signatures, m, received)
	keys := fetchKeys(ctx, v.opt.Resolver, signatures)
	if v.begin(ctx, keys) {
		defer v.end()
	}
	c := checker{mail: m, body: body}
	checks := make([]check, 0, len(signatures))
	for i := range signatures {
		checks = append(checks, c.check(ctx, &signatures[i], &keys[i]))
	}
	return checks
}

// begin waits for a slot of the pool, which end gives back. Where time runs out
// before there is one, no key is left to compute with.
func (v *Verifier) begin(ctx context.Context, keys []keyed) bool {
	select {
	case v.cpu <- struct{}{}:
		return true
	case <-ctx.Done():
	}
	for i := range keys {
		if keys[i].refused.result == "" {
			keys[i].refused = outOfTime()
		}
	}
	return false
}

func (v *Verifier) end() { <-v.cpu }
