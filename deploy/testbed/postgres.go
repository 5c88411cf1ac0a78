package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresServer is a private PostgreSQL with fsync on, trust authentication, UTF8 and
// the C locale, reached over TCP. URL and NewDatabase may be called from several
// goroutines at once; Stop, Start and Restart from one at a time.
type PostgresServer struct {
	bin   string // folder of the programs
	dir   string // scratch folder, with data/ and log in it
	port  int
	cred  *syscall.Credential // whom it runs as; nil: as we do
	guard *guard
	proc  *process // nil while stopped

	databases atomic.Int64
}

// Postgres starts a server that ends with the test. It takes about two seconds; where
// the server itself is not stopped or crashed, take SharedPostgres.
func Postgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	s := requirePostgres(tb)
	if err := s.launch(); err != nil {
		tb.Fatalf("postgres: %v", err)
	}
	tb.Cleanup(func() {
		if s.proc != nil {
			s.Stop(tb, "immediate")
		}
		if err := s.guard.release(); err != nil {
			tb.Errorf("postgres: clearing up: %v", err)
		}
	})
	return s
}

// shared is the server of SharedPostgres: one for the test binary, which is the
// process, hence a package variable.
var shared struct {
	once   sync.Once
	server *PostgresServer
	err    error
}

// SharedPostgres returns the one server of this test binary, and starts it at the first
// call. Give each test a database of its own by NewDatabase. No TestMain is needed: the
// server ends, and its files go, when the test binary does. Don't stop it; tests that
// stop or crash a server take one of their own by Postgres.
func SharedPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	s := requirePostgres(tb)
	shared.once.Do(func() { shared.server, shared.err = s, s.launch() })
	if shared.err != nil {
		tb.Fatalf("postgres: %v", shared.err)
	}
	return shared.server
}

// requirePostgres finds the programs and the user to run them as.
func requirePostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	initdb := program("initdb", "/usr/lib/postgresql/*/bin")
	if initdb == "" {
		missing(tb, "no PostgreSQL server here"+install)
	}
	// Its fellows are looked for beside it: not beside a symbolic link to it.
	if real, err := filepath.EvalSymlinks(initdb); err == nil {
		initdb = real
	}
	s := &PostgresServer{bin: filepath.Dir(initdb)}
	if os.Geteuid() != 0 {
		return s
	}
	// The server refuses to run as root.
	account, err := user.Lookup("postgres")
	if err != nil {
		missing(tb, "no user postgres for the server to run as")
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32)
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return s
}

// launch makes the cluster and starts it, on another port if the first one is taken.
func (s *PostgresServer) launch() error {
	var err error
	if s.dir, err = scratch("postgres"); err != nil {
		return err
	}
	if s.guard, err = newGuard(s.dir, "QUIT"); err != nil {
		return err
	}
	if s.cred != nil {
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return err
		}
	}
	out, err := s.command("initdb", "--pgdata", s.data(), "--no-sync", "--auth=trust",
		"--username=postgres", "--encoding=UTF8", "--locale=C").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.start(); err == nil {
			return nil
		}
	}
	return err
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }
func (s *PostgresServer) log() string  { return filepath.Join(s.dir, "log") }

// command is one of the server's programs, run as the server's user.
func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir // the working folder of the test may be closed to that user
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.cred}
	return cmd
}

func (s *PostgresServer) start() error {
	cmd := s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "fsync=on", "-c", "timezone=UTC")
	proc, err := startProcess(s.guard, cmd, s.log())
	if err != nil {
		return err
	}
	if err := proc.await(s.ping); err != nil {
		if !proc.exited() {
			proc.stop(syscall.SIGQUIT)
		}
		return fmt.Errorf("postgres on port %d: %w\n%s", s.port, err, tail(s.log()))
	}
	s.proc = proc
	return nil
}

// ping asks for the folder too: another test binary's server may hold the port.
func (s *PostgresServer) ping() error {
	return s.exec("SELECT 1 / (current_setting('data_directory') = '" + s.data() + "')::int")
}

// exec runs one statement in the maintenance database, over a connection of its own.
func (s *PostgresServer) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// URL names the maintenance database, as a superuser. It stays the same over restarts.
func (s *PostgresServer) URL() string { return s.url("postgres") }

func (s *PostgresServer) url(database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", loopback(s.port), database)
}

// NewDatabase makes an empty database and returns its URL. It is dropped at the end of
// the test, whoever is still connected to it then, if the server runs.
func (s *PostgresServer) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", s.databases.Add(1))
	if err := s.exec("CREATE DATABASE " + name); err != nil {
		tb.Fatalf("postgres: %v", err)
	}
	tb.Cleanup(func() {
		// Best effort: the whole cluster goes with its server anyway.
		_ = s.exec("DROP DATABASE " + name + " WITH (FORCE)")
	})
	return s.url(name)
}

// Stop ends the server as `pg_ctl stop -m MODE` does: "smart" waits for the clients to
// leave (30 s at most, then it is killed), "fast" disconnects them, "immediate" crashes,
// so that the next start recovers from the log.
func (s *PostgresServer) Stop(tb testing.TB, mode string) {
	tb.Helper()
	sig, ok := map[string]syscall.Signal{
		"smart": syscall.SIGTERM, "fast": syscall.SIGINT, "immediate": syscall.SIGQUIT,
	}[mode]
	if !ok || s.proc == nil {
		tb.Fatalf("postgres: Stop(%q) of a server that runs: %v", mode, s.proc != nil)
	}
	if err := s.proc.stop(sig); err != nil {
		tb.Fatalf("postgres: stop: %v", err)
	}
	s.proc = nil
}

// Start starts a stopped server again, on the same port, and returns when it answers.
func (s *PostgresServer) Start(tb testing.TB) {
	tb.Helper()
	if s.proc != nil {
		tb.Fatal("postgres: Start of a server that runs")
	}
	begun := time.Now()
	if err := s.start(); err != nil {
		tb.Fatalf("postgres: start: %v", err)
	}
	tb.Logf("postgres: started again in %v", time.Since(begun).Round(time.Millisecond))
}

// Restart is Stop with the mode, and Start.
func (s *PostgresServer) Restart(tb testing.TB, mode string) {
	tb.Helper()
	s.Stop(tb, mode)
	s.Start(tb)
}
