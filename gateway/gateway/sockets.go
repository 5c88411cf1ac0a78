package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// Faces are the names of the listeners, as Addr and systemd's
// FileDescriptorName= know them.
const (
	FaceLMTP    = "lmtp"
	FaceSMTP    = "smtp"
	FaceLookup  = "lookup"
	FaceHTTP    = "http"
	FaceAdmin   = "admin"
	FaceMetrics = "metrics"
)

// SystemdListeners gives the sockets that systemd handed in, by the name of
// their face; they stand in place of the configured ones. It works once.
func SystemdListeners() (map[string][]net.Listener, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
	}
	for name, listeners := range named {
		switch name {
		case FaceLMTP, FaceSMTP, FaceHTTP, FaceAdmin, FaceMetrics:
		default:
			return nil, fmt.Errorf("socket from systemd: FileDescriptorName=%s is none of lmtp, smtp, http, admin, metrics", name)
		}
		for _, l := range listeners {
			if l == nil {
				return nil, fmt.Errorf("socket from systemd: %s is no stream socket", name)
			}
			if unix, ok := l.(*net.UnixListener); ok {
				unix.SetUnlinkOnClose(false) // the socket is systemd's
			}
		}
	}
	return named, nil
}

// listen opens the listeners of an HTTP face: all of them, or none.
func listen(ctx context.Context, where []Address) ([]net.Listener, error) {
	var open []net.Listener
	for _, a := range where {
		l, err := new(net.ListenConfig).Listen(ctx, a.Network, a.Address)
		if err != nil {
			return nil, errors.Join(err, closeAll(open))
		}
		open = append(open, l)
	}
	return open, nil
}

func closeAll(listeners []net.Listener) error {
	var failed error
	for _, l := range listeners {
		failed = errors.Join(failed, l.Close())
	}
	return failed
}

// texts gives addresses in the form that ParseAddress reads.
func texts(where []Address) []string {
	all := make([]string, len(where))
	for i, a := range where {
		all[i] = a.String()
	}
	return all
}

// textOf gives a listener's address in the form that ParseAddress reads.
func textOf(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}
