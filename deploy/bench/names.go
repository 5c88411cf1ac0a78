package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// selector names the key of all our senders.
const selector = "bench"

// newKey makes an RSA-2048 key and the text of its DNS record.
func newKey() (*rsa.PrivateKey, string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, "", err
	}
	return key, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public), nil
}

// nameServer answers for the senders: their key, and a DMARC policy of none. Any
// other name does not exist.
type nameServer struct {
	record string
	addr   string // host:port, over UDP
	server *dns.Server
}

// serveNames starts a nameServer on a UDP address; port 0 is allowed.
func serveNames(ctx context.Context, addr, record string) (*nameServer, error) {
	var listen net.ListenConfig
	conn, err := listen.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	n := &nameServer{record: record, addr: conn.LocalAddr().String()}
	started := make(chan struct{})
	n.server = &dns.Server{PacketConn: conn, Handler: n, NotifyStartedFunc: func() { close(started) }}
	failed := make(chan error, 1)
	go func() { failed <- n.server.ActivateAndServe() }()
	select {
	case <-started:
		return n, nil
	case err := <-failed:
		return nil, fmt.Errorf("name server: %w", err)
	}
}

func (n *nameServer) stop() { _ = n.server.Shutdown() } // it ends with the process at the latest

// ServeDNS answers one question.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(q)
	answer.RecursionAvailable = true
	if len(q.Question) == 1 {
		n.fill(answer, q.Question[0])
	}
	_ = w.WriteMsg(answer) // the client asks again
}

func (n *nameServer) fill(answer *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	text := ""
	switch {
	case !strings.HasSuffix(name, ".example."):
	case strings.HasPrefix(name, selector+"._domainkey.firm"):
		text = n.record
	case strings.HasPrefix(name, "_dmarc.firm"):
		text = "v=DMARC1; p=none"
	}
	if text == "" {
		answer.Rcode = dns.RcodeNameError
		return
	}
	if q.Qtype != dns.TypeTXT {
		return
	}
	record := &dns.TXT{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 3600}}
	for len(text) > 255 { // one string of a record holds no more (RFC 1035, 3.3)
		record.Txt, text = append(record.Txt, text[:255]), text[255:]
	}
	record.Txt = append(record.Txt, text)
	answer.Answer = append(answer.Answer, record)
}
