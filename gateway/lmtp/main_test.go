package lmtp

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ticketgate/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mail is what the backend of the tests keeps of a delivery.
type mail struct {
	env  Envelope
	body string
}

// memory is a Backend that keeps mail in memory. The local part of a recipient
// says what becomes of it.
type memory struct {
	mu    sync.Mutex
	mails []mail
	asked []string

	hold chan struct{} // Deliver waits for it, if set
	busy chan struct{} // told when Deliver begins, if set
}

var errSecret = errors.New("password=hunter2 host=10.0.0.1")

// atRcpt and atDot are the errors by local part.
var atRcpt = map[string]error{
	"unknown": &store.Error{Code: store.CodeNotFound, Reason: store.ReasonUnknownRecipient},
	"off":     &store.Error{Code: store.CodeConflict, Reason: store.ReasonAccountOff},
	"nodesk":  &store.Error{Code: store.CodeConflict, Reason: store.ReasonNoAccount},
	"rcptbug": errSecret,
	"norelay": &store.Error{Code: store.CodeNotFound, Reason: store.ReasonUnknownDomain},
}

var atDot = map[string]error{
	"down":     &store.Error{Code: store.CodeUnavailable, Err: errSecret},
	"full":     &store.Error{Code: store.CodeUnavailable, Reason: store.ReasonDiskFull},
	"large":    store.Errorf(store.CodeTooLarge, "too large"),
	"dkim":     &store.Error{Code: store.CodeRejected, Reason: store.ReasonDKIMRequired},
	"dns":      &store.Error{Code: store.CodeUnavailable, Reason: store.ReasonDKIMUnknown},
	"bug":      errSecret,
	"data":     store.Errorf(store.CodeData, "refused"),
	"rejected": store.Errorf(store.CodeRejected, "policy"),
}

func local(address string) string {
	name, _, _ := strings.Cut(address, "@")
	return name
}

func (m *memory) Recipient(_ context.Context, address string) error {
	m.mu.Lock()
	m.asked = append(m.asked, address)
	m.mu.Unlock()
	if local(address) == "rcptpanic" {
		panic("recipient")
	}
	return atRcpt[local(address)]
}

func (m *memory) Deliver(ctx context.Context, env *Envelope) []error {
	if m.busy != nil {
		m.busy <- struct{}{}
	}
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-ctx.Done():
			return []error{ctx.Err()}
		}
	}
	errs := make([]error, len(env.Recipients))
	for i, to := range env.Recipients {
		switch local(to) {
		case "panic":
			panic("deliver")
		case "short":
			return errs[:i]
		}
		errs[i] = atDot[local(to)]
	}
	body, err := env.Message.Bytes()
	if err != nil {
		return repeat(err, len(errs))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, mail{*env, string(body)})
	return errs
}

func (m *memory) kept() []mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]mail(nil), m.mails...)
}

// serve starts a server of the tests and stops it with the test.
func serve(t testing.TB, opt Options, backend Backend) *Server {
	t.Helper()
	if len(opt.Listen) == 0 && len(opt.Listeners) == 0 {
		opt.Listen = []string{"127.0.0.1:0"}
	}
	opt.Hostname = "desk.example"
	s := New(opt, backend)
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	addr := s.Addrs()[0]
	nc, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return nc
}
