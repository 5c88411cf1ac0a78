package lmtp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// socketMode lets the MTA's group in and nobody else.
const socketMode = 0o660

// maxSocketPath is what the kernel has room for (unix(7)).
const maxSocketPath = 107

// listenAll opens all listeners of opt, or none.
func listenAll(ctx context.Context, opt Options) ([]net.Listener, error) {
	listeners := append([]net.Listener(nil), opt.Listeners...)
	for _, address := range opt.Listen {
		l, err := listen(ctx, address)
		if err != nil {
			return nil, errors.Join(err, closeAll(listeners))
		}
		listeners = append(listeners, l)
	}
	if len(listeners) == 0 {
		return nil, fmt.Errorf("%s: nothing to listen on", opt.Protocol)
	}
	for _, l := range listeners {
		if err := checkExposure(l.Addr(), opt); err != nil {
			return nil, errors.Join(err, closeAll(listeners))
		}
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) error {
	var err error
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(ctx, path)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// listenUnix makes a socket of socketMode. A socket that a killed process left
// behind is removed; one that answers, and anything else at that path, is not.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if path == "" || len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on unix:%s: a socket path has 1 to %d octets", path, maxSocketPath)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, fmt.Errorf("listen on unix:%s: %w", path, err)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on unix:%s: %w", path, err)
	}
	if err := errors.Join(giveToFolder(path), os.Chmod(path, socketMode)); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on unix:%s: %w", path, err), l.Close())
	}
	return l, nil
}

// giveToFolder lets the socket belong to whoever the folder belongs to, when we
// are root and it would be root's: Postfix's private/ is its own, and Postfix
// connects as itself. The owner of a folder can put any socket there anyway.
func giveToFolder(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something that is no socket")
	}
	dialer := net.Dialer{Timeout: time.Second}
	probe, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(errors.New("another process listens there"), probe.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("there is a socket that cannot be told to be stale: %w", err)
	}
	return os.Remove(path)
}

// checkExposure refuses a listener that anybody could reach: mail that comes in
// here skips the MTA and all that it checks.
func checkExposure(addr net.Addr, opt Options) error {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() || len(opt.Allow) > 0 {
		return nil
	}
	return fmt.Errorf("%s.listen %s is reachable beyond loopback: %s.allow must name the networks that may use it",
		opt.Protocol, addr, opt.Protocol)
}
