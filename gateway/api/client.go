package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// requestOf gives what is known of the request that ctx belongs to.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{http: &http.Request{Header: http.Header{}}}
}

// clientAddress tells where a request comes from: its peer, or, where that is a
// trusted proxy, the last address in X-Forwarded-For that is none. What stands
// further left anybody may have written. A unix socket's peer is this machine.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	at := peer(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(trusted, at); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = hop.Unmap().WithZone("")
	}
	return at
}

func peer(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return a.Unmap().WithZone("")
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// network is what attempts are counted by: an address, or the 64 bits of IPv6
// that one customer of a provider has at the least.
func network(a netip.Addr) string {
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// maxClient is how much of a User-Agent is kept, in octets.
const maxClient = 300

// clientName cleans what a program calls itself, for people and for the store.
func clientName(header string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(header, "\ufffd"))
	if len(name) > maxClient {
		name = strings.ToValidUTF8(name[:maxClient], "")
	}
	return name
}
