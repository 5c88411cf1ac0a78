package testbed

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// RedisServer is a private Redis. Its methods end the test by Fatal where they fail, so
// they are for the test's own goroutine.
type RedisServer struct {
	tb     testing.TB
	server string
	cli    string
	dir    string
	port   int
	aof    bool
	guard  *guard
	proc   *process // nil while stopped
}

// RedisOption changes how Redis starts the server.
type RedisOption func(*RedisServer)

// AppendOnly makes the server keep its data over Stop, Kill and Start, each write synced.
// Without it nothing is kept.
func AppendOnly() RedisOption {
	return func(s *RedisServer) { s.aof = true }
}

// Redis starts a server that ends with the test.
func Redis(tb testing.TB, options ...RedisOption) *RedisServer {
	tb.Helper()
	s := &RedisServer{tb: tb, server: program("redis-server"), cli: program("redis-cli")}
	if s.server == "" || s.cli == "" {
		missing(tb, "no Redis server here"+install)
	}
	for _, option := range options {
		option(s)
	}
	if err := s.launch(); err != nil {
		tb.Fatalf("redis: %v", err)
	}
	tb.Cleanup(func() {
		if s.proc != nil {
			s.Kill()
		}
		if err := s.guard.release(); err != nil {
			tb.Errorf("redis: clearing up: %v", err)
		}
	})
	return s
}

func (s *RedisServer) launch() error {
	var err error
	if s.dir, err = scratch("redis"); err != nil {
		return err
	}
	if s.guard, err = newGuard(s.dir, "KILL"); err != nil {
		return err
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

func (s *RedisServer) start() error {
	aof := "no"
	if s.aof {
		aof = "yes"
	}
	cmd := exec.Command(s.server, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1",
		"--dir", s.dir, "--save", "", "--appendonly", aof, "--appendfsync", "always")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log := filepath.Join(s.dir, "log")
	proc, err := startProcess(s.guard, cmd, log)
	if err != nil {
		return err
	}
	if err := proc.await(func() error { return s.ping(cmd.Process.Pid) }); err != nil {
		if !proc.exited() {
			proc.stop(syscall.SIGKILL)
		}
		return fmt.Errorf("redis on port %d: %w\n%s", s.port, err, tail(log))
	}
	s.proc = proc
	return nil
}

// ping asks for the process id too: another test binary's server may hold the port.
func (s *RedisServer) ping(pid int) error {
	out, err := s.command("INFO", "server")
	if err == nil && !strings.Contains(out, fmt.Sprintf("process_id:%d\r\n", pid)) {
		err = fmt.Errorf("another server answers on port %d", s.port)
	}
	return err
}

func (s *RedisServer) command(args ...string) (string, error) {
	out, err := exec.Command(s.cli, append([]string{"-e", "-p", strconv.Itoa(s.port)}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("redis-cli %q: %w: %s", args, err, out)
	}
	return strings.TrimRight(string(out), "\n"), nil
}

// URL is its redis:// address (database 0). It stays the same over Stop and Start.
func (s *RedisServer) URL() string { return "redis://" + s.Addr() + "/0" }

// Addr is its host:port.
func (s *RedisServer) Addr() string { return loopback(s.port) }

// CLI runs redis-cli with the arguments and returns what it prints, without the last
// line end. An error reply ends the test.
func (s *RedisServer) CLI(args ...string) string {
	s.tb.Helper()
	out, err := s.command(args...)
	if err != nil {
		s.tb.Fatal(err)
	}
	return out
}

// FlushAll empties every database.
func (s *RedisServer) FlushAll() {
	s.tb.Helper()
	s.CLI("FLUSHALL")
}

// Stop ends the server in an orderly way; connections to it break and new ones are
// refused until Start.
func (s *RedisServer) Stop() {
	s.tb.Helper()
	s.end(syscall.SIGTERM)
}

// Kill ends the server as a crash does.
func (s *RedisServer) Kill() {
	s.tb.Helper()
	s.end(syscall.SIGKILL)
}

func (s *RedisServer) end(sig syscall.Signal) {
	s.tb.Helper()
	if s.proc == nil {
		s.tb.Fatal("redis: Stop of a stopped server")
	}
	if err := s.proc.stop(sig); err != nil {
		s.tb.Fatalf("redis: stop: %v", err)
	}
	s.proc = nil
}

// Start starts a stopped server again, on the same port, and returns when it answers.
func (s *RedisServer) Start() {
	s.tb.Helper()
	if s.proc != nil {
		s.tb.Fatal("redis: Start of a server that runs")
	}
	if err := s.start(); err != nil {
		s.tb.Fatalf("redis: start: %v", err)
	}
}

// Pause makes the server hang: connections stay up and new ones are taken, and nothing
// is answered until Resume.
func (s *RedisServer) Pause() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
}

// Resume ends a Pause.
func (s *RedisServer) Resume() {
	s.tb.Helper()
	s.signal(syscall.SIGCONT)
}

func (s *RedisServer) signal(sig syscall.Signal) {
	s.tb.Helper()
	if s.proc == nil {
		s.tb.Fatal("redis: the server is stopped")
	}
	if err := s.proc.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("redis: %v", err)
	}
}
