package webhook

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"ticketgate/store"
)

// errRefused says that an address is none that a webhook may reach.
var errRefused = errors.New("the address is refused")

// policy is the networks that an admin allows.
type policy []netip.Prefix

// secure is the rule for https: what the Internet reaches, and what is allowed.
func (p policy) secure(a netip.Addr) bool { return isPublic(a) || p.plain(a) }

// plain is the rule for http: what is allowed.
func (p policy) plain(a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// notPublic are the networks of the registries for special purposes (RFC 6890)
// that net/netip has no word for.
var notPublic = parsed(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// global is what is given out for the whole Internet of IPv6 (RFC 4291, 2.4).
var global = netip.MustParsePrefix("2000::/3")

// translated is the prefix behind which IPv4 addresses lie where a network has
// only IPv6 (RFC 6052, 2.1).
var translated = netip.MustParsePrefix("64:ff9b::/96")

func parsed(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// isPublic tells whether an address is one of the Internet at large: not of
// this machine, of its networks or of a special purpose, however it is written.
func isPublic(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap() // ::ffff:127.0.0.1
	if translated.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Is6() && !global.Contains(a) {
		return false
	}
	if a.IsPrivate() || !a.IsGlobalUnicast() {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(n netip.Prefix) bool { return n.Contains(a) })
}

// newClient makes a client that connects to allowed addresses alone. The rule is
// asked after the name was resolved, of each address that is dialled, so a name
// that leads elsewhere the next time helps nobody. There is no proxy, which
// would resolve names itself, and no redirect is followed.
func newClient(allowed func(netip.Addr) bool, opt Options) *http.Client {
	dialer := &net.Dialer{Timeout: opt.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !allowed(to.Addr()) {
			return errRefused
		}
		return nil
	}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: opt.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: opt.Timeout, ResponseHeaderTimeout: opt.Timeout, MaxResponseHeaderBytes: maxAnswer,
			IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: together, DisableCompression: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// maxURL is the longest address of a webhook.
const maxURL = 2000

// CheckURL refuses what can be no address of a webhook: an invalid error of the
// field url. Whether a name leads to an address that may be reached shows when
// it is dialled.
func CheckURL(text string, allow []netip.Prefix) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Hostname() == "" || u.Opaque != "":
		return store.Invalid("url", "is no address such as https://example.org/hook")
	case u.User != nil || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return store.Invalid("url", "holds a user, a password or a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || len(allow) == 0):
		return store.Invalid("url", "must begin with https:// (http:// is for networks that webhooks.allow names)")
	}
	rule := policy(allow).secure
	if u.Scheme == "http" {
		rule = policy(allow).plain
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !rule(a) {
		return store.Invalid("url", "is a private address that webhooks.allow doesn't name")
	}
	return nil
}

// CheckURL is CheckURL with the networks that are allowed here.
func (s *Service) CheckURL(text string) error { return CheckURL(text, s.opt.Allow) }
