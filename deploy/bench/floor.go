package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/emersion/go-smtp"
)

// floorCommand is the first argument that makes this program a server itself.
const floorCommand = "floor"

// serveFloor serves the bare library with a session that throws all away, on a
// free port that it prints, until the end of in: over LMTP what no intake can be
// faster than, over SMTP (argument smtp) a smarthost.
func serveFloor(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	lib := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return discard{}, nil }))
	lib.Domain = "floor.example"
	lib.LMTP = len(args) == 0 || args[0] != "smtp"
	failed := make(chan error, 1)
	go func() { failed <- lib.Serve(l) }()
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is the signal, however it comes
		_ = lib.Close()
	}()
	if _, err := fmt.Fprintln(out, listening+l.Addr().String()); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, smtp.ErrServerClosed) {
		return err
	}
	return nil
}

// listening begins the line by which a server that we start names its address.
const listening = "listening on "

// discard takes every mail and keeps none.
type discard struct{}

func (discard) Reset()                                             {}
func (discard) Logout() error                                      { return nil }
func (discard) Mail(string, *smtp.MailOptions) error               { return nil }
func (discard) Rcpt(string, *smtp.RcptOptions) error               { return nil }
func (discard) Data(r io.Reader) error                             { _, err := io.Copy(io.Discard, r); return err }
func (discard) LMTPData(r io.Reader, _ smtp.StatusCollector) error { return discard{}.Data(r) }
