package gateway_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"ticketgate/deploy/testbed"
	"ticketgate/gateway/gateway"
	"ticketgate/gateway/lmtp"
	"ticketgate/gateway/verify"
	"ticketgate/store"
	"ticketgate/threading/message"
)

// readOnly is the intake without a desk: it reads and verifies a mail as the
// daemon does, and stores nothing. deploy/bench holds the daemon against it.
type readOnly struct {
	hostname string
	verifier *verify.Verifier
	verified atomic.Int64
}

func (*readOnly) Recipient(context.Context, string) error { return nil }

func (r *readOnly) Deliver(ctx context.Context, env *lmtp.Envelope) []error {
	raw, err := env.Message.Bytes()
	if err == nil {
		request := verify.Request{
			Raw: raw, Message: message.Parse(raw), Recipients: env.Recipients, Known: func(string) bool { return false },
		}
		if r.verifier.Verify(ctx, request).Verdict == store.Verified {
			r.verified.Add(1)
		}
	}
	errs := make([]error, len(env.Recipients))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// startReadOnly serves it over LMTP, on a free port.
func startReadOnly(t *testing.T, resolver string) (*readOnly, string) {
	t.Helper()
	const hostname = "desk.example"
	r := &readOnly{hostname: hostname, verifier: verify.New(verify.Options{
		Hostname: hostname, Resolver: verify.NewResolver(verify.ResolverOptions{Server: resolver}),
	})}
	s := lmtp.New(lmtp.Options{Hostname: hostname, Listen: []string{"127.0.0.1:0"}, SpoolDir: t.TempDir()}, r)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r, s.Addrs()[0].String()
}

// TestBenchServer is how deploy/bench starts what it measures and can't import:
// with BENCH_ROLE=parse+verify the reading intake, with BENCH_ROLE=daemon a whole
// daemon, so that -test.cpuprofile sees it. Both serve until stdin ends or
// SIGTERM. Without a role it holds that the reading intake does verify: a floor
// that does less than it says makes every ratio wrong.
func TestBenchServer(t *testing.T) {
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	switch role := os.Getenv("BENCH_ROLE"); role {
	case "parse+verify":
		ctx = untilStdinEnds(ctx)
		_, addr := startReadOnly(t, os.Getenv("BENCH_RESOLVER"))
		fmt.Println("listening on " + addr)
		<-ctx.Done()
	case "daemon":
		runDaemon(untilStdinEnds(ctx), t)
	case "":
		testReadOnly(t)
	default:
		t.Fatalf("BENCH_ROLE=%q is unknown", role)
	}
}

func untilStdinEnds(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the signal, however it comes
	}()
	return ctx
}

// runDaemon is `ticketgate serve` by environment alone.
func runDaemon(ctx context.Context, t *testing.T) {
	config, err := gateway.LoadConfig("", os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	log, level := gateway.NewLogger(config, os.Stderr)
	if err := gateway.New(config, gateway.Options{Log: log, Level: level}).Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func testReadOnly(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	names := testbed.DNS(t, map[string][]string{
		"s._domainkey.firm.example TXT": {"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)},
	})
	floor, addr := startReadOnly(t, names.Addr())

	const text = "From: a@firm.example\r\nTo: support@desk.example\r\nSubject: hello\r\n\r\nHello.\r\n"
	var signed strings.Builder
	err = dkim.Sign(&signed, strings.NewReader(text), &dkim.SignOptions{Domain: "firm.example", Selector: "s", Signer: key})
	if err != nil {
		t.Fatal(err)
	}
	for _, mail := range []string{signed.String(), text} {
		replies, err := lmtp.Send(t.Context(), addr, "a@firm.example", []string{"support@desk.example"}, strings.NewReader(mail))
		if err != nil || !replies[0].OK() {
			t.Fatalf("%v, %v", replies, err)
		}
	}
	if got := floor.verified.Load(); got != 1 {
		t.Errorf("%d of a signed and an unsigned mail are verified", got)
	}
}
