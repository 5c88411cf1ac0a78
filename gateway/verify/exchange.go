package verify

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// ednsSize is the UDP payload that passes every path unfragmented (the
	// figure that DNS Flag Day 2020 settled on).
	ednsSize  = 1232
	maxChain  = 8 // CNAMEs that are followed inside an answer
	maxRounds = 2 // times that each server is asked: one datagram may get lost
)

// exchanger asks recursive servers, one after the other.
type exchanger struct {
	servers []string // host:port
}

// serversFor gives the servers to ask: the one named, or the system's.
func serversFor(server string) []string {
	if server != "" {
		return []string{server}
	}
	conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil || len(conf.Servers) == 0 {
		return []string{"127.0.0.1:53"}
	}
	var servers []string
	for _, s := range conf.Servers {
		servers = append(servers, net.JoinHostPort(s, conf.Port))
	}
	return servers
}

// ask tries each server in turn, twice around, until one gives a definite
// answer or ctx ends. Each try gets its even share of the time that is left.
func (x exchanger) ask(ctx context.Context, name string) answer {
	tries := maxRounds * len(x.servers)
	last := gaveUp(name, ctx.Err())
	for i := range tries {
		if ctx.Err() != nil {
			break
		}
		last = x.try(ctx, name, x.servers[i%len(x.servers)], tries-i)
		if last.err == nil || !last.err.IsTemporary {
			break
		}
	}
	return last
}

func (x exchanger) try(ctx context.Context, name, server string, triesLeft int) answer {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(triesLeft))
		defer cancel()
	}
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), dns.TypeTXT)
	question.SetEdns0(ednsSize, false)

	reply, err := exchange(ctx, "udp", question, server)
	if err == nil && reply.Truncated {
		reply, err = exchange(ctx, "tcp", question, server)
	}
	switch {
	case err != nil && (ctx.Err() != nil || isTimeout(err)):
		return gaveUp(name, context.DeadlineExceeded)
	case err != nil:
		return answer{err: temporary(name, "the name server cannot be reached")}
	case !answers(reply, question):
		return answer{err: temporary(name, "the reply is to another question")}
	}
	return read(name, reply)
}

func isTimeout(err error) bool {
	failure, ok := errors.AsType[net.Error](err)
	return ok && failure.Timeout()
}

func exchange(ctx context.Context, network string, question *dns.Msg, server string) (*dns.Msg, error) {
	client := dns.Client{Net: network, UDPSize: ednsSize, Timeout: time.Minute} // ctx is the limit
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A question that is called back must end a read that already waits.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	reply, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	return reply, err
}

// answers tells that reply repeats the question (RFC 5452, 9.1).
func answers(reply, question *dns.Msg) bool {
	return reply.Response && len(reply.Question) == 1 &&
		reply.Question[0].Qtype == question.Question[0].Qtype &&
		strings.EqualFold(reply.Question[0].Name, question.Question[0].Name)
}

// read turns a reply into an answer. A recursive server follows CNAMEs, so a
// chain that leads to no TXT record means that there is none.
func read(name string, reply *dns.Msg) answer {
	switch reply.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return answer{nxdomain: true, err: notFound(name, "no such host"), ttl: negativeTTL(reply)}
	default:
		return answer{err: temporary(name, "the name server says "+dns.RcodeToString[reply.Rcode])}
	}
	records, ttl := collect(reply.Answer, dns.Fqdn(name))
	if len(records) == 0 {
		return answer{err: notFound(name, "no TXT record"), ttl: negativeTTL(reply)}
	}
	for _, record := range records {
		if len(record) > maxRecord {
			return answer{err: &net.DNSError{Err: "TXT record over 4 KiB", Name: name}, ttl: ttl}
		}
	}
	return answer{records: records, ttl: ttl}
}

// collect gathers the TXT records of owner, following CNAMEs, and the lowest
// TTL among what it used.
func collect(section []dns.RR, owner string) (records []string, ttl time.Duration) {
	ttl = maxTTL
	for range maxChain {
		next := ""
		for _, rr := range section {
			if !strings.EqualFold(rr.Header().Name, owner) {
				continue
			}
			switch rr := rr.(type) {
			case *dns.TXT:
				records = append(records, unescapeTXT(rr.Txt))
				ttl = min(ttl, clampTTL(rr.Hdr.Ttl, maxTTL))
			case *dns.CNAME:
				next = rr.Target
				ttl = min(ttl, clampTTL(rr.Hdr.Ttl, maxTTL))
			}
		}
		if len(records) > 0 || next == "" {
			break
		}
		owner = next
	}
	return records, ttl
}

// unescapeTXT joins a record's strings into the octets that were on the wire;
// the library hands them over in presentation form, with \" and \DDD.
func unescapeTXT(parts []string) string {
	s := strings.Join(parts, "")
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if i+3 < len(s) && isDigits(s[i+1:i+4]) {
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+(s[i+3]-'0'))
			i += 3
			continue
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func clampTTL(seconds uint32, most time.Duration) time.Duration {
	return min(max(time.Duration(seconds)*time.Second, minTTL), most)
}

// negativeTTL is how long "not there" holds (RFC 2308, 5); without an SOA it
// holds for a short while only.
func negativeTTL(reply *dns.Msg) time.Duration {
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return clampTTL(min(soa.Minttl, soa.Hdr.Ttl), maxNegativeTTL)
		}
	}
	return 10 * time.Second
}
