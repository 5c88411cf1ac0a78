package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The servers that -run can start.
const (
	bareFloor    = "bare"         // the go-smtp library, discarding
	verifyFloor  = "parse+verify" // the daemon's listener, parser and verifier, storing nothing
	onSQLite     = "sqlite"       // the daemon on its embedded parts
	onPostgreSQL = "postgres"     // the daemon on PostgreSQL, and on Redis if there is one
)

// selfRun says what -run starts.
type selfRun struct {
	with     string
	postgres string
	redis    string
	notify   bool
	deliver  bool
	profile  string
	keep     bool
}

func (s *selfRun) flags(f *flag.FlagSet) {
	f.StringVar(&s.with, "with", strings.Join([]string{bareFloor, verifyFloor, onSQLite}, ","),
		"with -run: the servers to start, of bare, parse+verify, sqlite and postgres")
	f.StringVar(&s.postgres, "postgres", "", "with -run: `URL` of a PostgreSQL, as a superuser; the daemon runs on a database of its own there as well")
	f.StringVar(&s.redis, "redis", "", "with -run: `URL` of a Redis for the daemon on PostgreSQL")
	f.BoolVar(&s.notify, "notify", true, "with -run: an agent is notified of each mail")
	f.BoolVar(&s.deliver, "deliver", false, "with -run: notifications are sent, to a server that discards them; else no smarthost answers and they wait")
	f.StringVar(&s.profile, "profile", "", "with -run: `folder` for a CPU profile of each daemon")
	f.BoolVar(&s.keep, "keep", false, "with -run: keep the scratch folder, with logs and stores")
}

// started is what runs. Its stop is to be called even after a failed start.
type started struct {
	dir     string
	keep    bool
	targets []target
	ends    []func()
}

// stop ends what was started, the last first, and removes the scratch folder.
func (r *started) stop(progress io.Writer) {
	for _, end := range slices.Backward(r.ends) {
		end()
	}
	if r.dir == "" {
		return
	}
	if r.keep {
		_, _ = fmt.Fprintln(progress, "logs and stores are in", r.dir)
		return
	}
	if err := os.RemoveAll(r.dir); err != nil {
		_, _ = fmt.Fprintln(progress, "clearing up:", err)
	}
}

// limitIn gives the target that ratios are to where the flag names none.
func (r *started) limitIn(flagged string) string {
	has := slices.ContainsFunc(r.targets, func(t target) bool { return t.name == verifyFloor })
	if flagged == "" && has {
		return verifyFloor
	}
	return flagged
}

// start builds and starts the servers, and returns when each takes mail.
func (s *selfRun) start(ctx context.Context, resolver, to string, progress io.Writer) (*started, error) {
	r := &started{keep: s.keep}
	var err error
	if r.dir, err = os.MkdirTemp("", "ticketgate-bench-"); err != nil {
		return r, err
	}
	_, _ = fmt.Fprintln(progress, "building")
	built, err := build(ctx, r.dir)
	if err != nil {
		return r, err
	}
	names := strings.Split(s.with, ",")
	if s.postgres != "" && !slices.Contains(names, onPostgreSQL) {
		names = append(names, onPostgreSQL)
	}
	for _, name := range names {
		_, _ = fmt.Fprintln(progress, "starting", name)
		var t target
		switch name {
		case bareFloor:
			t, err = r.bare(ctx)
		case verifyFloor:
			t, err = r.verify(ctx, built, resolver)
		case onSQLite, onPostgreSQL:
			t, err = r.daemon(ctx, s, built, name, resolver, to)
		default:
			err = errors.New("there is no such server")
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		r.targets = append(r.targets, t)
	}
	return r, nil
}

// programs are what a run needs built: the daemon, and the gateway's tests, which
// serve parse+verify and the daemon with a profile.
type programs struct{ daemon, gateway string }

func build(ctx context.Context, dir string) (programs, error) {
	p := programs{daemon: filepath.Join(dir, "ticketgate"), gateway: filepath.Join(dir, "gateway.test")}
	for _, args := range [][]string{
		{"build", "-o", p.daemon, "ticketgate/cmd/ticketgate"},
		{"test", "-c", "-o", p.gateway, "ticketgate/gateway/gateway"},
	} {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return p, fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	return p, nil
}

// bare starts this program as a server.
func (r *started) bare(ctx context.Context) (target, error) {
	self, err := os.Executable()
	if err != nil {
		return target{}, err
	}
	return r.serve(ctx, bareFloor, nil, self, floorCommand)
}

// smarthost starts this program as an SMTP server that discards.
func (r *started) smarthost(ctx context.Context, name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	t, err := r.serve(ctx, name, nil, self, floorCommand, "smtp")
	return "smtp+insecure://" + t.addr, err
}

// The environment of the gateway's test binary.
const (
	roleVariable     = "BENCH_ROLE" // parse+verify or daemon
	resolverVariable = "BENCH_RESOLVER"
	roleDaemon       = "daemon"
)

// gatewayArgs make the test binary serve, without a time limit.
var gatewayArgs = []string{"-test.run=^TestBenchServer$", "-test.timeout=0"}

func (r *started) verify(ctx context.Context, built programs, resolver string) (target, error) {
	env := []string{roleVariable + "=" + verifyFloor, resolverVariable + "=" + resolver}
	return r.serve(ctx, "verify", env, built.gateway, gatewayArgs...)
}

// serve starts a child that prints its address.
func (r *started) serve(ctx context.Context, name string, env []string, path string, args ...string) (target, error) {
	c, printed, err := startChild(r.dir, name, env, path, args...)
	if err != nil {
		return target{}, err
	}
	r.ends = append(r.ends, c.end)
	addr, err := c.address(ctx, printed)
	if name == "verify" {
		name = verifyFloor
	}
	return target{name: name, addr: addr, own: []int{c.cmd.Process.Pid}}, err
}
