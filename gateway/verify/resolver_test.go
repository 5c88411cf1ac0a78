package verify

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer is a real DNS server on loopback, over UDP and TCP on one port.
type nameServer struct {
	addr    string
	asked   atomic.Int64
	hang    chan struct{} // answers under hang.test. wait for it
	arrived chan struct{} // told of each question under hang.test.
	flaky   atomic.Int64  // how often flaky.test. still fails
}

// sharedPort listens on one port over UDP and TCP; a port that is free for one
// may be taken for the other.
func sharedPort(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", stream.Addr().String())
		if err == nil {
			return packets, stream
		}
		stream.Close()
	}
	t.Fatal("no port is free over UDP and TCP alike")
	return nil, nil
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{hang: make(chan struct{}), arrived: make(chan struct{}, 100)}
	packets, stream := sharedPort(t)
	s.addr = packets.LocalAddr().String()
	var up, down sync.WaitGroup
	t.Cleanup(down.Wait) // runs last
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: s}, {Listener: stream, Handler: s},
	} {
		up.Add(1)
		server.NotifyStartedFunc = up.Done
		down.Go(func() { _ = server.ActivateAndServe() })
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	up.Wait()
	// Runs first: whoever hangs is let go.
	t.Cleanup(func() { close(s.hang) })
	return s
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	s.asked.Add(1)
	reply := new(dns.Msg).SetReply(question)
	name := question.Question[0].Name
	txt := func(owner string, ttl uint32, parts ...string) {
		reply.Answer = append(reply.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: ttl}, Txt: parts,
		})
	}
	alias := func(owner, target string) {
		reply.Answer = append(reply.Answer, &dns.CNAME{
			Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: target,
		})
	}
	_, overUDP := w.LocalAddr().(*net.UDPAddr)
	switch name {
	case "two.test.":
		txt(name, 300, "one ", "string", `\"q\" \200`)
		txt(name, 60, "two")
	case "long.test.":
		if overUDP {
			reply.Truncated = true
			break
		}
		txt(name, 300, strings.Repeat("x", 250), strings.Repeat("y", 250))
	case "huge.test.":
		if overUDP {
			reply.Truncated = true
			break
		}
		txt(name, 300, repeat(strings.Repeat("x", 250), 17)...)
	case "chain.test.":
		alias(name, "Middle.test.")
		alias("middle.test.", "end.test.")
		txt("end.test.", 300, "at the end")
		txt("other.test.", 300, "of nobody's asking")
	case "loop.test.":
		alias(name, "loop.test.")
	case "empty.test.":
	case "servfail.test.":
		reply.Rcode = dns.RcodeServerFailure
	case "flaky.test.":
		if s.flaky.Add(-1) >= 0 {
			reply.Rcode = dns.RcodeServerFailure
			break
		}
		txt(name, 0, "at last")
	case "wrong.test.":
		reply.Question[0].Name = "right.test."
		txt("right.test.", 300, "poison")
	case "hang.test.":
		s.arrived <- struct{}{}
		<-s.hang
	default:
		reply.Rcode = dns.RcodeNameError
		reply.Ns = append(reply.Ns, &dns.SOA{
			Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 900},
			Ns:  "ns.test.", Mbox: "m.test.", Minttl: 30,
		})
	}
	_ = w.WriteMsg(reply)
}

func repeat(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func dnsError(t *testing.T, err error) *net.DNSError {
	t.Helper()
	failure, ok := errors.AsType[*net.DNSError](err)
	if !ok {
		t.Fatalf("error %v (%T) is no *net.DNSError", err, err)
	}
	return failure
}

func TestResolverAnswers(t *testing.T) {
	s := startNameServer(t)
	r := NewResolver(ResolverOptions{Server: s.addr})
	for name, want := range map[string]string{
		"two.test":    "one string\"q\" \xc8|two",
		"TWO.test.":   "one string\"q\" \xc8|two",
		"long.test":   strings.Repeat("x", 250) + strings.Repeat("y", 250),
		"chain.test.": "at the end",
	} {
		got, err := r.TXT(t.Context(), name)
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestResolverErrors(t *testing.T) {
	s := startNameServer(t)
	r := NewResolver(ResolverOptions{Server: s.addr, Timeout: 2 * time.Second})
	for name, want := range map[string]struct{ notFound, temporary bool }{
		"K07 nothing.test":                       {notFound: true},
		"empty.test":                             {notFound: true},
		"loop.test":                              {notFound: true},
		"huge.test":                              {},
		"K08 servfail.test":                      {temporary: true},
		"wrong.test":                             {temporary: true},
		"K10 a..test":                            {notFound: true},
		"K10 " + strings.Repeat("a", 64) + ".t":  {notFound: true},
		"K10 " + strings.Repeat("a.", 130) + "t": {notFound: true},
		"K10 nul\x00.test":                       {notFound: true},
		`K10 back\046slash.test`:                 {notFound: true},
		"K10 ümlaut.test":                        {notFound: true},
		"":                                       {notFound: true},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.asked.Load()
			_, err := r.TXT(t.Context(), strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "K07 "), "K08 "), "K10 "))
			failure := dnsError(t, err)
			if failure.IsNotFound != want.notFound || failure.IsTemporary != want.temporary {
				t.Errorf("%+v, want %+v", failure, want)
			}
			if strings.HasPrefix(name, "K10") && s.asked.Load() != before {
				t.Error("a name that is none was asked for")
			}
		})
	}
}

func TestResolverExists(t *testing.T) {
	s := startNameServer(t)
	r := NewResolver(ResolverOptions{Server: s.addr, Timeout: time.Second})
	for name, want := range map[string]bool{"two.test": true, "empty.test": true, "nothing.test": false} {
		if got, err := r.Exists(t.Context(), name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := r.Exists(t.Context(), "servfail.test"); !dnsError(t, err).IsTemporary {
		t.Errorf("servfail: %v", err)
	}
}

func TestResolverCache(t *testing.T) {
	s := startNameServer(t)
	c := &clock{now: noon}
	var seen sync.Map
	r := NewResolver(ResolverOptions{Server: s.addr, Now: c.Now, Observe: func(kind, result string) {
		seen.Store(kind+" "+result, true)
	}})
	asks := func(name string, want int64) {
		t.Helper()
		before := s.asked.Load()
		_, _ = r.TXT(t.Context(), name)
		if got := s.asked.Load() - before; got != want {
			t.Errorf("%s: %d questions, want %d", name, got, want)
		}
	}
	asks("two.test", 1)
	asks("two.test", 0)
	c.add(59 * time.Second)
	asks("two.test", 0)
	c.add(2 * time.Second) // the lower of the two TTLs is 60 s
	asks("two.test", 1)

	asks("nothing.test", 1)
	c.add(29 * time.Second)
	asks("nothing.test", 0)
	c.add(2 * time.Second)
	asks("nothing.test", 1)

	// Trouble is never kept: asked again at once, as often as a question tries.
	asks("servfail.test", maxRounds)
	asks("servfail.test", maxRounds)

	// A TTL of 0 counts as a second; one lost answer is made up for.
	s.flaky.Store(1)
	asks("flaky.test", 2)
	asks("flaky.test", 0)
	for _, word := range []string{"query ok", "cache ok", "query not_found", "cache not_found", "query temporary"} {
		if _, ok := seen.Load(word); !ok {
			t.Errorf("Observe was never told %q", word)
		}
	}
}

func TestResolverLast(t *testing.T) {
	s := startNameServer(t)
	c := &clock{now: noon}
	r := NewResolver(ResolverOptions{Server: s.addr, Now: c.Now})
	if _, known := r.Last("two.test"); known {
		t.Error("remembers what it never asked")
	}
	_, _ = r.TXT(t.Context(), "two.test")
	_, _ = r.TXT(t.Context(), "nothing.test")
	c.add(23 * time.Hour)
	if got, known := r.Last("TWO.test."); !known || len(got) != 2 {
		t.Errorf("%q, %v", got, known)
	}
	if got, known := r.Last("nothing.test"); !known || len(got) != 0 {
		t.Errorf("%q, %v", got, known)
	}
	c.add(2 * time.Hour)
	if _, known := r.Last("two.test"); known {
		t.Error("remembers longer than a day")
	}
}

func TestResolverHang(t *testing.T) {
	s := startNameServer(t)
	t.Run("K08 its own limit", func(t *testing.T) {
		r := NewResolver(ResolverOptions{Server: s.addr, Timeout: 50 * time.Millisecond})
		_, err := r.TXT(t.Context(), "hang.test")
		if failure := dnsError(t, err); !failure.IsTemporary || !failure.IsTimeout {
			t.Errorf("%+v", failure)
		}
	})
	t.Run("K08 the caller's limit", func(t *testing.T) {
		r := NewResolver(ResolverOptions{Server: s.addr, Timeout: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := r.TXT(ctx, "hang.test") // by itself it would wait a minute
		if failure := dnsError(t, err); !failure.IsTemporary || ctx.Err() == nil {
			t.Errorf("%+v", failure)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		r := NewResolver(ResolverOptions{Server: "127.0.0.1:1", Timeout: time.Second})
		if _, err := r.TXT(t.Context(), "two.test"); !dnsError(t, err).IsTemporary {
			t.Error(err)
		}
	})
}

// One question is on the wire however many wait for it, and it goes on while
// one of them still does.
func TestResolverSingleFlight(t *testing.T) {
	s := startNameServer(t)
	r := NewResolver(ResolverOptions{Server: s.addr, Timeout: time.Minute})
	impatient, cancel := context.WithCancel(t.Context())
	patient, cancelAll := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for i := range 20 {
		ctx := patient
		if i%2 == 0 {
			ctx = impatient
		}
		wait.Go(func() { _, _ = r.TXT(ctx, "hang.test") })
	}
	<-s.arrived
	waiters := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		if f := r.flights["hang.test"]; f != nil {
			return f.waiters
		}
		return 0
	}
	await(t, func() bool { return waiters() == 20 })
	cancel()
	await(t, func() bool { return waiters() == 10 })
	if got := s.asked.Load(); got != 1 {
		t.Errorf("%d questions", got)
	}
	cancelAll()
	wait.Wait()
	if waiters() != 0 {
		t.Error("the flight goes on without anybody waiting")
	}
}

// await polls a condition that another goroutine brings about.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it never came about")
		}
	}
}

func TestResolverTriesServersInTurn(t *testing.T) {
	s := startNameServer(t)
	x := exchanger{servers: []string{"127.0.0.1:1", s.addr}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if a := x.ask(ctx, "two.test"); a.err != nil {
		t.Error(a.err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(3)
	for _, key := range []string{"a", "b", "c", "a", "d", "a", "e"} {
		if _, ok := c.get(key); !ok {
			c.put(key, answer{records: []string{key}})
		}
	}
	if _, ok := c.get("a"); !ok {
		t.Error("the one used most went")
	}
	if _, ok := c.get("b"); ok || c.order.Len() != 3 || len(c.byKey) != 3 {
		t.Error("the oldest stayed")
	}
	c = newCache(1 << 30)
	for i := range 5000 {
		c.put(strings.Repeat("k", i%200)+sha(string(rune(i))), answer{records: []string{strings.Repeat("x", maxRecord)}})
	}
	if c.bytes > maxCacheBytes || c.order.Len() < 100 {
		t.Errorf("%d bytes in %d answers", c.bytes, c.order.Len())
	}
}
