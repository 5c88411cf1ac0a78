package testbed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guardScript reads process ids, of which the last counts (an empty line: none is
// running). At the end of its input, which comes when the pipe is closed or the test
// binary dies, it ends that process and removes the folder.
const guardScript = `
pid=
while read -r word; do pid=$word; done
if [ -n "$pid" ] && kill -"$2" "$pid" 2>/dev/null; then
	n=0
	while [ $n -lt 50 ] && kill -0 "$pid" 2>/dev/null; do sleep 0.1; n=$((n+1)); done
	kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
`

// guard ends a server and removes its folder once the test binary is gone, however it
// went. It starts no goroutine, so that leak detectors have nothing to see.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// newGuard watches over dir; sig is the signal name (without SIG) that ends the server.
func newGuard(dir, sig string) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "guard", dir, sig)
	// A ^C at the terminal is for the test, not for the one that clears up after it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &guard{cmd: cmd, pipe: pipe}, cmd.Start()
}

// watch names the process that is to be ended; 0 for none.
func (g *guard) watch(pid int) error {
	line := "\n"
	if pid != 0 {
		line = strconv.Itoa(pid) + "\n"
	}
	_, err := io.WriteString(g.pipe, line)
	return err
}

// release lets the guard do its work now, and returns when it is done.
func (g *guard) release() error {
	return errors.Join(g.pipe.Close(), g.cmd.Wait())
}

// process is a server that runs as our child, in the foreground. Its methods are for
// one goroutine at a time. It has no goroutine of its own either.
type process struct {
	cmd   *exec.Cmd
	guard *guard
}

// startProcess starts cmd with its output appended to the file logPath. The command must
// leave our process group, by Setpgid or by itself: a ^C is not for the server, which the
// test may still be talking to as it ends.
func startProcess(g *guard, cmd *exec.Cmd, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, guard: g}, g.watch(cmd.Process.Pid)
}

// exited tells whether the process has ended, without reaping it.
func (p *process) exited() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || info.Signo == int32(unix.SIGCHLD)
}

// await polls ready until it returns nil. It gives up when the process ends, or after
// startLimit; servers have no better signal to wait for than an answer.
func (p *process) await(ready func() error) error {
	deadline := time.Now().Add(startLimit)
	for {
		// Looked at first: an answer after that may come from somebody else's server,
		// which holds the port that ours could not get.
		gone := p.exited()
		err := ready()
		switch {
		case gone:
			return fmt.Errorf("it ended while starting: %w", p.cmd.Wait())
		case err == nil:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("not ready after %v: %w", startLimit, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop sends sig and waits for the end; after 30 s it kills.
func (p *process) stop(sig syscall.Signal) error {
	// One that was paused would not see any other signal.
	p.cmd.Process.Signal(syscall.SIGCONT)
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.AfterFunc(30*time.Second, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return p.guard.watch(0)
}
