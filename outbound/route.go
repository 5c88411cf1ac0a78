package outbound

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// transport carries one message for one recipient to the next hop. It is safe
// for concurrent use.
type transport interface {
	// send reports what came of it, and never more than it knows.
	send(ctx context.Context, e envelope, raw []byte) result
	// probe tells whether the next hop would talk to us now.
	probe(ctx context.Context) result
	// close ends idle connections; the transport is not used afterwards.
	close()
}

// envelope is who a message goes to, as it stands on the wire. An empty from
// is the null return path.
type envelope struct {
	id       string // of the delivery
	from, to string
	final    *gate // asked before the message is complete; nil: it may be
}

// class is what an attempt means for the delivery and for those behind it.
type class string

const (
	classSent      class = "sent"
	classDeferred  class = "deferred"  // refused for now, or broken off before the end of the message
	classFailed    class = "failed"    // refused for good
	classUnknown   class = "unknown"   // broken off after the end of the message: it may have been taken
	classRoute     class = "route"     // the next hop can't be talked to; no message is tried there until it can
	classConfig    class = "config"    // the same, and a person has to do something: log-in refused
	classUntrusted class = "untrusted" // TLS is demanded and can't be had: a person has to look
)

// result is what came of an attempt.
type result struct {
	class class
	host  string
	reply
	err error // where there was no reply
}

// down tells that the next hop, not the message, is what failed.
func (r result) down() bool { return r.class == classRoute || r.class == classConfig }

// explain is one line for people.
func (r result) explain() string {
	if r.err != nil {
		return oneLine(r.err.Error())
	}
	return r.text
}

// tlsMode is what a smarthost URL says about TLS.
type tlsMode int

const (
	tlsOffered  tlsMode = iota // smtp: STARTTLS where it is offered
	tlsRequired                // smtp+starttls: STARTTLS with a good certificate, or nothing is sent
	tlsImplicit                // smtps: TLS from the first octet, with a good certificate
	tlsNever                   // smtp+insecure
)

// smarthost is a parsed outbound.smarthost.
type smarthost struct {
	dir            string // for dir:PATH, and then nothing else
	mode           tlsMode
	host, port     string
	user, password string
}

var smarthostModes = map[string]struct {
	mode tlsMode
	port string
}{
	"smtp": {tlsOffered, "25"}, "smtps": {tlsImplicit, "465"},
	"smtp+starttls": {tlsRequired, "587"}, "smtp+insecure": {tlsNever, "25"},
}

// parseSmarthost reads the URL forms smtp, smtps, smtp+starttls and
// smtp+insecure, each with [user:password@]host[:port], and dir:PATH. Its
// errors don't show the URL, which may hold a password.
func parseSmarthost(raw string) (smarthost, error) {
	if path, ok := strings.CutPrefix(raw, "dir:"); ok {
		if path == "" {
			return smarthost{}, fmt.Errorf("outbound.smarthost: dir: names no folder")
		}
		return smarthost{dir: path}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return smarthost{}, fmt.Errorf("outbound.smarthost is no URL")
	}
	form, ok := smarthostModes[u.Scheme]
	if !ok {
		return smarthost{}, fmt.Errorf("outbound.smarthost: the scheme is none of smtp, smtps, smtp+starttls, smtp+insecure, dir")
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return smarthost{}, fmt.Errorf("outbound.smarthost names no host, or more than that")
	}
	s := smarthost{mode: form.mode, host: u.Hostname(), port: form.port, user: u.User.Username()}
	s.password, _ = u.User.Password()
	if u.Port() != "" {
		s.port = u.Port()
	}
	return s, nil
}

func (s smarthost) address() string { return net.JoinHostPort(s.host, s.port) }

// verifies tells whether the certificate of the next hop has to be good. With
// opportunistic TLS it doesn't, as the alternative is no TLS at all, unless a
// password is at stake.
func (s smarthost) verifies() bool { return s.mode != tlsOffered || s.user != "" }

// tlsConfig makes the settings of one connection from what the caller gave.
func (s smarthost) tlsConfig(base *tls.Config) *tls.Config {
	config := &tls.Config{}
	if base != nil {
		config = base.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = s.host
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.InsecureSkipVerify = !s.verifies()
	return config
}

// openTransport makes the transport of a smarthost URL.
func openTransport(raw, hostname string, config *tls.Config, limits smtpLimits) (transport, error) {
	s, err := parseSmarthost(raw)
	if err != nil {
		return nil, err
	}
	if s.dir != "" {
		return &folder{path: s.dir}, nil
	}
	return &smtpRoute{smarthost: s, hostname: hostname, tls: s.tlsConfig(config), limits: limits}, nil
}
