package testbed

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// DNSServer is an authoritative server for whatever names it was given, over UDP and TCP.
// Its methods may be called from several goroutines at once. Names are given with or
// without the last dot, in any case.
type DNSServer struct {
	port    int
	servers []*dns.Server

	mu      sync.Mutex
	zone    map[dnsKey][]string // guarded by mu, like the following
	modes   map[string]dnsMode
	queries map[string]int
}

type dnsKey struct {
	name string // fully qualified, lower case
	kind uint16
}

type dnsMode int

const (
	dnsAnswers dnsMode = iota
	dnsFails
	dnsHangs
	dnsTruncates
)

// dnsTTL is the life of every answer, in seconds; negative ones too (RFC 2308).
const dnsTTL = 60

// DNS starts a server that ends with the test. The zone's keys are a name, a space and a
// type; its values are written as in a zone file, except that a TXT value is the plain
// text, of any length:
//
//	testbed.DNS(t, map[string][]string{
//		"s1._domainkey.example.org TXT": {"v=DKIM1; p=MIIB..."},
//		"example.org MX":                {"10 mx.example.org."},
//		"mx.example.org A":              {"192.0.2.1"},
//	})
//
// A name that has no record of any type does not exist (NXDOMAIN).
func DNS(tb testing.TB, zone map[string][]string) *DNSServer {
	tb.Helper()
	s := &DNSServer{
		zone: make(map[dnsKey][]string), modes: make(map[string]dnsMode), queries: make(map[string]int),
	}
	for key, values := range zone {
		name, kind, _ := strings.Cut(key, " ")
		if err := s.put(name, kind, values); err != nil {
			tb.Fatalf("dns: %v", err)
		}
	}
	if err := s.listen(); err != nil {
		tb.Fatalf("dns: %v", err)
	}
	tb.Cleanup(func() {
		for _, server := range s.servers {
			if err := server.Shutdown(); err != nil {
				tb.Errorf("dns: %v", err)
			}
		}
	})
	return s
}

// listen takes one port for both protocols.
func (s *DNSServer) listen() error {
	var err error
	for range 20 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", loopback(s.port)); err != nil {
			continue
		}
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", loopback(s.port)); err != nil {
			udp.Close()
			continue
		}
		s.serve(&dns.Server{PacketConn: udp})
		s.serve(&dns.Server{Listener: tcp})
		return nil
	}
	return err
}

// serve returns once the server runs, since Shutdown refuses one that does not.
func (s *DNSServer) serve(server *dns.Server) {
	running := make(chan struct{})
	server.NotifyStartedFunc = func() { close(running) }
	server.Handler = dns.HandlerFunc(s.handle)
	s.servers = append(s.servers, server)
	go server.ActivateAndServe()
	<-running
}

// Addr is its host:port, the same for UDP and TCP.
func (s *DNSServer) Addr() string { return loopback(s.port) }

// Set replaces the records of a name and type. No values: the name exists, without such
// a record. It panics if a value can't be read.
func (s *DNSServer) Set(name, kind string, values ...string) {
	if err := s.put(name, kind, values); err != nil {
		panic("testbed: dns: " + err.Error())
	}
}

func (s *DNSServer) put(name, kind string, values []string) error {
	key := dnsKey{canonical(name), dns.StringToType[strings.ToUpper(kind)]}
	if key.kind == 0 {
		return fmt.Errorf("%s: no such type: %q", name, kind)
	}
	for _, value := range values {
		if _, err := record(key, value); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[key] = append([]string(nil), values...)
	return nil
}

// Delete removes the records of a name and type.
func (s *DNSServer) Delete(name, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.zone, dnsKey{canonical(name), dns.StringToType[strings.ToUpper(kind)]})
}

// Fail answers SERVFAIL for a name, or for all names if it is "*".
func (s *DNSServer) Fail(name string) { s.setMode(name, dnsFails) }

// Hang gives no answer for a name, or for all names if it is "*".
func (s *DNSServer) Hang(name string) { s.setMode(name, dnsHangs) }

// Truncate answers for a name ("*": for all) that the answer does not fit into UDP; TCP
// has it whole.
func (s *DNSServer) Truncate(name string) { s.setMode(name, dnsTruncates) }

// Restore ends Fail, Hang or Truncate of that name ("*" ends only what was said of "*").
func (s *DNSServer) Restore(name string) { s.setMode(name, dnsAnswers) }

func (s *DNSServer) setMode(name string, mode dnsMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.modes[canonical(name)] = mode
}

// Queries is the number of questions for a name so far, of all types; "*" counts all.
func (s *DNSServer) Queries(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[canonical(name)]
}

// TXT is all TXT records by their name without the last dot, for VerifyDKIM. Of several
// at one name it has the first.
func (s *DNSServer) TXT() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := make(map[string]string)
	for key, values := range s.zone {
		if key.kind == dns.TypeTXT && len(values) > 0 {
			texts[strings.TrimSuffix(key.name, ".")] = values[0]
		}
	}
	return texts
}

func canonical(name string) string { return dns.CanonicalName(name) }

// record makes a resource record. The strings of a TXT hold 255 octets each (RFC 1035,
// 3.3), so a longer text is spread over several.
func record(key dnsKey, value string) (dns.RR, error) {
	header := dns.RR_Header{Name: key.name, Rrtype: key.kind, Class: dns.ClassINET, Ttl: dnsTTL}
	if key.kind != dns.TypeTXT {
		return dns.NewRR(fmt.Sprintf("%s %d IN %s %s", key.name, dnsTTL, dns.TypeToString[key.kind], value))
	}
	text := &dns.TXT{Hdr: header}
	for len(value) > 255 {
		text.Txt = append(text.Txt, escaped(value[:255]))
		value = value[255:]
	}
	text.Txt = append(text.Txt, escaped(value))
	return text, nil
}

// escaped is a text in the form that the library keeps, where a backslash begins an escape.
func escaped(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

func (s *DNSServer) handle(w dns.ResponseWriter, request *dns.Msg) {
	if len(request.Question) != 1 {
		return
	}
	question := request.Question[0]
	name := canonical(question.Name)
	_, overUDP := w.RemoteAddr().(*net.UDPAddr)

	mode, zone := s.look(name)
	reply := new(dns.Msg).SetReply(request)
	reply.Authoritative = true
	switch {
	case mode == dnsHangs:
		return
	case mode == dnsFails:
		reply.Rcode = dns.RcodeServerFailure
	case mode == dnsTruncates && overUDP:
		reply.Truncated = true
	default:
		answer(reply, zone, dnsKey{name, question.Qtype})
	}
	if overUDP {
		size := dns.MinMsgSize
		if edns := request.IsEdns0(); edns != nil {
			size = int(edns.UDPSize())
		}
		reply.Truncate(size)
	}
	w.WriteMsg(reply)
}

// look counts the question and returns the mode and the zone as they are now.
func (s *DNSServer) look(name string) (dnsMode, map[dnsKey][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries[name]++
	s.queries[canonical("*")]++
	mode := s.modes[name]
	if mode == dnsAnswers {
		mode = s.modes[canonical("*")]
	}
	return mode, maps.Clone(s.zone)
}

// answer fills in the records, following aliases inside the zone (RFC 1034, 4.3.2).
func answer(reply *dns.Msg, zone map[dnsKey][]string, key dnsKey) {
	for range 10 {
		alias, isAlias := zone[dnsKey{key.name, dns.TypeCNAME}]
		if !isAlias || key.kind == dns.TypeCNAME {
			break
		}
		add(reply, dnsKey{key.name, dns.TypeCNAME}, alias)
		key.name = canonical(alias[0])
	}
	add(reply, key, zone[key])
	if len(zone[key]) > 0 {
		return
	}
	if !exists(zone, key.name) {
		reply.Rcode = dns.RcodeNameError
	}
	soa, err := dns.NewRR(fmt.Sprintf(". %d IN SOA ns.invalid. root.invalid. 1 60 60 60 %d", dnsTTL, dnsTTL))
	if err == nil {
		reply.Ns = append(reply.Ns, soa)
	}
}

func add(reply *dns.Msg, key dnsKey, values []string) {
	for _, value := range values {
		if rr, err := record(key, value); err == nil { // put has seen that it can be read
			reply.Answer = append(reply.Answer, rr)
		}
	}
}

// exists tells whether the name, or one below it, has a record: a name between two that
// exist does exist (RFC 8020).
func exists(zone map[dnsKey][]string, name string) bool {
	for key := range zone {
		if key.name == name || strings.HasSuffix(key.name, "."+name) {
			return true
		}
	}
	return false
}
