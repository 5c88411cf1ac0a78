package lmtp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// gate is the one listener that go-smtp serves. It accepts from all real ones
// and lets in as many connections as there are slots; more of them wait for a
// slot, and those that wait too long are told to come back. A refused connection
// makes Postfix suspend the whole destination, so waiting is the better answer.
type gate struct {
	srv       *Server
	listeners []net.Listener
	slots     chan struct{} // one token for each open connection
	queue     chan struct{} // one token for each waiting one: they cost descriptors too
	ready     chan *conn
	done      chan struct{}
	once      sync.Once
	wg        sync.WaitGroup
}

func newGate(srv *Server, listeners []net.Listener) *gate {
	return &gate{
		srv:       srv,
		listeners: listeners,
		slots:     make(chan struct{}, srv.opt.MaxConnections),
		queue:     make(chan struct{}, max(srv.opt.MaxConnections, 64)),
		ready:     make(chan *conn),
		done:      make(chan struct{}),
	}
}

// open begins to accept.
func (g *gate) open() {
	for _, l := range g.listeners {
		g.wg.Go(func() { g.acceptAll(l) })
	}
}

// acceptAll accepts until the gate closes. Out of descriptors or memory it waits
// a little, and longer each time: the fault passes, and a busy loop would not
// help it to.
func (g *gate) acceptAll(l net.Listener) {
	var pause time.Duration
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			g.arrive(nc)
			continue
		}
		if g.closing() || errors.Is(err, net.ErrClosed) {
			return
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		g.srv.opt.Log.Error("accept failed", "listener", l.Addr().String(), "err", err, "retry_in", pause)
		g.sleep(pause)
	}
}

func (g *gate) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.done:
	}
}

func (g *gate) closing() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// arrive brings a client to a slot, or to the queue for one.
func (g *gate) arrive(nc net.Conn) {
	if !allowed(nc.RemoteAddr(), g.srv.opt.Allow) {
		g.srv.opt.Metrics.Refused("not_allowed")
		g.srv.opt.Log.Warn("client outside of the allowed networks", "remote", nc.RemoteAddr().String())
		_ = nc.Close()
		return
	}
	select {
	case g.slots <- struct{}{}:
		g.enter(nc)
		return
	default:
	}
	select {
	case g.queue <- struct{}{}:
	case <-g.done:
		g.refuse(nc, "draining")
		return
	}
	g.wg.Go(func() {
		defer func() { <-g.queue }()
		g.wait(nc)
	})
}

// wait is a client's time in the queue.
func (g *gate) wait(nc net.Conn) {
	timer := time.NewTimer(g.srv.opt.SlotWait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		g.enter(nc)
	case <-timer.C:
		g.refuse(nc, "busy")
	case <-g.done:
		g.refuse(nc, "draining")
	}
}

// enter hands a client that has a slot to go-smtp.
func (g *gate) enter(nc net.Conn) {
	var c *conn
	c = newConn(g.srv, nc, func() {
		g.srv.forget(c)
		<-g.slots
	})
	g.srv.remember(c)
	select {
	case g.ready <- c:
	case <-g.done:
		g.srv.forget(c)
		<-g.slots
		g.refuse(nc, "draining")
	}
}

// refuse says 421 instead of the greeting.
func (g *gate) refuse(nc net.Conn, reason string) {
	g.srv.opt.Metrics.Refused(reason)
	g.srv.opt.Log.Warn("client turned away", "remote", nc.RemoteAddr().String(), "reason", reason)
	if nc.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		_, _ = nc.Write([]byte("421 4.3.2 " + g.srv.opt.Hostname + " is too busy or shutting down\r\n"))
	}
	_ = nc.Close()
}

// allowed lets in who comes over loopback or a unix socket, and who is in one of
// the networks.
func allowed(addr net.Addr, networks []netip.Prefix) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return true
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.IsLoopback() {
		return true
	}
	for _, network := range networks {
		if network.Contains(ip.WithZone("")) {
			return true
		}
	}
	return false
}

// Accept gives go-smtp the next client.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case c := <-g.ready:
		return c, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

// Addr is that of the first listener.
func (g *gate) Addr() net.Addr { return g.listeners[0].Addr() }

// Close stops accepting and waits until nobody is left in the queue.
func (g *gate) Close() error {
	var err error
	g.once.Do(func() {
		close(g.done)
		for _, l := range g.listeners {
			err = errors.Join(err, l.Close())
		}
		g.wg.Wait()
	})
	return err
}
