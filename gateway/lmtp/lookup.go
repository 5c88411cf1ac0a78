package lmtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"ticketgate/store"
)

// Bounds of a look-up. Postfix gives up after 100 s and answers 451 all that
// time, so we are faster or say that we can't tell.
const (
	lookupLimit   = time.Second
	lookupIdle    = 5 * time.Minute
	maxLookup     = 2000 // octets of a request
	maxLookups    = 500  // connections at once; each smtpd process of Postfix has one
	lookupMap     = "recipients"
	replyNotFound = "NOTFOUND "
)

// Lookup is a Postfix socketmap server (socketmap_table(5)): its one map,
// recipients, knows the addresses that mail is taken for, so that Postfix
// refuses all others at RCPT, before it has the mail.
type Lookup struct {
	listeners []net.Listener
	recipient func(ctx context.Context, address string) error
	log       *slog.Logger

	stop  context.CancelFunc
	ctx   context.Context //nolint:containedctx // of all sessions, which no caller waits for
	slots chan struct{}
	wg    sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// StartLookup listens on addresses and unix:/path sockets, of which a TCP one
// must be of loopback, and answers until Stop. recipient is Backend.Recipient.
func StartLookup(ctx context.Context, listen []string, recipient func(ctx context.Context, address string) error, log *slog.Logger) (*Lookup, error) {
	listeners, err := listenAll(ctx, Options{Listen: listen, Protocol: "lookup"})
	if err != nil {
		return nil, err
	}
	l := &Lookup{listeners: listeners, recipient: recipient, log: log, slots: make(chan struct{}, maxLookups), conns: map[net.Conn]bool{}}
	l.ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, listener := range listeners {
		l.wg.Go(func() { l.accept(listener) })
	}
	return l, nil
}

// Addrs are the addresses that it listens on.
func (l *Lookup) Addrs() []net.Addr {
	addrs := make([]net.Addr, 0, len(l.listeners))
	for _, listener := range l.listeners {
		addrs = append(addrs, listener.Addr())
	}
	return addrs
}

// Stop closes the listeners and the connections, and waits for the sessions.
// Postfix asks again by itself.
func (l *Lookup) Stop() error {
	l.stop()
	err := closeAll(l.listeners)
	l.mu.Lock()
	for conn := range l.conns {
		_ = conn.Close() // its session ends by that, whatever it says
	}
	l.mu.Unlock()
	l.wg.Wait()
	return err
}

func (l *Lookup) accept(listener net.Listener) {
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.ctx.Done():
			return
		}
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files, or the like
			<-l.slots
			l.log.Warn("a look-up's connection was not taken", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-l.ctx.Done():
				return
			}
			continue
		}
		l.wg.Go(func() {
			defer func() { <-l.slots }()
			l.serve(conn)
		})
	}
}

func (l *Lookup) serve(conn net.Conn) {
	l.mu.Lock()
	l.conns[conn] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.conns, conn)
		l.mu.Unlock()
		_ = conn.Close() // the client is gone, or we end
	}()
	r := bufio.NewReader(conn)
	for l.ctx.Err() == nil {
		if err := conn.SetDeadline(time.Now().Add(lookupIdle)); err != nil {
			return
		}
		request, err := readNetstring(r)
		if err != nil {
			return
		}
		reply := l.answer(request)
		if _, err := fmt.Fprintf(conn, "%d:%s,", len(reply), reply); err != nil {
			return
		}
	}
}

// answer looks an address up. An account that is switched off is known: the MTA
// is to keep its mail. Bare names and domains, which Postfix asks for as well,
// are not.
func (l *Lookup) answer(request string) string {
	table, key, ok := strings.Cut(request, " ")
	switch {
	case !ok || table != lookupMap:
		return "PERM there is no such map"
	case !strings.Contains(strings.Trim(key, "@"), "@"):
		return replyNotFound
	}
	ctx, cancel := context.WithTimeout(l.ctx, lookupLimit)
	defer cancel()
	err := l.recipient(ctx, key)
	switch {
	case err == nil, store.ReasonOf(err) == store.ReasonAccountOff:
		return "OK " + key
	case store.CodeOf(err) == store.CodeNotFound:
		return replyNotFound
	case store.ReasonOf(err) == store.ReasonNoAccount:
		return "TEMP there is no mail account yet"
	}
	l.log.Warn("a recipient could not be looked up", "err", err)
	return "TEMP trouble here"
}

// readNetstring reads one LENGTH:BYTES, of at most maxLookup bytes.
func readNetstring(r *bufio.Reader) (string, error) {
	digits := ""
	for {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if b == ':' {
			break
		}
		if b < '0' || b > '9' || len(digits) == 5 {
			return "", errNetstring
		}
		digits += string(b)
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > maxLookup {
		return "", errNetstring
	}
	body := make([]byte, n+1)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	if body[n] != ',' {
		return "", errNetstring
	}
	return string(body[:n]), nil
}

var errNetstring = errors.New("not a netstring")
