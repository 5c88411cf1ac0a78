// Package testbed starts the real programs that tests talk to (PostgreSQL, Redis,
// Postfix, Radicale) and the doubles that stand in for the outside world (a DNS server, an SMTP
// sink), each privately: on a free port of 127.0.0.1, with its files in a scratch
// folder of its own. Several test binaries may use it at once, as root or as an
// ordinary user.
//
// Everything that a function here starts is ended by tb.Cleanup. What has no Cleanup
// to hang on (SharedPostgres), and what a killed or panicking test binary would leave
// behind, is ended and removed by a guard, a small shell that notices when the test
// binary is gone.
//
// A program that is missing makes the test skip, saying so; with CI set in the
// environment it fails instead, so that nothing passes there by being skipped.
// install.sh in this folder installs them all.
package testbed

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// startLimit bounds the start of one program, with a loaded machine in mind.
const startLimit = 60 * time.Second

// install is what the message of a missing program ends with.
const install = " (deploy/testbed/install.sh installs it)"

// missing ends a test whose means are not there.
func missing(tb testing.TB, reason string) {
	tb.Helper()
	if ci := os.Getenv("CI"); ci != "" && ci != "false" {
		tb.Fatal(reason)
	}
	tb.Skip(reason)
}

// program finds an executable in PATH or in one of the folders (globs allowed) that
// Debian puts it in, the newest version first. It returns "" if there is none.
func program(name string, folders ...string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, folder := range folders {
		found, _ := filepath.Glob(filepath.Join(folder, name))
		if len(found) > 0 {
			return found[len(found)-1]
		}
	}
	return ""
}

// freePort returns a TCP port of 127.0.0.1 that nobody listens on now. It lies below
// the range that the kernel hands out, so that it stays free while a server is stopped
// to be started again; of two callers that get the same one, the second one's server
// does not start, and its starter tries another.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port between 20000 and 32000")
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// scratch makes a folder that other users may enter: PostgreSQL and Postfix run as
// users of their own. testing's TempDir keeps them out. The caller's guard removes it.
func scratch(kind string) (string, error) {
	dir, err := os.MkdirTemp("", "ticketgate-"+kind+"-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// tail is the end of a log, for the message of a failure.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4096):])
}
