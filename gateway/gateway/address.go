package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Address is where a face listens.
type Address struct {
	Network string // tcp or unix
	Address string // host:port, or the socket's path
}

// ParseAddress reads host:port or unix:/path. The host may be left out, for
// all of the machine's; port 0 takes a free one.
func ParseAddress(text string) (Address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" {
			return Address{}, fmt.Errorf("%q names no socket: want unix:/path", text)
		}
		return Address{Network: "unix", Address: path}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || !isPort(port) {
		return Address{}, fmt.Errorf("%q is no address: want host:port or unix:/path", text)
	}
	if host != "" && !isHostname(host) {
		if _, err := netip.ParseAddr(host); err != nil {
			return Address{}, fmt.Errorf("%q is no address: want host:port or unix:/path", text)
		}
	}
	return Address{Network: "tcp", Address: text}, nil
}

// String gives the form that ParseAddress reads.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	return a.Address
}

// Loopback tells whether only this machine can reach it.
func (a Address) Loopback() bool {
	if a.Network == "unix" {
		return true
	}
	host, _, _ := net.SplitHostPort(a.Address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// free tells whether the system chooses the port.
func (a Address) free() bool {
	return a.Network == "tcp" && strings.HasSuffix(a.Address, ":0")
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text
}
