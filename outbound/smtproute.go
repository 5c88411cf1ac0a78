package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// smtpRoute is the transport to an SMTP server. Connections are used again for
// later messages, each by one goroutine at a time, and closed when idle.
type smtpRoute struct {
	smarthost
	hostname string
	tls      *tls.Config
	limits   smtpLimits

	mu     sync.Mutex
	idle   []*session     // the last used one is last; guarded by mu
	closed bool           // guarded by mu
	ending sync.WaitGroup // sessions that are being closed for idleness
}

func (r *smtpRoute) send(ctx context.Context, e envelope, raw []byte) result {
	s, bad := r.checkout(ctx)
	if bad != nil {
		return *bad
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	out := s.transfer(e, raw)
	stop()
	out.host = r.address()
	if out.class == classConfig && out.enhanced == "" {
		out.enhanced = "5.7.0"
	}
	// After an error of the connection, or when the server says that it closes
	// (421), nothing more is said over it.
	if out.err != nil || out.code == 421 || ctx.Err() != nil || s.uses >= r.limits.uses {
		r.end(s, out.err != nil || ctx.Err() != nil)
	} else {
		r.checkin(s)
	}
	return out
}

func (r *smtpRoute) end(s *session, abruptly bool) {
	if abruptly {
		_ = s.conn.Close()
		return
	}
	s.quit()
}

// probe opens a connection as far as a message would need it. It is kept for
// the next message.
func (r *smtpRoute) probe(ctx context.Context) result {
	s, bad := r.checkout(ctx)
	if bad != nil {
		return *bad
	}
	r.checkin(s)
	return result{class: classSent, host: r.address()}
}

// checkout gives a connection that answers: an idle one, or a new one.
func (r *smtpRoute) checkout(ctx context.Context) (*session, *result) {
	for {
		s := r.takeIdle()
		if s == nil {
			break
		}
		stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
		answer, err := s.command("RSET")
		stop()
		if err == nil && answer.code == 250 {
			return s, nil
		}
		_ = s.conn.Close()
	}
	s, bad := r.connect(ctx)
	if bad != nil {
		bad.host = r.address()
		return nil, bad
	}
	return s, nil
}

func (r *smtpRoute) takeIdle() *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.idle) > 0 {
		s := r.idle[len(r.idle)-1]
		r.idle = r.idle[:len(r.idle)-1]
		if s.idle.Stop() {
			r.ending.Done()
			return s
		}
		// Its timer fired: it is being closed.
	}
	return nil
}

func (r *smtpRoute) checkin(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		_ = s.conn.Close()
		return
	}
	r.ending.Add(1)
	s.idle = time.AfterFunc(r.limits.idle, func() {
		defer r.ending.Done()
		r.forget(s)
		s.quit()
	})
	r.idle = append(r.idle, s)
}

func (r *smtpRoute) forget(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.idle {
		if other == s {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			return
		}
	}
}

func (r *smtpRoute) close() {
	r.mu.Lock()
	r.closed = true
	idle := r.idle
	r.idle = nil
	r.mu.Unlock()
	for _, s := range idle {
		if s.idle.Stop() {
			s.quit()
			r.ending.Done()
		}
	}
	r.ending.Wait()
}

// connect opens a connection up to the point where a message may be sent. TLS
// that is merely offered and does not work is done without.
func (r *smtpRoute) connect(ctx context.Context) (*session, *result) {
	s, bad := r.open(ctx, r.mode)
	if bad != nil && bad.class == classUntrusted && r.mode == tlsOffered && r.user == "" {
		return r.open(ctx, tlsNever)
	}
	return s, bad
}

func (r *smtpRoute) open(ctx context.Context, mode tlsMode) (*session, *result) {
	dialCtx, cancel := context.WithTimeout(ctx, r.limits.dial)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(dialCtx, "tcp", r.address())
	if err != nil {
		return nil, &result{class: classRoute, err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s, bad := r.prepare(dialCtx, conn, mode)
	if bad != nil {
		_ = conn.Close()
	}
	return s, bad
}

// prepare greets, secures and logs in.
func (r *smtpRoute) prepare(ctx context.Context, conn net.Conn, mode tlsMode) (*session, *result) {
	if mode == tlsImplicit {
		secured := tls.Client(conn, r.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, tlsFailure(err)
		}
		conn = secured
	}
	s := newSession(conn, r.limits)
	greeting, err := s.read(r.limits.command)
	if err != nil || greeting.code != 220 {
		return nil, routeFailure("greeting", greeting, err)
	}
	if answer, err := s.hello(r.hostname); err != nil || answer.code != 250 {
		return nil, routeFailure("EHLO", answer, err)
	}
	if mode == tlsOffered || mode == tlsRequired {
		if bad := r.secure(context.WithoutCancel(ctx), s); bad != nil {
			return nil, bad
		}
	}
	if r.user != "" {
		if bad := r.login(s); bad != nil {
			return nil, bad
		}
	}
	return s, nil
}

// secure does STARTTLS as the URL wants it.
func (r *smtpRoute) secure(ctx context.Context, s *session) *result {
	if !s.offers("STARTTLS") {
		if r.mode == tlsRequired {
			return untrusted("TLS is required, and the next hop does not offer STARTTLS", nil)
		}
		return nil
	}
	answer, err := s.command("STARTTLS")
	switch {
	case err != nil:
		return routeFailure("STARTTLS", answer, err)
	case answer.code != 220 && r.mode == tlsOffered && r.user == "":
		return nil // it changed its mind; the connection is still good
	case answer.code/100 == 4:
		return routeFailure("STARTTLS", answer, nil)
	case answer.code != 220:
		return untrusted("TLS is required, and the next hop refuses STARTTLS: "+answer.text, nil)
	}
	if err := s.startTLS(ctx, r.tls); err != nil {
		return tlsFailure(err)
	}
	if answer, err := s.hello(r.hostname); err != nil || answer.code != 250 {
		return routeFailure("EHLO", answer, err)
	}
	return nil
}

// login logs in; a password goes in clear only over loopback, or where the URL
// says insecure.
func (r *smtpRoute) login(s *session) *result {
	if _, secured := s.conn.(*tls.Conn); !secured && r.mode == tlsOffered && !isLoopback(s.conn) {
		return untrusted("the password is not sent without TLS, which the next hop does not offer", nil)
	}
	answer, err := s.login(r.user, r.password)
	switch {
	case err != nil || answer.code/100 == 4:
		return routeFailure("AUTH", answer, err)
	case answer.code != 235:
		return &result{class: classConfig, reply: answer}
	}
	return nil
}

func isLoopback(conn net.Conn) bool {
	address, ok := conn.RemoteAddr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

func routeFailure(stage string, r reply, err error) *result {
	if err != nil {
		return &result{class: classRoute, err: fmt.Errorf("%s: %w", stage, err)}
	}
	return &result{class: classRoute, reply: r}
}

func untrusted(text string, err error) *result {
	return &result{class: classUntrusted, reply: reply{enhanced: "4.7.5", text: text}, err: err}
}

// tlsFailure tells a server that can't be trusted, which only a person can
// judge, from a connection that broke.
func tlsFailure(err error) *result {
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert *net.OpError // how crypto/tls reports an alert of the other side
	if errors.As(err, &certificate) || errors.As(err, &unknown) || errors.As(err, &host) ||
		errors.As(err, &invalid) || errors.As(err, &record) ||
		errors.As(err, &alert) && alert.Op == "remote error" {
		return untrusted("", fmt.Errorf("TLS: %w", err))
	}
	return &result{class: classRoute, err: fmt.Errorf("TLS: %w", err)}
}
