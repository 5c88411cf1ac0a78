package verify

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

// Bounds of the resolver.
const (
	maxRecord      = 4 << 10         // octets of one TXT record; a longer one is refused
	maxTTL         = time.Hour       // a key that is taken back stops counting after this at the latest
	maxNegativeTTL = 5 * time.Minute // a key that is published late is seen after this
	minTTL         = time.Second
	keepKnown      = 24 * time.Hour // how old an answer Last may give
)

// ResolverOptions set up a Resolver. The zero value asks the system's servers.
type ResolverOptions struct {
	// Server is the recursive server to ask, host:port. "" asks the servers of
	// /etc/resolv.conf, and the one on this host where that names none.
	Server string
	// Timeout bounds one question with all its attempts. Default 5 s.
	Timeout time.Duration
	// Now is the clock of the cache. Default time.Now.
	Now func() time.Time
	// CacheSize bounds how many answers are kept. Default 4096.
	CacheSize int
	// Inflight bounds how many questions are on the wire at once. Default 128.
	Inflight int
	// Observe is told of each question: "cache" or "query", and "ok",
	// "not_found", "refused" or "temporary". It must be safe for concurrent use.
	Observe func(kind, result string)
}

// Resolver looks up TXT records. It caches, asks for a name once however many
// callers wait for it, and is bounded in time, size and sockets. It is safe for
// concurrent use and has nothing to close: a question ends with its callers.
type Resolver struct {
	wire    exchanger
	timeout time.Duration
	now     func() time.Time
	observe func(kind, result string)
	slots   chan struct{}

	mu      sync.Mutex
	cache   *cache             // guarded by mu
	flights map[string]*flight // guarded by mu
}

// flight is one question on its way. Its answer may be read once done is
// closed; waiters is guarded by the resolver's mu.
type flight struct {
	done    chan struct{}
	answer  answer
	waiters int
	cancel  context.CancelFunc
}

// NewResolver makes a Resolver; it asks nothing yet.
func NewResolver(opt ResolverOptions) *Resolver {
	r := &Resolver{
		timeout: opt.Timeout,
		now:     opt.Now,
		observe: opt.Observe,
		flights: map[string]*flight{},
	}
	if r.timeout <= 0 {
		r.timeout = 5 * time.Second
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.observe == nil {
		r.observe = func(string, string) {}
	}
	r.cache = newCache(orDefault(opt.CacheSize, 4096))
	r.slots = make(chan struct{}, orDefault(opt.Inflight, 128))
	r.wire = exchanger{servers: serversFor(opt.Server)}
	return r
}

func orDefault(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}

// TXT returns the TXT records of an absolute name (a final dot changes nothing;
// no search list is applied), each with its strings joined. Its errors are
// *net.DNSError: IsNotFound when the name or the type doesn't exist,
// IsTemporary when the servers failed or time ran out, and neither when a
// record is over 4 KiB.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	a := r.lookup(ctx, name)
	return a.records, a.failure()
}

// Exists tells whether the name exists in the DNS at all, with records of
// whatever type (RFC 8020). Errors are temporary ones.
func (r *Resolver) Exists(ctx context.Context, name string) (bool, error) {
	a := r.lookup(ctx, name)
	if a.err != nil && a.err.IsTemporary {
		return false, a.err
	}
	return !a.nxdomain, nil
}

// Last returns what TXT last found for the name (its records, or none for a
// name that isn't there), up to 24 h after it stopped being valid, without
// asking anybody; known is false when there is no memory of it.
func (r *Resolver) Last(name string) (records []string, known bool) {
	key, err := queryName(name)
	if err != nil {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.cache.get(key)
	if !ok || r.now().Sub(a.expires) > keepKnown {
		return nil, false
	}
	return a.records, true
}

// lookup answers from the cache, else joins or begins the flight for the name.
func (r *Resolver) lookup(ctx context.Context, name string) answer {
	key, bad := queryName(name)
	if bad != nil {
		return answer{nxdomain: true, err: bad}
	}
	if ctx.Err() != nil {
		return gaveUp(key, ctx.Err())
	}
	r.mu.Lock()
	if a, ok := r.cache.get(key); ok && r.now().Before(a.expires) {
		r.mu.Unlock()
		r.observe("cache", a.word())
		return a
	}
	f := r.join(key)
	r.mu.Unlock()

	select {
	case <-f.done:
		return f.answer
	case <-ctx.Done():
		r.leave(key, f)
		return gaveUp(key, ctx.Err())
	}
}

// join must be called with mu held.
func (r *Resolver) join(key string) *flight {
	if f, ok := r.flights[key]; ok {
		f.waiters++
		return f
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	f := &flight{done: make(chan struct{}), waiters: 1, cancel: cancel}
	r.flights[key] = f
	go r.fly(ctx, key, f)
	return f
}

// leave takes one waiter off; the last one to go calls the question back.
func (r *Resolver) leave(key string, f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	f.cancel()
	if r.flights[key] == f {
		delete(r.flights, key)
	}
}

// fly asks, keeps a definite answer, and lands the flight. Temporary trouble is
// not kept: the next caller asks again.
func (r *Resolver) fly(ctx context.Context, key string, f *flight) {
	defer f.cancel()
	f.answer = r.ask(ctx, key)
	r.observe("query", f.answer.word())

	r.mu.Lock()
	defer r.mu.Unlock()
	if f.answer.err == nil || !f.answer.err.IsTemporary {
		f.answer.expires = r.now().Add(f.answer.ttl)
		r.cache.put(key, f.answer)
	}
	if r.flights[key] == f {
		delete(r.flights, key)
	}
	close(f.done)
}

func (r *Resolver) ask(ctx context.Context, key string) answer {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return gaveUp(key, ctx.Err())
	}
	return r.wire.ask(ctx, key)
}

// answer is what is known about the TXT records of one name.
type answer struct {
	records  []string
	nxdomain bool          // the name itself doesn't exist
	err      *net.DNSError // nil for records
	ttl      time.Duration
	expires  time.Time
}

// failure is err as an error that is nil when there is none.
func (a answer) failure() error {
	if a.err == nil {
		return nil
	}
	return a.err
}

// word is the answer as a metric's label.
func (a answer) word() string {
	switch {
	case a.err == nil:
		return "ok"
	case a.err.IsTemporary:
		return "temporary"
	case a.err.IsNotFound:
		return "not_found"
	}
	return "refused"
}

// size is about how much memory the answer takes.
func (a answer) size() int {
	n := 200
	for _, s := range a.records {
		n += len(s) + 16
	}
	return n
}

func notFound(name, text string) *net.DNSError {
	return &net.DNSError{Err: text, Name: name, IsNotFound: true}
}

func temporary(name, text string) *net.DNSError {
	return &net.DNSError{Err: text, Name: name, IsTemporary: true}
}

func gaveUp(name string, cause error) answer {
	err := temporary(name, "no answer in time")
	err.IsTimeout = errors.Is(cause, context.DeadlineExceeded)
	return answer{err: err}
}

// queryName makes name the form that is asked and cached: lower case, without
// the final dot. What is no host name of RFC 1035 lengths (underscores are
// taken) is refused before anything is sent, so that no odd character of a mail
// is ever read as syntax further on.
func queryName(name string) (string, *net.DNSError) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !isHostName(name) {
		return "", notFound("", "not a host name")
	}
	return name, nil
}

// isHostName tells a lower-case name of labels of 1 to 63 letters, digits,
// hyphens and underscores, at most 253 octets in all.
func isHostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
