package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// child is a server that we started. It ends when its stdin does, or by SIGTERM,
// or by SIGKILL after endLimit; and its stdin ends with us, however we end.
type child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   *os.File
	done  chan struct{} // closed when it has ended
}

const (
	startLimit = 60 * time.Second
	endLimit   = 40 * time.Second
)

// startChild starts a program with this environment alone, its stderr going to a
// log in the folder, and gives what it prints.
func startChild(dir, name string, env []string, path string, args ...string) (*child, io.Reader, error) {
	c := &child{name: name, cmd: exec.CommandContext(context.Background(), path, args...), done: make(chan struct{})}
	c.cmd.Dir = dir
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	// A ^C is for us: we end our children ourselves.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var err error
	if c.log, err = os.Create(filepath.Join(dir, name+".log")); err != nil {
		return nil, nil, err
	}
	c.cmd.Stderr = c.log
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, written, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	c.stdin, c.cmd.Stdout = stdin, written
	if err := c.cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	_ = written.Close() // the child has it
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // how it ended stands in its log
	}()
	return c, stdout, nil
}

// address waits for the line that names where the child listens; what else it
// prints is dropped.
func (c *child) address(ctx context.Context, printed io.Reader) (string, error) {
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(printed)
		for lines.Scan() {
			if addr, ok := strings.CutPrefix(lines.Text(), listening); ok {
				found <- addr
			}
		}
	}()
	select {
	case addr := <-found:
		return addr, nil
	case <-c.done:
	case <-ctx.Done():
	case <-time.After(startLimit):
	}
	return "", fmt.Errorf("%s does not serve: %s", c.name, c.tail())
}

// tail is the end of its log.
func (c *child) tail() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// end ends the child and returns when it is gone.
func (c *child) end() {
	_ = c.stdin.Close() // it may be gone already; so may the one that gets the signal
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(endLimit):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	_ = c.log.Close()
}
