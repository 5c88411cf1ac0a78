package lmtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// commandBytesFloor and commandBytesPerRecipient bound what a client may spend
// on commands for one message.
const (
	commandBytesFloor        = 64 << 10
	commandBytesPerRecipient = 2 << 10
)

// Server takes mail in on its listeners and gives it to a Backend. It is made
// by New, started once and stopped once; its methods are safe for concurrent
// use.
type Server struct {
	opt     Options
	backend Backend
	spools  *spooler

	base   context.Context // of all calls to the Backend
	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows
	gate     *gate
	lib      *smtp.Server
	served   chan struct{} // closed when go-smtp accepts no more
	conns    map[*conn]struct{}
	draining bool
	started  bool
}

// New makes a Server; it does nothing until Start.
func New(opt Options, backend Backend) *Server {
	opt = opt.withDefaults()
	return &Server{opt: opt, backend: backend, spools: newSpooler(opt), conns: make(map[*conn]struct{})}
}

// Start listens and returns when clients can connect. The end of ctx does not
// end the server; its values are handed to the Backend. It fails if a listener
// cannot be had, or would be open to the world.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return errors.New("lmtp: started already")
	}
	listeners, err := listenAll(ctx, s.opt)
	if err != nil {
		return err
	}
	s.started = true
	s.base, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.gate = newGate(s, listeners)
	s.lib = s.library()
	s.served = make(chan struct{})
	go func(done chan struct{}, lib *smtp.Server, g *gate) {
		defer close(done)
		_ = lib.Serve(g) // ends when the gate closes, with that as its error
	}(s.served, s.lib, s.gate)
	s.gate.open()
	return nil
}

// library sets up go-smtp. Sizes, times and limits are not its business.
func (s *Server) library() *smtp.Server {
	lib := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		own, ok := c.Conn().(*conn)
		if !ok {
			return nil, &replyTrouble
		}
		return &session{srv: s, conn: own, lib: c}, nil
	}))
	lib.LMTP = s.opt.Protocol == LMTP
	lib.Domain = s.opt.Hostname
	lib.MaxLineLength = 2 * maxCommandLine
	lib.ErrorLog = libraryLog{s.opt.Log}
	return lib
}

// Addrs gives the addresses listened on: those handed in, then those of
// Options.Listen, each in order. nil before Start.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate == nil {
		return nil
	}
	addrs := make([]net.Addr, len(s.gate.listeners))
	for i, l := range s.gate.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Stop drains: no new connection and no new transaction is taken, idle clients
// get 421, and open transactions end and are answered. When ctx ends first,
// what is left is cut off within two seconds and the error is ctx's; what was
// not answered then counts as not taken. The first call drains, later ones do
// nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	if !s.started || s.draining {
		s.mu.Unlock()
		return nil
	}
	s.draining = true
	s.mu.Unlock()

	closeErr := s.gate.Close()
	<-s.served
	for _, c := range s.open() {
		c.drain(false)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.lib.Shutdown(context.Background()) // waits for the connections; the gate is closed already
	}()
	defer s.cancel()
	select {
	case <-ended:
		return closeErr
	case <-ctx.Done():
		s.cutOff(ended)
		return ctx.Err()
	}
}

// cutOffGrace is how long deliveries have to notice that their context ended,
// and once more how long connections have to notice that they are closed.
const cutOffGrace = time.Second

// cutOff ends what did not end by itself: deliveries by their context, so that
// their clients still hear a 451, then whoever keeps us waiting with a 421, and
// in the end by closing.
func (s *Server) cutOff(ended <-chan struct{}) {
	s.cancel()
	for _, c := range s.open() {
		c.drain(true)
	}
	if waitFor(ended, cutOffGrace) {
		return
	}
	for _, c := range s.open() {
		c.abort()
	}
	if !waitFor(ended, cutOffGrace) {
		s.opt.Log.Error("deliveries still run after the time to stop")
	}
}

// waitFor says whether done was closed within d.
func waitFor(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// remember and forget keep the set of open connections.
func (s *Server) remember(c *conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	draining := s.draining
	s.mu.Unlock()
	if draining {
		c.drain(false)
	}
	s.opt.Metrics.Connections(1)
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.opt.Metrics.Connections(-1)
}

func (s *Server) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

func (s *Server) maxCommandBytes() int64 {
	return commandBytesFloor + commandBytesPerRecipient*int64(s.opt.MaxRecipients)
}

// libraryLog takes what go-smtp has to say. Clients that go away are no news.
type libraryLog struct{ log *slog.Logger }

// Printf logs a line, loudly only if it tells of a panic.
func (l libraryLog) Printf(format string, args ...any) {
	level := slog.LevelDebug
	if strings.Contains(format, "panic") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "go-smtp: "+fmt.Sprintf(format, args...))
}

// Println logs a line.
func (l libraryLog) Println(args ...any) {
	l.log.Debug("go-smtp: " + fmt.Sprintln(args...))
}
